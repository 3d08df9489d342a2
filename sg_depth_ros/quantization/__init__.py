# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bundles in eight bits: calibration, the graphs, and what is better left in float32."""
