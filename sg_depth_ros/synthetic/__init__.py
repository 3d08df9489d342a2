# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A procedural street with exact depth, labels, LiDAR and motion."""

from sg_depth_ros.synthetic.drive import Street, StreetFrame, drive
from sg_depth_ros.synthetic.options import StreetOptions

__all__ = ['Street', 'StreetFrame', 'StreetOptions', 'drive']
