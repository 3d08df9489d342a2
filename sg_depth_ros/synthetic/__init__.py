# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A procedural street with exact depth, labels, LiDAR and motion."""
