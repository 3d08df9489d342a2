# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth and labels for slow links, as a subscriber gets them from the node."""

import struct

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

import cv2
import numpy as np
from rig import make_image, make_info, pixels

from sg_depth_ros.bundle.labels import palette
from sg_depth_ros.images.decoding import decode_compressed
from sg_depth_ros.ros.outputs import COLORS, DEPTH, LABELS

COMPRESSED_DEPTH, COMPRESSED_COLORS = f'{DEPTH}/compressedDepth', f'{COLORS}/compressed'
NAMES = 'depth.image_rect.compressedDepth'


def drive(made, *topics):
    made.listen(*topics)
    made.connect()
    assert made.estimator
    made.send(make_info())
    made.send(make_image(pixels(red=2, blue=255)))
    made.until(lambda: all(made.received[topic] for topic in topics))
    return [made.received[topic][0] for topic in topics]


def array(message, dtype):
    return np.frombuffer(message.data, dtype).reshape(message.height, message.width)


def test_float_depth(rig):
    options = {f'{NAMES}.depth_max': 60.0, f'{NAMES}.depth_quantization': 150.0}
    raw, packed = drive(rig(**options), DEPTH, COMPRESSED_DEPTH)
    assert packed.format == '32FC1; compressedDepth png'
    assert packed.header == raw.header
    depth = array(raw, np.float32)
    kind, a, b = struct.unpack('<iff', bytes(packed.data[:12]))
    stored = cv2.imdecode(np.frombuffer(packed.data, np.uint8)[12:], cv2.IMREAD_UNCHANGED)
    assert (kind, a) == (0, 150 * 151)
    np.testing.assert_array_equal(stored > 0, depth < 60)
    near = depth < 60
    assert near.any() and not near.all()
    back = a / (stored[near].astype(float) - b)
    assert (np.abs(back - depth[near]) <= depth[near] * back / a + 1e-3).all()


def test_depth_in_millimetres(rig):
    raw, packed = drive(rig(depth_encoding='16UC1', **{f'{NAMES}.depth_max': 50.0}), DEPTH,
                        COMPRESSED_DEPTH)  # fmt: skip
    assert packed.format == '16UC1; compressedDepth png'
    stored = cv2.imdecode(np.frombuffer(packed.data, np.uint8)[12:], cv2.IMREAD_UNCHANGED)
    depth = array(raw, np.uint16)
    np.testing.assert_array_equal(stored, np.where(depth > 50000, 0, depth))
    assert stored.any()


@pytest.mark.parametrize('kind', ['png', 'jpeg'])
def test_colours(rig, kind):
    made = rig(**{'semantic.color.compressed.format': kind})
    labels, packed = drive(made, LABELS, COMPRESSED_COLORS)
    assert packed.format == f'rgb8; {kind} compressed bgr8'
    colors = palette()[array(labels, np.uint8)]
    back = decode_compressed(packed.data, packed.format)
    assert np.abs(back.astype(int) - colors).mean() <= (0 if kind == 'png' else 20)


def test_their_topics_follow_the_remapping_of_the_image(rig):
    made = rig(remap=['depth/image_rect:=range/image'])
    name = f'{made.namespace}/range/image'
    made.until(lambda: made.peer.count_publishers(f'{name}/compressedDepth'))
    assert made.peer.count_publishers(name) == 1
    assert made.peer.count_publishers(f'{made.namespace}/{COMPRESSED_DEPTH}') == 0
