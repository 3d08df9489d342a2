# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera in a process of its own: large best-effort images of one colour, until it is ended."""

import contextlib
import sys

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image

width, height, focal = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
color = bytes(int(value) for value in sys.argv[4:7])
rclpy.init()
node = rclpy.create_node('camera')
images = node.create_publisher(Image, 'camera/image_rect', qos_profile_sensor_data)
infos = node.create_publisher(CameraInfo, 'camera/camera_info', 5)
info = CameraInfo(width=width, height=height)
info.k = [focal, 0.0, width / 2, 0.0, focal, height / 2, 0.0, 0.0, 1.0]
image = Image(width=width, height=height, encoding='rgb8', step=3 * width)
image.data.frombytes(color * (width * height))
for message in (info, image):
    message.header.frame_id = 'eye'
    message.header.stamp.sec, message.header.stamp.nanosec = 1234, 567


def publish() -> None:
    infos.publish(info)
    images.publish(image)


node.create_timer(0.1, publish)
with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
    rclpy.spin(node)
