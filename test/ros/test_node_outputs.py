# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the node publishes for an image, seen by a subscriber."""

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

import cv2
import numpy as np
from rig import CAR, HEIGHT, NETWORK, SKY, WIDTH, make_image, make_info, pixels
from sensor_msgs.msg import CompressedImage

from sg_depth_ros.bundle.labels import palette
from sg_depth_ros.geometry.point_cloud import POINT
from sg_depth_ros.ros.outputs import COLORS, DEPTH, DEPTH_INFO, LABELS, POINTS

TOPICS = (DEPTH, DEPTH_INFO, POINTS, LABELS, COLORS)


def as_array(message, dtype):
    return np.frombuffer(message.data, dtype).reshape(message.height, message.width, -1).squeeze()


def expected_depth(array):
    depth = array[..., 0].astype(np.float32) * 2
    depth[array[..., 2] > 200] = np.inf
    return depth


def drive(made, array, info=True):
    made.listen(*TOPICS)
    made.connect()
    assert made.estimator
    if info:
        made.send(make_info())
    made.send(make_image(array))
    made.until(lambda: all(made.received[topic] for topic in TOPICS))
    return {topic: made.received[topic][0] for topic in TOPICS}


@pytest.mark.parametrize('size', ['network', 'image'])
def test_all_outputs(rig, size):
    array = pixels(blue=255)
    outputs = drive(rig(output_size=size), array)
    step = 1 if size == 'image' else 2
    array = array[::step, ::step]
    height, width = array.shape[:2]
    for message in outputs.values():
        assert message.header == make_image().header
        assert (message.height, message.width) == (height, width)
    assert outputs[DEPTH].encoding == '32FC1'
    np.testing.assert_array_equal(as_array(outputs[DEPTH], np.float32), expected_depth(array))
    labels = np.where(array[..., 2] > 200, SKY, CAR)
    assert outputs[LABELS].encoding == 'mono8'
    np.testing.assert_array_equal(as_array(outputs[LABELS], np.uint8), labels)
    assert outputs[COLORS].encoding == 'rgb8'
    np.testing.assert_array_equal(as_array(outputs[COLORS], np.uint8), palette()[labels])

    info = outputs[DEPTH_INFO]
    k = np.array([[20 / step, 0, 0], [0, 20 / step, 0], [0, 0, 1]])
    k[0, 2] = (WIDTH / 2 + 0.5) / step - 0.5
    k[1, 2] = (HEIGHT / 2 + 0.5) / step - 0.5
    np.testing.assert_allclose(info.k.reshape(3, 3), k)
    np.testing.assert_allclose(info.p.reshape(3, 4), np.c_[k, np.zeros(3)])
    np.testing.assert_array_equal(info.r.reshape(3, 3), np.eye(3))
    assert not any(info.d)

    cloud = outputs[POINTS]
    assert not cloud.is_dense
    points = as_array(cloud, POINT)
    depth = expected_depth(array)
    for v, u in [(height - 1, 0), (height // 2, width - 1)]:
        z = float(depth[v, u])
        xyz = [(u - k[0, 2]) / k[0, 0] * z, (v - k[1, 2]) / k[1, 1] * z, z]
        np.testing.assert_allclose([points[v, u][axis] for axis in 'xyz'], xyz, rtol=1e-5)
        assert points['rgb'][v, u].tobytes() == bytes([*array[v, u, ::-1], 0])
        assert points['label'][v, u] == CAR
    assert np.isnan(points['z'][array[..., 2] > 200]).all()


def test_millimetres_and_points_that_are_not_organized(rig):
    array = pixels(blue=255)
    outputs = drive(
        rig(
            depth_encoding='16UC1',
            points_organized=False,
            points_stride=2,
            min_range=20.0,
            max_range=90.0,
        ),
        array,
    )
    depth = expected_depth(array[::2, ::2])
    # A red of 33 and more is beyond 65.535 m.
    millimetres = np.where((depth >= 20) & (depth < 65.536), depth * 1000, 0)
    assert outputs[DEPTH].encoding == '16UC1'
    np.testing.assert_array_equal(as_array(outputs[DEPTH], np.uint16), millimetres)
    kept = depth[::2, ::2]
    kept = kept[(kept >= 20) & (kept <= 90)]
    cloud = outputs[POINTS]
    assert (cloud.height, cloud.width, cloud.is_dense) == (1, kept.size, True)
    np.testing.assert_array_equal(np.frombuffer(cloud.data, POINT)['z'], kept)


def test_parameters_take_effect_on_the_next_frame(rig):
    made = rig()
    made.listen(DEPTH)
    made.connect()
    assert made.estimator
    made.send(make_info())
    made.send(make_image())
    made.until(lambda: len(made.received[DEPTH]) == 1)
    from rclpy.parameter import Parameter

    (result,) = made.node.set_parameters([Parameter('output_size', value='image')])
    assert result.successful
    made.send(make_image())
    made.until(lambda: len(made.received[DEPTH]) == 2)
    assert [message.width for message in made.received[DEPTH]] == [NETWORK[0], WIDTH]


@pytest.mark.parametrize(
    'rule', ['image:=front/image_raw', 'image/compressed:=front/image_raw/compressed']
)
def test_compressed_topic_follows_remappings(rig, rule):
    made = rig(image_transport='compressed', remap=[rule])
    made.listen(DEPTH)
    made.connect('front/image_raw/compressed', CompressedImage)
    assert made.estimator
    made.send(make_info())
    array = pixels()
    message = CompressedImage(header=make_image().header, format='rgb8; png compressed bgr8')
    message.data.frombytes(cv2.imencode('.png', array[..., ::-1])[1].tobytes())
    made.send(message)
    made.until(lambda: made.received[DEPTH])
    depth = as_array(made.received[DEPTH][0], np.float32)
    np.testing.assert_array_equal(depth, expected_depth(array)[::2, ::2])
    assert made.received[DEPTH][0].header == message.header
    assert made.node._camera.topic == f'{made.namespace}/front/image_raw/compressed'
