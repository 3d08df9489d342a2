# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from evaluation_worlds import CAMERA, LIDAR_IN_CAMERA, lidar_points, road

from sg_depth_ros.evaluation.lidar import project_points, remove_occluded, splat_nearest


def test_points_come_back_to_their_pixels():
    _, depth = road()
    projected = project_points(lidar_points(depth, step=2)[:, :3], LIDAR_IN_CAMERA, CAMERA)
    hit = ~np.isnan(projected)
    assert hit.sum() == 32 * 48
    assert hit[1::2, ::2].all()
    assert projected[hit] == pytest.approx(depth[hit], rel=1e-5)


def test_points_behind_and_beside_are_left_out():
    points = np.array([[0, 0, -5], [0, 0, 0], [100, 0, 1], [np.nan, 0, 1], [0, 0, 5.0]])
    projected = project_points(points, np.eye(4), CAMERA)
    rows, columns = np.nonzero(~np.isnan(projected))
    # The principal point lies between pixels; a half is rounded to even.
    assert (rows.tolist(), columns.tolist()) == ([32], [48])
    assert projected[32, 48] == 5


@pytest.mark.parametrize('order', [[0, 1, 2], [2, 1, 0], [1, 0, 2]])
def test_nearest_return_wins(order):
    depth = np.array([30.0, 4.0, 12.0])[order]
    image = splat_nearest(np.full(3, 1), np.full(3, 2), depth, 3, 4)
    assert image[1, 2] == 4
    assert np.isnan(image).sum() == 11


def test_background_between_foreground_is_removed():
    """A car at 8 m in every other column, what the LiDAR saw over it at 30 m between."""
    depth = np.full((20, 60), np.nan, np.float32)
    depth[::2, 10:30:4] = 8
    depth[::2, 12:32:4] = 30
    depth[::2, 40:] = 32
    cleaned = remove_occluded(depth)
    assert np.array_equal(cleaned == 8, depth == 8)
    assert not (cleaned == 30).any()
    assert np.array_equal(cleaned == 32, depth == 32)


def test_sky_and_smooth_ground_stay():
    depth = np.repeat(np.array([[np.inf], [40.0], [36.0], [33.0]], np.float32), 8, 1)
    cleaned = remove_occluded(depth)
    assert np.isposinf(cleaned[0]).all()
    assert np.array_equal(cleaned, depth)


@pytest.mark.filterwarnings('error')
def test_wide_sky_stays_without_a_warning():
    depth = np.full((30, 30), np.inf, np.float32)
    assert np.array_equal(remove_occluded(depth), depth)


def test_a_return_from_infinitely_far_is_none():
    """A LiDAR says so of a beam that did not come back; NaN of one that it is not sure of."""
    rows, columns = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 0])
    depth = splat_nearest(rows, columns, np.array([np.inf, np.nan, np.inf, 5.0]), 2, 2)
    assert depth[1, 0] == 5
    assert np.isnan(depth).sum() == 3
