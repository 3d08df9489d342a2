# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image messages that promise more than there is."""

import struct
import zlib

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from sg_depth_ros.images.decoding import ImageError
from sg_depth_ros.ros.messages import rgb_from_message


def claiming(suffix, width, height):
    """A small image whose header says that it has this size."""
    data = cv2.imencode(suffix, np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    if suffix == '.png':
        start = data.index(b'IHDR')
        chunk = data[start : start + 4] + struct.pack('>II', width, height)
        chunk += data[start + 12 : start + 17]
        data = data[:start] + chunk + struct.pack('>I', zlib.crc32(chunk)) + data[start + 21 :]
    else:
        start = data.index(b'\xff\xc0') + 5
        data = data[:start] + struct.pack('>HH', height, width) + data[start + 4 :]
    message = CompressedImage(format=suffix[1:])
    message.data.frombytes(data)
    return message


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_a_header_that_promises_too_much_is_refused_before_decoding(suffix, monkeypatch):
    assert rgb_from_message(claiming(suffix, 8, 8), 64).shape == (8, 8, 3)
    monkeypatch.setattr(cv2, 'imdecode', None)
    for message, most in (
        (claiming(suffix, 20000, 20000), 64_000_000),
        (claiming(suffix, 8, 8), 63),
    ):
        with pytest.raises(ImageError, match=f'more than {most}'):
            rgb_from_message(message, most)


def test_a_raw_image_that_promises_too_much_is_refused_before_all_else():
    message = Image(encoding='steam', width=20000, height=20000)
    with pytest.raises(
        ImageError, match='found an image of 20000x20000, expected 64000000 pixels'
    ):
        rgb_from_message(message, 64_000_000)
