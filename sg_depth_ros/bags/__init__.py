# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read and write rosbag2 recordings without ROS, through the pure-Python ``rosbags``."""

from sg_depth_ros.bags.finding import BagError
from sg_depth_ros.bags.messages import (
    camera_info_message,
    compressed_image_message,
    image_message,
    odometry_message,
    point_cloud_array,
    point_cloud_message,
    static_transform_message,
)
from sg_depth_ros.bags.reader import (
    BagMessage,
    BagReader,
    StampedImage,
    is_rectified_topic,
)
from sg_depth_ros.bags.transforms import StaticTransforms
from sg_depth_ros.bags.writer import BagWriter

__all__ = [
    'BagError',
    'BagMessage',
    'BagReader',
    'BagWriter',
    'StampedImage',
    'StaticTransforms',
    'camera_info_message',
    'compressed_image_message',
    'image_message',
    'is_rectified_topic',
    'odometry_message',
    'point_cloud_array',
    'point_cloud_message',
    'static_transform_message',
]
