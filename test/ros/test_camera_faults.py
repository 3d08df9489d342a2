# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the running node publishes when camera_info is bad, late, latched or another each time."""

import math

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rig import HEIGHT, WIDTH, FakeEstimator, fake_bundle, make_image, make_info, pixels
from sensor_msgs.msg import CameraInfo, Image

from sg_depth_ros.ros.outputs import DEPTH, DEPTH_INFO, LABELS, POINTS, SCALE

FOCAL = 20.0
BAD = {
    'zero': lambda info: setattr(info, 'k', [0.0] * 9),
    'other size': lambda info: setattr(info, 'width', 2 * WIDTH),
    'no number': lambda info: setattr(info, 'k', [math.nan] * 9),
    'normalised': lambda info: setattr(info, 'k', [0.58, 0, 0.5, 0, 0.58, 0.5, 0, 0, 1.0]),
    'other frame': lambda info: setattr(info.header, 'frame_id', 'rear'),
}


class Focal(FakeEstimator):
    """Depth is the focal length of the camera, over that of the training; 1 without a camera."""

    def predict(self, image, camera=None, size='network'):
        prediction = super().predict(image, camera, size)
        prediction.depth[:] = camera.fx / 10 if camera else 1.0
        return prediction


def metric_bundle():
    """One whose depth is in metres by itself."""
    bundle = fake_bundle()
    depth = bundle.manifest.depth
    copy = getattr(depth, 'model_copy', None) or depth.copy
    manifest = bundle.manifest
    copy_manifest = getattr(manifest, 'model_copy', None) or manifest.copy
    return type(bundle)(
        bundle.path, copy_manifest(update={'depth': copy(update={'scale': 'metric'})})
    )


MODES = {
    'fixed': {'scale.mode': 'fixed', 'scale.factor': 3.0},
    'metric bundle': {'load': lambda _: metric_bundle()},
}
FACTOR = {'fixed': 3.0, 'metric bundle': 1.0}


@pytest.fixture
def start(rig):
    def make(*topics, **options):
        made = rig(create=Focal, **options)
        made.listen('/diagnostics', kind=DiagnosticArray)
        for topic in topics:
            made.listen(topic, kind=DiagnosticArray if topic == 'sg_depth/scale' else None)
        made.connect()
        made.until(lambda: made.node._networks.worker.state == 'ready')
        return made

    return make


def stamped(message, second):
    message.header.stamp.sec, message.header.stamp.nanosec = second, 0
    return message


def depths(made):
    return {
        m.header.stamp.sec: float(np.frombuffer(m.data, np.float32)[-1])
        for m in made.received[DEPTH]
    }


def status(made, contains):
    """The newest diagnostics, once they say it."""
    name = f'{made.namespace[1:]}/sg_depth: depth'

    def found():
        own = [s for m in made.received['/diagnostics'] for s in m.status if s.name == name]
        return [s for s in own[-1:] if contains in s.message]

    return made.until(found)[-1]


def send(made, second, info):
    made.send(stamped(info, second))
    made.send(stamped(make_image(), second))
    made.until(lambda: second in {m.header.stamp.sec for m in made.received[LABELS]})


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('fault', BAD)
def test_metres_stay_right_when_camera_info_turns_bad(start, mode, fault):
    made = start(DEPTH, DEPTH_INFO, POINTS, LABELS, **MODES[mode])
    send(made, 1, make_info(focal=FOCAL))
    bad = make_info(focal=FOCAL)
    BAD[fault](bad)
    send(made, 2, bad)
    made.until(lambda: 2 in depths(made))
    right = FACTOR[mode] * FOCAL / 10
    assert depths(made) == {1: pytest.approx(right), 2: pytest.approx(right)}
    made.until(lambda: len(made.received[DEPTH_INFO]) == len(made.received[POINTS]) == 2)
    assert made.received[DEPTH_INFO][1].k[0] == FOCAL / 2
    said = status(made, 'Until then the last good one of this image size is used')
    assert said.level == DiagnosticStatus.ERROR
    send(made, 3, make_info(focal=2 * FOCAL))
    made.until(lambda: 3 in depths(made))
    assert depths(made)[3] == pytest.approx(2 * right)
    assert not made.node._pipeline.findings


