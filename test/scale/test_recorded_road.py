# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The fit of the road on LiDAR instead of a network: is the camera found at its known height?"""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from sg_depth_ros.bundle.labels import ID
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.images.files import read_depth, read_labels
from sg_depth_ros.scale import fit_road, road

FOLDER = Path(os.environ.get('SG_DEPTH_DATA', '../shared/data')) / 'kitti_lidar'
KNOWN_HEIGHT = 1.65
"""Metres, as KITTI documents its cameras."""


@pytest.mark.skipif(not FOLDER.exists(), reason='needs the road data: set SG_DEPTH_DATA')
def test_height_over_a_real_road(monkeypatch):
    monkeypatch.setattr(road, 'MIN_SHARE', 3e-4)  # LiDAR meets few pixels
    heights = []
    with (FOLDER / 'intrinsics.csv').open() as file:
        for row in csv.DictReader(file):
            depth = read_depth(FOLDER / 'depth' / f'{row["name"]}.png')
            labels = read_labels(FOLDER / 'labels' / f'{row["name"]}.png')
            intrinsics = (float(row[name]) for name in ('fx', 'fy', 'cx', 'cy'))
            camera = PinholeCamera(*depth.shape[::-1], *intrinsics)
            plane, problem = fit_road(depth, labels, camera, [ID['road']])
            assert plane is not None, problem
            heights.append(plane.height)
    errors = np.abs(np.array(heights) / KNOWN_HEIGHT - 1)
    print(f'\n{len(heights)} images: median {np.median(heights):.3f} m; errors '
          f'{np.median(errors):.2%} in the median, {np.percentile(errors, 95):.2%} at the 95th '
          'percentile')  # fmt: skip
    assert np.median(errors) < 0.02
    assert np.percentile(errors, 95) < 0.06
