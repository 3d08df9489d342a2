# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scale, ground and labels as the node publishes them, for a flat road that is known exactly."""

import json
from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

import numpy as np
import rclpy
from geometry_msgs.msg import PoseStamped, TwistStamped
from nav_msgs.msg import Odometry
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from rig import FakeEstimator, make_image, make_info
from std_srvs.srv import Trigger

from sg_depth_ros.bundle.labels import CITYSCAPES, ID
from sg_depth_ros.engines import StageSeconds
from sg_depth_ros.estimator import Prediction
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.geometry.point_cloud import POINT
from sg_depth_ros.ros.outputs import (
    ALL_TOPICS,
    DEPTH,
    GROUND,
    LABELS,
    OBSTACLES,
    PLANE,
    POINTS,
)
from sg_depth_ros.ros.scale_inputs import ScaleInputs
from sg_depth_ros.ros.semantic_outputs import LABEL_NAMES

SIZE = (64, 32)
CAMERA = PinholeCamera(*SIZE, 40.0, 40.0, 31.5, 10.0)
HEIGHT = 0.5
"""Of the camera over the road, in the network's unit."""
WALL = 10.0
SCALE = 'sg_depth/scale'


class Road(FakeEstimator):
    """A road to a wall; the upper rows are sky. Nothing is road where the image is black."""

    def predict(self, image, camera=None, size='network'):
        down = CAMERA.rays()[..., 1]
        depth = np.minimum(HEIGHT / np.maximum(down, 1e-3), WALL)
        labels = np.where(depth < WALL, ID['road'], ID['building']).astype(np.uint8)
        labels[:3] = ID['sky']
        if not image.any():
            labels[:] = ID['building']
        rgb = np.zeros((*SIZE[::-1], 3), np.uint8)
        return Prediction(depth.astype(np.float32), labels, rgb, CAMERA, StageSeconds(0, 0))


@pytest.fixture
def road(rig):
    def make(*topics, **parameters):
        made = rig(create=Road, **parameters)
        for topic in topics:
            made.listen(topic, kind=ALL_TOPICS.get(topic, ALL_TOPICS['~/scale']))
        made.connect()
        made.until(lambda: made.node._networks.worker.state == 'ready')
        made.send(make_info())
        return made

    return make


def send(made, second, topic=SCALE, array=None):
    count = len(made.received[topic])
    made.send(make_image(array, second=second))
    made.until(lambda: len(made.received[topic]) > count)
    return made.received[topic][-1]


def values(message):
    (status,) = message.status
    return {pair.key: pair.value for pair in status.values}


def depth_of(message):
    return np.frombuffer(message.data, np.float32).reshape(message.height, message.width)


def test_a_fixed_factor_makes_metres_with_limits(road):
    parameters = {'scale.mode': 'fixed', 'scale.factor': 3.0, 'min_range': 3.0, 'max_range': 20.0}
    made = road(DEPTH, **parameters)
    depth = depth_of(send(made, 1, DEPTH))
    assert np.isposinf(depth[:3]).all()
    assert np.isposinf(depth[8]).all()  # the wall, 30 m away
    assert np.isneginf(depth[-1]).all()  # 0.5 / (21 / 40) * 3 = 2.86 m
    np.testing.assert_allclose(depth[20], HEIGHT / (10 / 40) * 3, rtol=1e-5)


def test_camera_height_waits_tracks_holds_and_resets(road):
    made = road(SCALE, DEPTH, **{'scale.mode': 'camera_height', 'scale.camera_height': 1.5})
    first = send(made, 1)
    assert first.header == make_image(second=1).header
    assert values(first)['state'] == 'waiting'
    assert made.received[DEPTH] == []
    send(made, 2)
    tracked = values(send(made, 3))
    assert tracked['state'] == 'tracking'
    assert float(tracked['factor']) == pytest.approx(3.0, rel=1e-3)
    made.until(lambda: made.received[DEPTH])
    depth = depth_of(made.received[DEPTH][-1])
    np.testing.assert_allclose(depth[20], 6.0, rtol=1e-3)
    held = send(made, 8, array=np.zeros((8, 16, 3), np.uint8))
    assert values(held)['state'] == 'held'
    assert float(values(held)['age (s)']) == pytest.approx(5.0)
    assert 'held' in held.status[0].message
    client = made.peer.create_client(Trigger, 'sg_depth/reset_scale')
    assert client.wait_for_service(10)
    future = client.call_async(Trigger.Request())
    made.until(future.done)
    assert future.result().success
    assert values(send(made, 9))['state'] == 'waiting'


