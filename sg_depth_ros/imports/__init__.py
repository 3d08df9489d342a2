# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Published networks of others become bundles, and weights to train on from."""
