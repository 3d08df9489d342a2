# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How fast bundles are in engines, measured in one run so that ratios are fair."""
