# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where frames with truth come from: folders, KITTI, bags with LiDAR, the procedural street."""
