# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Demand, drops, broken input and the lifecycle of a running node."""

import threading
import time
from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

import numpy as np
import rclpy
from lifecycle_msgs.msg import State, Transition
from rcl_interfaces.srv import GetParameters
from rclpy.parameter import Parameter
from rig import HEIGHT, NETWORK, WIDTH, FakeEstimator, make_image, make_info, pixels
from sensor_msgs.msg import CameraInfo

from sg_depth_ros.bundle import BundleError
from sg_depth_ros.ros.outputs import COLORS, DEPTH, DEPTH_INFO, LABELS, POINTS
from sg_depth_ros.ros.pairing import Frame


def running(rig, *topics, **options):
    made = rig(**options)
    made.listen(*topics)
    made.connect()
    assert made.estimator
    return made


def test_nothing_is_done_until_somebody_listens(rig):
    made = rig()
    assert made.estimator
    publisher = made.peer.create_publisher(CameraInfo, 'camera_info', 5)
    made.until(publisher.get_subscription_count)
    assert made.node.count_subscribers(made.node._camera.topic) == 0
    made.listen(LABELS)
    made.connect()
    made.send(make_info())
    made.send(make_image())
    made.until(lambda: made.received[LABELS])
    made.peer.destroy_subscription(made.subscriptions[LABELS])
    image = made.publishers['image']
    made.until(lambda: image.get_subscription_count() == 0)
    assert len(made.estimator.seen) == 1


def test_only_what_is_wanted_is_built(rig, monkeypatch):
    built = []
    names = {
        'outputs': ['cloud_message'],
        'products': ['colorize_labels', 'mark_sky'],
        'compressed_outputs': ['encode_colors', 'encode_metres'],
    }
    for module, functions in names.items():
        for name in functions:
            path = f'sg_depth_ros.ros.{module}.{name}'
            monkeypatch.setattr(path, lambda *_, name=name: built.append(name))
    made = running(rig, LABELS)
    made.send(make_info())
    made.send(make_image())
    made.until(lambda: made.received[LABELS])
    assert not built


def test_the_newest_frame_wins_and_drops_are_counted(rig):
    made = running(rig, DEPTH)
    made.send(make_info())
    made.estimator.gate.clear()
    for second in range(1, 6):
        made.send(make_image(second=second))
        made.until(lambda n=second: made.totals()['received'] == n)
        made.until(lambda: made.estimator.seen)
    made.estimator.gate.set()
    made.until(lambda: len(made.received[DEPTH]) == 2)
    assert [message.header.stamp.sec for message in made.received[DEPTH]] == [1, 5]
    assert made.totals()['dropped_busy'] == 3
    assert made.totals()['published'] == 2


def test_the_first_image_waits_for_its_camera_info(rig):
    made = running(rig, DEPTH, camera_info_timeout=60.0)
    for second in (1, 2):
        made.send(make_image(second=second))
        made.until(lambda n=second: made.totals()['received'] == n)
    made.send(make_info())
    made.until(lambda: made.received[DEPTH])
    assert made.received[DEPTH][0].header.stamp.sec == 2
    assert made.estimator.seen[0][1] is not None
    assert made.totals()['dropped_busy'] == 1


def test_latency_counts_from_reception_and_age_from_the_stamp(rig):
    made = running(rig, DEPTH)
    frame = Frame(make_image(second=7), time.monotonic() - 100.0, make_info())
    made.node._pipeline.process(made.estimator, frame)
    found = made.node._statistics.summary(time.monotonic()).percentiles_ms
    assert 100 <= found['latency'][0] / 1e3 < 150
    assert found['age'][0] / 1e3 == pytest.approx(time.time() - 7, abs=60)
    assert found['inference'][0] / 1e3 < 50


def test_the_timer_is_started_once_for_all_that_wait(rig):
    """Images that come fast would put it off again and again."""
    camera = rig(start=False).node._camera
    camera._ready = lambda: True
    calls = []
    camera._timer = SimpleNamespace(
        is_canceled=lambda: 'start' not in calls,
        reset=lambda: calls.append('start'),
        cancel=lambda: calls.append('stop'),
    )
    camera._on_image(make_image(second=1))
    camera._on_image(make_image(second=2))
    assert calls == ['start']
    camera._timer = None


