# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0

import numpy as np
import pytest

from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.geometry.ground_plane import fit_ground_plane

CAMERA = PinholeCamera(160, 64, 120.0, 120.0, 79.5, 28.0)


def world(height=1.6, pitch=0.0, roll=0.0, noise=0.0, wall=25.0, scale=1.0, seed=0):
    """Give points of a tilted ground up to a wall, and the true normal."""
    p, r = np.radians([pitch, roll])
    normal = np.array([np.sin(r), -np.cos(p) * np.cos(r), -np.sin(p) * np.cos(r)])
    rays = CAMERA.rays().reshape(-1, 3).astype(np.float64)
    down = -(rays @ normal)
    depth = np.where(down > 1e-3, height / np.maximum(down, 1e-3), wall)
    depth = np.minimum(depth, wall)
    rng = np.random.default_rng(seed)
    depth *= 1 + noise * rng.standard_normal(depth.shape)
    return scale * rays * depth[:, None], normal


def test_the_plane_under_a_camera_is_found_exactly():
    points, normal = world(pitch=3.0, roll=-2.0, wall=1e4)
    plane = fit_ground_plane(points)
    np.testing.assert_allclose(plane.normal, normal, atol=1e-6)
    assert plane.height == pytest.approx(1.6, rel=1e-6)
    assert 0.4 < plane.inliers < 0.7


def test_noise_of_depth_is_borne_and_the_scale_is_any():
    points, normal = world(noise=0.04, scale=37.0)
    plane = fit_ground_plane(points)
    assert plane.height == pytest.approx(37 * 1.6, rel=0.02)
    assert np.degrees(np.arccos(plane.normal @ normal)) < 1.0


def test_infinite_holes_do_not_draw_the_plane_down():
    points, _ = world(noise=0.02)
    points = points.reshape(64, 160, 3)
    points[40:55, 60:110] *= 30
    plane = fit_ground_plane(points)
    assert plane.height == pytest.approx(1.6, rel=0.02)
    assert plane.above(points[54, 80]) < -10
    assert plane.above(points[60, 20]) == pytest.approx(0, abs=0.2)


def test_rays_reach_the_plane_where_it_is():
    points, _ = world()
    plane = fit_ground_plane(points)
    rays = CAMERA.rays()
    reached = plane.distance_along(rays)
    # One row is (v - cy) / fy below the horizon.
    np.testing.assert_allclose(reached[58], 1.6 * 120 / 30, rtol=1e-5)
    assert np.isinf(reached[:28]).all()


def test_there_is_no_ground_in_a_wall_or_in_too_few_points():
    rays = CAMERA.rays().reshape(-1, 3)
    assert fit_ground_plane(rays * 10) is None
    assert fit_ground_plane(world()[0][-20:]) is None
    assert fit_ground_plane(np.full((100, 3), np.nan)) is None
    # A ceiling is level too, but above the camera.
    ceiling, _ = world()
    assert fit_ground_plane(ceiling[CAMERA.width * 40 :] * [1, -1, 1]) is None
    line = np.outer(np.linspace(1, 2, 100), [0.0, 1.0, 5.0])
    assert fit_ground_plane(line) is None
