# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Playing a bag through the running node, and what is written of it for people."""