def test_relative_depth_before_the_first_estimate_on_request(road):
    parameters = {'scale.mode': 'camera_height', 'scale.before_first': 'relative'}
    made = road(DEPTH, SCALE, **parameters)
    depth = depth_of(send(made, 1, DEPTH))
    np.testing.assert_allclose(depth[20], HEIGHT / (10 / 40), rtol=1e-5)
    made.until(lambda: made.received[SCALE])
    assert 'height over the road is not known' in made.received[SCALE][0].status[0].message


def split(made, second, array=None):
    """Send an image; give how many points are ground and how many are obstacles."""
    send(made, second, OBSTACLES, array)
    made.until(lambda: len(made.received[GROUND]) == len(made.received[OBSTACLES]))
    return [made.received[topic][-1].width for topic in (GROUND, OBSTACLES)]


def test_the_plane_of_a_road_that_is_hidden_now_follows_the_scale(road):
    hidden = np.zeros((8, 16, 3), np.uint8)
    parameters = {'scale.mode': 'fixed', 'scale.factor': 3.0, 'ground_tolerance': 0.01}
    made = road(GROUND, OBSTACLES, **parameters)
    ground, _ = split(made, 1)
    before = split(made, 2, hidden)
    assert before[0] == ground > 0
    made.node.set_parameters([Parameter('scale.factor', value=10.0)])
    assert split(made, 3, hidden) == before


@pytest.mark.parametrize(('reset', 'second'), [(True, 3), (False, 1)])
def test_the_plane_is_forgotten_with_the_scale_and_when_time_goes_back(road, reset, second):
    hidden = np.zeros((8, 16, 3), np.uint8)
    made = road(GROUND, OBSTACLES, SCALE, **{'scale.mode': 'fixed'})
    split(made, 2)
    if reset:
        made.node._pipeline.reset_scale()
    send(made, second, SCALE, hidden)
    split(made, 4)
    stamps = [message.header.stamp.sec for message in made.received[OBSTACLES]]
    assert stamps == [2, 4]


def test_points_are_split_by_the_plane_and_the_plane_is_published(road):
    made = road(POINTS, GROUND, OBSTACLES, PLANE)
    pose = send(made, 1, PLANE).pose
    np.testing.assert_allclose(
        [pose.position.x, pose.position.y, pose.position.z], [0, HEIGHT, 0], atol=1e-4
    )
    made.until(lambda: all(made.received[t] for t in (POINTS, GROUND, OBSTACLES)))
    whole, ground, obstacles = (
        np.frombuffer(made.received[t][0].data, POINT) for t in (POINTS, GROUND, OBSTACLES)
    )
    assert np.isfinite(whole['z']).sum() == len(ground) + len(obstacles)
    np.testing.assert_allclose(ground['y'][ground['label'] == ID['road']], HEIGHT, atol=1e-4)
    assert (obstacles['y'] < HEIGHT - 0.2).all()
    assert len(obstacles) > 5 * SIZE[0]


def test_excluded_labels_and_roles_give_no_points(road):
    made = road(
        POINTS,
        LABELS,
        points_organized=False,
        points_exclude_labels='building',
        points_exclude_roles='dynamic',
    )
    cloud = send(made, 1, POINTS)
    assert set(np.frombuffer(cloud.data, POINT)['label']) == {ID['road']}

    (result,) = made.node.set_parameters([Parameter('points_exclude_labels', value='rod')])
    assert not result.successful
    assert 'names rod, but the labels of the bundle are road' in result.reason


def test_labels_names_are_latched(road):
    made = road(DEPTH)
    late = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    made.listen(LABEL_NAMES, kind=ALL_TOPICS[LABEL_NAMES], qos=late)
    made.until(lambda: made.received[LABEL_NAMES])
    names = json.loads(made.received[LABEL_NAMES][0].data)
    assert names == json.loads(json.dumps([label._asdict() for label in CITYSCAPES]))


@pytest.mark.parametrize(('topic', 'kind'), [('odom', Odometry), ('twist', TwistStamped)])
def test_speeds_are_received(road, topic, kind):
    made = road(DEPTH, **{'scale.mode': 'odometry'})
    publisher = made.peer.create_publisher(kind, topic, 5)
    made.until(publisher.get_subscription_count)
    for second in (1, 2):
        message = kind()
        message.header.stamp.sec = second
        twist = message.twist.twist if kind is Odometry else message.twist
        twist.linear.x, twist.linear.y = 3.0, -4.0
        publisher.publish(message)
    speeds = made.node._pipeline._scaler.speeds
    made.until(lambda: speeds.distance(1.0, 2.0) is not None)
    assert speeds.distance(1.0, 2.0) == pytest.approx(5.0)


