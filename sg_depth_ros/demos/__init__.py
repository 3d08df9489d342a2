# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What ``make demo`` and the pictures of the documentation run."""