def test_without_camera_info_even_a_single_image_goes_out_once(rig):
    made = running(rig, DEPTH, camera_info_timeout=60.0)
    made.send(make_image(second=1))
    made.until(lambda: made.node._camera.pairing.waiting)
    made.node.set_parameters([Parameter('camera_info_timeout', value=0.0)])
    made.until(lambda: len(made.received[DEPTH]) == 1)
    # One that comes late brings no old image.
    made.send(make_info())
    made.send(make_image(second=2))
    made.until(lambda: len(made.received[DEPTH]) == 2)
    assert [message.header.stamp.sec for message in made.received[DEPTH]] == [1, 2]
    assert made.totals() == {'received': 2, 'published': 2}


def test_frames_that_nobody_waits_for_any_more_are_counted(rig):
    made = running(rig, LABELS, camera_info_timeout=60.0)

    def leave():
        made.peer.destroy_subscription(made.subscriptions[LABELS])
        made.until(lambda: not made.node._camera.subscribed)

    made.send(make_image())
    made.until(lambda: made.node._camera.pairing.waiting)
    leave()
    assert made.totals() == {'received': 1, 'unwanted': 1}
    made.listen(LABELS)
    made.until(made.publishers['image'].get_subscription_count)
    made.send(make_info())
    made.estimator.gate.clear()
    made.send(make_image())
    made.until(lambda: made.estimator.seen)
    made.send(make_image())
    made.until(lambda: made.totals()['received'] == 3)
    leave()
    assert made.totals() == {'received': 3, 'unwanted': 2}  # and one is in work
    made.estimator.gate.set()


def test_frames_of_which_nothing_goes_out_are_not_published(rig):
    made = running(rig, POINTS, camera_info_timeout=0.0)
    made.send(make_image())
    made.until(lambda: made.totals()['withheld'] == 1)
    made.send(make_info())
    made.send(make_image())
    made.until(lambda: made.received[POINTS])
    made.until(lambda: made.totals() == {'received': 2, 'withheld': 1, 'published': 1})


def test_a_stamp_before_the_epoch_is_a_stamp(rig):
    made = running(rig, DEPTH)
    made.send(make_info())
    made.send(make_image(second=-5))
    made.until(lambda: made.received[DEPTH])
    assert made.received[DEPTH][0].header.stamp.sec == -5
    made.until(lambda: made.totals()['published'] == 1)


def test_a_wrong_qos_override_of_the_image_is_told(rig):
    made = rig(start=False)
    name = f'qos_overrides.{made.node._camera.topic}.subscription.reliability'
    made.node._parameter_overrides[name] = Parameter(name, value='steam')
    assert made.transition(Transition.TRANSITION_CONFIGURE)
    assert made.transition(Transition.TRANSITION_ACTIVATE)
    made.listen(DEPTH)
    made.until(lambda: made.node._failure)
    assert 'cannot subscribe to' in made.node._failure
    assert 'correct qos_overrides./t' in made.node._failure
    assert made.transition(Transition.TRANSITION_DEACTIVATE)  # the executor lives


def uncalibrated():
    return CameraInfo(width=WIDTH, height=HEIGHT)


@pytest.mark.parametrize(
    ('info', 'reason'),
    [
        (None, 'no camera_info has come on'),
        (uncalibrated(), 'not calibrated'),
        (make_info(width=2 * WIDTH, height=2 * HEIGHT), 'for images of 32x16, the image is 16x8'),
        (make_info(frame_id='rear'), "has the frame 'rear', the image 'camera_optical'"),
    ],
)
def test_depth_flows_without_a_usable_camera_info(rig, info, reason):
    made = running(rig, DEPTH, DEPTH_INFO, POINTS, camera_info_timeout=0.0)
    if info:
        made.send(info)
    array = pixels()
    made.send(make_image(array))
    made.until(lambda: made.received[DEPTH])
    depth = np.frombuffer(made.received[DEPTH][0].data, np.float32).reshape(NETWORK[::-1])
    np.testing.assert_array_equal(depth, array[::2, ::2, 0])  # not corrected, as by the fake
    (finding,) = made.node._pipeline.findings
    assert reason in finding.text
    assert finding.grave == bool(info)
    assert not made.received[POINTS] and not made.received[DEPTH_INFO]

    made.send(make_info())
    made.send(make_image())
    made.until(lambda: made.received[POINTS] and made.received[DEPTH_INFO])
    assert not made.node._pipeline.findings


def test_an_image_without_frame_takes_that_of_its_camera_info(rig):
    made = running(rig, DEPTH)
    made.send(make_info())
    made.send(make_image(frame_id=''))
    made.until(lambda: made.received[DEPTH])
    header = made.received[DEPTH][0].header
    assert (header.frame_id, header.stamp) == ('camera_optical', make_image().header.stamp)