def test_a_speed_with_a_stamp_before_the_epoch_harms_nobody(road):
    made = road(DEPTH, **{'scale.mode': 'odometry', 'scale.before_first': 'relative'})
    publisher = made.peer.create_publisher(TwistStamped, 'twist', 5)
    made.until(publisher.get_subscription_count)
    message = TwistStamped()
    message.twist.linear.x = 3.0
    message.header.stamp.sec = -2
    publisher.publish(message)
    speeds = made.node._pipeline._scaler.speeds
    made.until(lambda: speeds.distance(-2.0, -1.9) is not None)
    send(made, 1, DEPTH)


def transform(parent, child, z, w=1.0):
    stamped = PoseStamped()
    stamped.header.frame_id = parent
    move, turn = SimpleNamespace(x=1.0, y=0.0, z=z), SimpleNamespace(x=0.0, y=0.0, z=0.0, w=w)
    return SimpleNamespace(
        header=stamped.header,
        child_frame_id=child,
        transform=SimpleNamespace(translation=move, rotation=turn),
    )


def test_height_over_the_base_comes_from_static_transforms(rig):
    inputs = ScaleInputs(rig(start=False).node, None)
    assert inputs.height('base_footprint', 'camera_optical') is None
    inputs.on_transforms(
        SimpleNamespace(
            transforms=[
                transform('base_footprint', 'base_link', 0.2),
                transform('base_link', 'camera_optical', 1.3),
            ]
        )
    )
    assert inputs.height('base_footprint', 'camera_optical') == pytest.approx(1.5)
    # A camera under its base has no height over the road.
    inputs.on_transforms(SimpleNamespace(transforms=[transform('base_footprint', 'low', -0.2)]))
    assert inputs.height('base_footprint', 'low') is None
    inputs.destroy()


def test_transforms_that_are_none_are_named_and_left_out(rig, monkeypatch):
    lines = []
    logger = type(rclpy.logging.get_logger('x'))
    monkeypatch.setattr(logger, 'warning', lambda _, line, **options: lines.append(line))
    inputs = ScaleInputs(rig(start=False).node, None)
    transforms = [
        transform('map', 'zero', 1.0, w=0.0),
        transform('map', 'nan', float('nan')),
        transform('base_footprint', 'camera_optical', 1.5),
    ]
    inputs.on_transforms(SimpleNamespace(transforms=transforms))
    assert inputs.height('base_footprint', 'camera_optical') == pytest.approx(1.5)
    assert [line.split(' is left out: a ')[0] for line in lines] == [
        "/tf_static from 'map' to 'zero'",
        "/tf_static from 'map' to 'nan'",
    ]
    inputs.destroy()


def test_speeds_are_listened_to_in_the_mode_that_needs_them(rig):
    made = rig()

    def subscribed():
        topics = (f'{made.namespace}/{topic}' for topic in ('odom', 'twist'))
        return [made.peer.count_subscribers(topic) for topic in topics]

    assert made.estimator
    made.until(lambda: made.peer.count_subscribers(f'{made.namespace}/camera_info') == 1)
    assert subscribed() == [0, 0]
    for mode, expected in (('odometry', [1, 1]), ('camera_height', [0, 0])):
        made.node.set_parameters([Parameter('scale.mode', value=mode)])
        made.until(lambda e=expected: subscribed() == e)


def test_speeds_that_cannot_be_listened_to_are_said_and_end_nothing(rig, monkeypatch):
    lines = []
    logger = type(rclpy.logging.get_logger('x'))
    monkeypatch.setattr(logger, 'error', lambda _, line, **options: lines.append(line))
    made = rig()
    assert made.estimator
    name = f'qos_overrides.{made.namespace}/twist.subscription.durability'
    made.node._parameter_overrides[name] = Parameter(name, value='transient_local')
    made.node.set_parameters([Parameter('scale.mode', value='odometry')])
    made.until(lambda: lines)
    assert 'cannot listen to the speed: ' in lines[0]
    assert 'transient_local needs reliability reliable' in lines[0]
    assert made.peer.count_subscribers(f'{made.namespace}/odom') == 0
    made.until(lambda: len(lines) > 1)
