# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ROS 2 side: the node and all that touches rclpy."""
