# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recorded clouds have the colours that Rerun reads."""

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from sg_depth_ros.geometry.point_cloud import POINT
from sg_depth_ros.replay.colored_cloud import with_rerun_colors
from sg_depth_ros.ros.messages import cloud_message


def points(shape):
    cloud = np.zeros(shape, POINT)
    cloud['x'] = np.arange(cloud.size).reshape(shape)
    cloud['label'] = 13
    # b, g, r as the node writes them.
    cloud.view(np.uint8).reshape(*shape, POINT.itemsize)[..., 12:15] = (30, 20, 10)
    return cloud


@pytest.mark.parametrize('shape', [(5,), (2, 3), (0,)])
def test_a_field_is_added_and_the_rest_stays(shape):
    message = cloud_message(Header(frame_id='eye'), points(shape))
    back = deserialize_message(with_rerun_colors(serialize_message(message)), PointCloud2)
    assert back.header == message.header
    assert (back.height, back.width) == (message.height, message.width)
    assert back.row_step == back.width * back.point_step == len(back.data) // max(back.height, 1)
    assert list(back.fields[:-1]) == list(message.fields)
    field = back.fields[-1]
    assert (field.name, field.offset, field.datatype) == ('colors', POINT.itemsize, 6)
    data = np.frombuffer(back.data, np.uint8).reshape(-1, back.point_step)
    before = np.frombuffer(message.data, np.uint8).reshape(-1, POINT.itemsize)
    np.testing.assert_array_equal(data[:, : POINT.itemsize], before)
    colors = np.ascontiguousarray(data[:, POINT.itemsize :]).view('<u4')
    assert (colors == 0x0A141EFF).all()  # red, green, blue, opacity from the highest byte on


def test_what_has_no_colours_or_has_them_already_stays_as_it_is():
    plain = cloud_message(Header(), points((3,))[['x', 'y', 'z']].copy())
    raw = serialize_message(plain)
    assert with_rerun_colors(raw) == raw
    once = with_rerun_colors(serialize_message(cloud_message(Header(), points((3,)))))
    assert with_rerun_colors(once) == once