@pytest.mark.parametrize('mode', MODES)
def test_metres_of_an_image_size_without_a_camera_are_withheld(start, mode):
    made = start(DEPTH, DEPTH_INFO, POINTS, LABELS, **MODES[mode])
    send(made, 1, make_info(focal=FOCAL))
    made.until(lambda: 1 in depths(made))
    array = np.repeat(np.repeat(pixels(), 2, 0), 2, 1)
    made.send(stamped(make_info(focal=FOCAL), 2))
    made.send(stamped(make_image(array), 2))
    made.until(lambda: len(made.received[LABELS]) == 2)
    said = status(made, 'the image is 32x16')
    assert said.level == DiagnosticStatus.ERROR
    assert 'depth in metres is withheld: the camera of the image is not known' in said.message
    assert {v.key: v.value for v in said.values}['scale state'] == 'lost'
    # What comes after the one that was withheld is right again.
    send(made, 3, make_info(focal=FOCAL))
    made.until(lambda: 3 in depths(made))
    assert set(depths(made)) == {1, 3}
    assert {m.header.stamp.sec for m in made.received[DEPTH_INFO]} <= {1, 3}


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('info', [None, *BAD])
def test_metres_are_not_claimed_without_a_camera_from_the_start(start, mode, info):
    made = start(DEPTH, LABELS, POINTS, camera_info_timeout=0.0, **MODES[mode])
    if info:
        bad = make_info()
        BAD[info](bad)
        made.send(stamped(bad, 1))
    made.send(stamped(make_image(), 1))
    made.until(lambda: made.received[LABELS])
    said = status(made, 'Until then there is no depth in metres')
    assert said.level == DiagnosticStatus.ERROR
    values = {v.key: v.value for v in said.values}
    assert values['scale'] == ('unknown' if mode == 'metric bundle' else 'relative')
    send(made, 2, make_info(focal=FOCAL))
    made.until(lambda: 2 in depths(made))
    assert set(depths(made)) == {2}


def test_relative_depth_on_request_until_there_were_metres_and_never_after(start):
    made = start(
        DEPTH,
        LABELS,
        **{'camera_info_timeout': 0.0, 'scale.before_first': 'relative', **MODES['fixed']},
    )
    made.send(stamped(make_image(), 1))
    made.until(lambda: 1 in depths(made))
    assert depths(made) == {1: 1.0}
    assert made.node._pipeline.scale.state == 'waiting'
    send(made, 2, make_info(focal=FOCAL))
    made.send(stamped(make_image(np.repeat(np.repeat(pixels(), 2, 0), 2, 1)), 3))
    made.until(lambda: len(made.received[LABELS]) == 3)
    assert made.node._pipeline.scale.state == 'lost'
    send(made, 4, make_info(focal=FOCAL))
    made.until(lambda: 4 in depths(made))
    assert set(depths(made)) == {1, 2, 4}


def test_each_depth_has_the_focal_length_of_its_own_stamp(start):
    """A zoom: another focal length for each image; infos come before, after and far behind."""
    made = start(DEPTH, DEPTH_INFO)
    count = 12
    made.send(stamped(make_info(focal=FOCAL), 0))
    for second in range(1, count + 1):
        info = stamped(make_info(focal=FOCAL + second), second)
        image = stamped(make_image(), second)
        order = [info, image] if second % 3 else [image, info]
        for message in order:
            made.publishers[('image', 'camera_info')[message is info]].publish(message)
        made.until(lambda s=second: s in depths(made))
    assert depths(made) == {s: pytest.approx((FOCAL + s) / 10) for s in range(1, count + 1)}
    made.until(lambda: len(made.received[DEPTH_INFO]) == count)
    assert all(m.k[0] == (FOCAL + m.header.stamp.sec) / 2 for m in made.received[DEPTH_INFO])


def latching(made):
    """Publish a camera_info once, before the node listens to it."""
    qos = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    publisher = made.peer.create_publisher(CameraInfo, 'camera_info', qos)
    publisher.publish(stamped(make_info(focal=FOCAL), 1))
    return publisher


@pytest.mark.parametrize('overridden', [False, True])
def test_a_latched_camera_info_is_heard(rig, overridden):
    made = rig(start=False, create=Focal, camera_info_timeout=60.0)
    made.publisher = latching(made)
    if overridden:
        name = f'qos_overrides.{made.namespace}/camera_info.subscription.durability'
        made.node._parameter_overrides[name] = Parameter(name, value='transient_local')
    else:
        made.until(lambda: made.node.count_publishers(f'{made.namespace}/camera_info'))
    assert made.transition(Transition.TRANSITION_CONFIGURE)
    made.listen(DEPTH)
    assert made.transition(Transition.TRANSITION_ACTIVATE)
    made.until(lambda: made.node._networks.worker.state == 'ready')
    images = made.publishers['image'] = made.peer.create_publisher(Image, 'image', 5)
    made.until(images.get_subscription_count)
    made.send(stamped(make_image(), 7))
    made.until(lambda: made.received[DEPTH])
    assert depths(made) == {7: pytest.approx(FOCAL / 10)}
    infos = made.node.get_subscriptions_info_by_topic(f'{made.namespace}/camera_info')
    durabilities = sorted(info.qos_profile.durability.name for info in infos)
    assert durabilities == ['TRANSIENT_LOCAL'] + ['VOLATILE'] * (not overridden)


