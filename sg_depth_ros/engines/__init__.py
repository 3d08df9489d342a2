# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Inference engines: one small module per run-time behind one protocol."""
