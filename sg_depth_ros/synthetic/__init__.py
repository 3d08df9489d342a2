# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A procedural street with exact depth, labels, LiDAR and motion."""

from sg_depth_ros.synthetic.drive import Street, StreetFrame, drive, street_camera
from sg_depth_ros.synthetic.lidar import LidarOptions, simulate_lidar
from sg_depth_ros.synthetic.options import StreetOptions
from sg_depth_ros.synthetic.recording import write_bag, write_folder

__all__ = [
    'LidarOptions',
    'Street',
    'StreetFrame',
    'StreetOptions',
    'drive',
    'simulate_lidar',
    'street_camera',
    'write_bag',
    'write_folder',
]