def test_what_is_latched_is_not_asked_of_those_who_do_not_latch(rig):
    """Their drivers would warn that they send nothing to this node."""
    made = rig()
    made.listen(DEPTH)
    made.connect()
    made.node._camera.follow_publishers()
    infos = made.node.get_subscriptions_info_by_topic(f'{made.namespace}/camera_info')
    assert [info.qos_profile.durability.name for info in infos] == ['VOLATILE']


def overriding(made, **policies):
    for policy, value in policies.items():
        name = f'qos_overrides.{made.namespace}/{policy}'
        made.node._parameter_overrides[name] = Parameter(name, value=value)


def test_every_policy_of_qos_can_be_overridden(rig):
    made = rig(start=False, **{'scale.mode': 'odometry'})
    overriding(
        made,
        **{
            'depth/points.publisher.durability': 'transient_local',
            'depth/points.publisher.lifespan': 2_000_000_000,
            'odom.subscription.reliability': 'reliable',
            'odom.subscription.deadline': 3_000_000_000,
            'camera_info.subscription.depth': 3,
        },
    )
    assert made.transition(Transition.TRANSITION_CONFIGURE)
    (points,) = made.node.get_publishers_info_by_topic(f'{made.namespace}/depth/points')
    assert points.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    assert points.qos_profile.lifespan.nanoseconds == 2_000_000_000
    (odom,) = made.node.get_subscriptions_info_by_topic(f'{made.namespace}/odom')
    assert odom.qos_profile.reliability == ReliabilityPolicy.RELIABLE
    assert odom.qos_profile.deadline.nanoseconds == 3_000_000_000
    assert (
        made.node.get_parameter(
            f'qos_overrides.{made.namespace}/camera_info.subscription.depth'
        ).value
        == 3
    )


def test_a_qos_that_would_get_nothing_is_refused(rig):
    made = rig(start=False, **{'scale.mode': 'odometry'})
    overriding(made, **{'odom.subscription.durability': 'transient_local'})
    assert not made.transition(Transition.TRANSITION_CONFIGURE)
    assert 'cannot be configured: ' in made.node._failure
    assert 'transient_local needs reliability reliable, found best_effort' in made.node._failure


def test_overrides_without_effect_are_named(rig, monkeypatch):
    lines = []
    logger = type(rclpy.logging.get_logger('x'))
    monkeypatch.setattr(logger, 'warning', lambda _, line, **options: lines.append(line))
    made = rig(start=False)
    overriding(
        made,
        **{
            'camera_info.subscription.durabilty': 'transient_local',
            'image.subscription.depth': 2,  # subscribed to once somebody listens
            'odom.subscription.depth': 2,  # subscribed to once the mode needs it
            'lidar.subscription.depth': 2,
        },
    )
    assert made.transition(Transition.TRANSITION_CONFIGURE)
    start = f'qos_overrides.{made.namespace}'
    assert lines[0] == (
        f'{start}/camera_info.subscription.durabilty has no effect; did you mean '
        f'{start}/camera_info.subscription.durability?'
    )
    assert lines[1].startswith(f'{start}/lidar.subscription.depth has no effect; ')
    assert len(lines) == 2


def test_a_fisheye_without_coefficients_is_said_to_bend(start):
    made = start(DEPTH, LABELS)
    info = make_info()
    info.distortion_model = 'equidistant'
    send(made, 1, info)
    said = status(made, 'camera_info has lens distortion')
    assert said.level == DiagnosticStatus.WARN


def test_an_image_of_more_pixels_than_the_parameter_says_is_refused(start):
    made = start(LABELS, max_image_pixels=WIDTH * HEIGHT - 1)
    made.send(stamped(make_info(), 1))
    made.send(stamped(make_image(), 1))
    made.until(lambda: made.totals()['bad'] == 1)
    made.node.set_parameters([Parameter('max_image_pixels', value=WIDTH * HEIGHT)])
    send(made, 2, make_info())
    assert made.totals()['bad'] == 1


def test_an_image_many_times_as_large_as_those_before_is_refused(start):
    made = start(LABELS)
    send(made, 1, make_info())
    for side, bad in ((4, 0), (5, 1)):
        made.send(stamped(make_image(np.zeros((side * HEIGHT, side * WIDTH, 3), np.uint8)), 2))
        made.until(lambda n=bad: len(made.received[LABELS]) == 2 and made.totals()['bad'] == n)


def test_a_waiting_scale_always_says_what_for(start):
    made = start(LABELS, 'sg_depth/scale', **{'scale.mode': 'camera_height'})
    assert SCALE == '~/scale'
    send(made, 1, make_info())
    made.until(lambda: made.received['sg_depth/scale'])
    (said,) = made.received['sg_depth/scale'][0].status
    assert said.message.removeprefix('the scale is not known yet: ')
