# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
import sys
from types import ModuleType

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image, PointField
from std_msgs.msg import Header

from sg_depth_ros.geometry.point_cloud import POINT
from sg_depth_ros.images.decoding import ImageError
from sg_depth_ros.ros.messages import cloud_message, image_message, rgb_from_message

HEADER = Header(frame_id='camera')


def make_points(shape, hole):
    random = np.random.default_rng(0)
    points = np.zeros(shape, POINT)
    for name in POINT.names:
        points[name] = random.integers(1, 99, shape)
    if hole:
        for axis in 'xyz':
            points[axis].flat[3] = np.nan
    return points


@pytest.mark.parametrize(('shape', 'hole'), [((3, 4), True), ((3, 4), False), ((7,), False)])
def test_cloud_is_equal_to_that_of_sensor_msgs_py(shape, hole):
    point_cloud2 = pytest.importorskip(
        'sensor_msgs_py.point_cloud2', reason='sensor_msgs_py is not installed'
    )
    points = make_points(shape, hole)
    fields = [
        PointField(name=name, offset=offset, datatype=kind, count=1)
        for name, offset, kind in [
            ('x', 0, PointField.FLOAT32),
            ('y', 4, PointField.FLOAT32),
            ('z', 8, PointField.FLOAT32),
            ('rgb', 12, PointField.FLOAT32),
            ('label', 16, PointField.UINT32),
        ]
    ]
    theirs = point_cloud2.create_cloud(HEADER, fields, points.reshape(-1))
    if len(shape) == 2:
        # Given two dimensions it takes the first for the width, which transposes an image.
        theirs.height, theirs.width = shape
        theirs.row_step = 20 * theirs.width
    theirs.is_dense = not hole  # it never promises that
    ours = cloud_message(HEADER, points)
    assert ours == theirs
    assert ours.data.tobytes() == theirs.data.tobytes()


@pytest.mark.parametrize('size', [1, 12, 30])
def test_a_message_can_be_filled_again(size):
    message = cloud_message(Header(), make_points((size,), False))
    data, points = message.data, make_points((3, 4), False)
    assert cloud_message(HEADER, points, message) is message
    assert message == cloud_message(HEADER, points)
    assert message.data is data


def test_empty_cloud():
    cloud = cloud_message(HEADER, np.zeros(0, POINT))
    assert (cloud.height, cloud.width, len(cloud.data), cloud.is_dense) == (1, 0, 0, True)
    assert (cloud.point_step, cloud.row_step) == (20, 0)


@pytest.mark.parametrize(
    ('encoding', 'dtype', 'shape', 'step'),
    [
        ('32FC1', np.float32, (3, 5), 20),
        ('16UC1', np.uint16, (3, 5), 10),
        ('mono8', np.uint8, (3, 5), 5),
        ('rgb8', np.uint8, (3, 5, 3), 15),
    ],
)
def test_image(encoding, dtype, shape, step):
    # Every second row: arrays need not be contiguous.
    pixels = np.random.default_rng(0).integers(0, 200, (6, *shape[1:])).astype(dtype)[::2]
    message = image_message(HEADER, encoding, pixels)
    assert (message.encoding, message.height, message.width) == (encoding, 3, 5)
    assert message.step == step
    assert message.is_bigendian == (sys.byteorder == 'big')
    assert message.data.tobytes() == pixels.tobytes()


def test_unknown_encoding_says_what_would_help():
    message = Image(encoding='rgb32', height=1, width=1, step=4)
    with pytest.raises(ImageError, match=r"'rgb32' is not known.*or install cv_bridge"):
        rgb_from_message(message)


def test_exotic_encodings_go_to_cv_bridge(monkeypatch):
    class CvBridgeError(Exception):
        pass

    class CvBridge:
        def imgmsg_to_cv2(self, message, encoding):
            if message.encoding == 'nonsense':
                raise CvBridgeError('what is this')
            assert encoding == 'rgb8'
            return np.full((1, 1, 3), 7, np.uint8)

    module = ModuleType('cv_bridge')
    module.CvBridge, module.CvBridgeError = CvBridge, CvBridgeError
    monkeypatch.setitem(sys.modules, 'cv_bridge', module)
    assert rgb_from_message(Image(encoding='bayer_rggb16')).tolist() == [[[7, 7, 7]]]
    with pytest.raises(ImageError, match='cv_bridge says: what is this'):
        rgb_from_message(Image(encoding='nonsense'))


def test_a_compressed_image_is_refused_before_memory_is_taken_for_it():
    message = CompressedImage(format='jpeg')
    message.data = cv2.imencode('.jpg', np.zeros((20, 30, 3), np.uint8))[1].tobytes()
    assert rgb_from_message(message, 600).shape == (20, 30, 3)
    with pytest.raises(ImageError, match='30x20 pixels, more than 599'):
        rgb_from_message(message, 599)
