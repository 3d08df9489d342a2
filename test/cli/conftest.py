# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from evaluation_worlds import bag, bundle, folder

__all__ = ['bag', 'bundle', 'folder']