def test_broken_images_are_counted_and_survived(rig):
    made = running(rig, DEPTH)
    made.send(make_info())
    truncated, unknown = make_image(), make_image()
    truncated.data = truncated.data[:-1]
    unknown.encoding = 'rgb32'
    for number, broken in enumerate((truncated, unknown), 1):
        made.send(broken)
        made.until(lambda n=number: made.totals()['bad'] == n)
    made.send(make_image())
    made.until(lambda: made.received[DEPTH])
    assert len(made.estimator.seen) == 1


def test_a_failing_estimator_is_survived(rig):
    made = running(rig, DEPTH)
    made.send(make_info())
    made.estimator.error = RuntimeError('out of memory')
    made.send(make_image())
    made.until(lambda: made.totals()['failed'] == 1)
    made.estimator.error = None
    made.send(make_image())
    made.until(lambda: made.received[DEPTH])


def test_services_answer_while_the_networks_load(rig):
    gate = threading.Event()

    def create(*arguments):
        assert gate.wait(30)
        return FakeEstimator(*arguments)

    made = rig(create=create, engine='onnxruntime')
    try:
        client = made.peer.create_client(GetParameters, 'sg_depth/get_parameters')
        assert client.wait_for_service(30)
        future = client.call_async(GetParameters.Request(names=['engine']))
        made.until(future.done)
        assert future.result().values[0].string_value == 'onnxruntime'
        made.listen(DEPTH)
        made.connect()
        made.send(make_image())
        made.until(lambda: made.totals()['dropped_loading'] == 1)
    finally:
        gate.set()
    made.until(lambda: made.node._networks.worker.state == 'ready')
    made.send(make_info())
    made.send(make_image())
    made.until(lambda: made.received[DEPTH])


def state_of(made):
    return made.node._state_machine.current_state[0]


def test_lifecycle_by_hand(rig):
    made = rig(start=False)
    assert state_of(made) == State.PRIMARY_STATE_UNCONFIGURED
    assert made.transition(Transition.TRANSITION_CONFIGURE)
    first = made.estimator
    made.listen(COLORS)
    assert made.transition(Transition.TRANSITION_ACTIVATE)
    made.connect()
    made.send(make_info())
    made.send(make_image())
    made.until(lambda: made.received[COLORS])

    assert made.transition(Transition.TRANSITION_DEACTIVATE)
    made.until(lambda: made.publishers['image'].get_subscription_count() == 0)
    assert made.transition(Transition.TRANSITION_CLEANUP)
    assert first.closed
    assert made.peer.count_publishers(made.peer.resolve_topic_name(COLORS)) == 0

    assert made.transition(Transition.TRANSITION_CONFIGURE)
    assert made.transition(Transition.TRANSITION_ACTIVATE)
    assert made.estimator is not first
    made.until(made.publishers['image'].get_subscription_count)
    made.until(made.publishers['camera_info'].get_subscription_count)
    made.send(make_info())
    made.send(make_image())
    made.until(lambda: len(made.received[COLORS]) == 2)
    assert made.transition(Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert state_of(made) == State.PRIMARY_STATE_FINALIZED
    assert made.estimators[-1].closed


def test_a_frame_that_takes_too_long_is_left_behind(rig, monkeypatch):
    lines = []
    logger = type(rclpy.logging.get_logger('x'))
    monkeypatch.setattr(logger, 'warning', lambda _, line, **options: lines.append(line))
    monkeypatch.setattr('sg_depth_ros.ros.node.STOP_TIMEOUT', 0.01)
    made = running(rig, LABELS)
    made.send(make_info())
    made.estimator.gate.clear()
    made.send(make_image())
    made.until(lambda: made.estimator.seen)
    assert made.transition(Transition.TRANSITION_DEACTIVATE)
    assert made.transition(Transition.TRANSITION_CLEANUP)
    made.estimators[-1].gate.set()
    assert lines == ['a frame is still in work; left to itself']


def test_autostart_may_be_off(rig):
    made = rig(autostart=False)
    assert state_of(made) == State.PRIMARY_STATE_UNCONFIGURED


def test_a_bad_bundle_fails_the_transition(rig):
    def load(name):
        raise BundleError(f'no bundle {name}')

    made = rig(load=load, bundle='lost')
    assert state_of(made) == State.PRIMARY_STATE_UNCONFIGURED
    assert made.node._failure == 'cannot be configured: no bundle lost'
    assert not made.transition(Transition.TRANSITION_CONFIGURE)
