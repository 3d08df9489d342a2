# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT 10, TensorRT 11 and TensorRT-RTX: engines that are built, checked, cached and run."""
