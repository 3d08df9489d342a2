# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cameras, the plane of the ground, and point clouds: pure functions on arrays."""
