# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The z-buffer and the textures against closed forms."""

import numpy as np
import pytest

from sg_depth_ros.bundle.labels import ID
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.synthetic.mesh import box, concatenate, polygons
from sg_depth_ros.synthetic.raster import Grid, clip_near, visible
from sg_depth_ros.synthetic.textures import cover, noise, noise_tile, pulses

CAMERA = PinholeCamera(160, 60, 92.5, 91.0, 78.3, 28.7)


def depth_of(mesh, camera=CAMERA, keep=None):
    """Depth of a mesh given in the optical frame, inf where nothing is hit."""
    polygon, inverse = visible(mesh.corners, mesh.two_sided, Grid.of_camera(camera), keep)
    with np.errstate(divide='ignore'):
        return np.where(polygon >= 0, 1 / inverse, np.inf), polygon


def ray_cast(quads, camera=CAMERA):
    """An independent reference: every ray against both triangles of every polygon."""
    rays = camera.rays().reshape(-1, 3).astype(np.float64)
    best = np.full(len(rays), np.inf)
    for quad in quads:
        for a, b, c in (quad[[0, 1, 2]], quad[[0, 2, 3]]):
            matrix = np.stack([b - a, c - a], 1)
            normal = np.cross(b - a, c - a)
            if np.linalg.norm(normal) < 1e-9:
                continue
            z = (normal @ a) / (rays @ normal)
            weights = np.linalg.lstsq(matrix, (rays * z[:, None] - a).T, rcond=None)[0]
            inside = (weights > 0).all(0) & (weights.sum(0) < 1) & (z > 0.2)
            best = np.where(inside & (z < best), z, best)
    return best.reshape(camera.height, camera.width)


def test_a_level_floor_is_height_times_focal_length_over_the_row():
    height = 1.65
    floor = polygons(
        [[(-500, height, -5), (500, height, -5), (500, height, 900), (-500, height, 900)]],
        ID['road'], two_sided=True,
    )  # fmt: skip
    depth, _ = depth_of(floor)
    rows = np.arange(CAMERA.height)
    expected = height * CAMERA.fy / np.where(rows > CAMERA.cy, rows - CAMERA.cy, np.nan)
    seen = expected < 899
    np.testing.assert_allclose(depth[seen], np.repeat(expected[seen][:, None], 160, 1), rtol=1e-5)
    assert np.isinf(depth[~seen]).all()


def test_a_box_at_a_known_distance_covers_the_pixels_that_it_should():
    # In the optical frame; only the front face at z = 10 can be seen.
    crate = box((-1.0, -0.5, 10), (1.5, 0.7, 12), ID['car'])
    crate.two_sided[:] = True
    front = polygons(
        [[(-1, -0.5, 10), (1.5, -0.5, 10), (1.5, 0.7, 10), (-1, 0.7, 10)]], 2, two_sided=True
    )
    depth, _ = depth_of(concatenate([crate, front]))
    u, v = np.arange(CAMERA.width), np.arange(CAMERA.height)
    x, y = (u - CAMERA.cx) / CAMERA.fx * 10, (v - CAMERA.cy) / CAMERA.fy * 10
    inside = ((y > -0.5) & (y < 0.7))[:, None] & ((x > -1) & (x < 1.5))
    np.testing.assert_array_equal(np.isfinite(depth), inside)
    np.testing.assert_allclose(depth[inside], 10, rtol=1e-6)


@pytest.mark.parametrize('seed', range(4))
def test_random_polygons_agree_with_ray_casting(seed):
    rng = np.random.default_rng(seed)
    # Planar convex quads, many of which reach behind the camera.
    center = rng.uniform((-6, -4, -2), (6, 4, 14), (40, 3))
    e1, e2 = rng.normal(size=(2, 40, 3)) * 2
    quads = np.stack([center - e1, center + e2, center + e1, center - e2], 1)
    mesh = polygons(quads, 0, two_sided=True)
    depth, _ = depth_of(mesh)
    expected = ray_cast(quads)
    both = np.isfinite(depth) & np.isfinite(expected)
    # A ray through an edge may be seen by either side.
    assert (np.isfinite(depth) != np.isfinite(expected)).mean() < 0.002
    close = np.isclose(depth[both], expected[both], rtol=1e-4)
    assert close.mean() > 0.998
    assert both.sum() > 1000


def test_neighbours_leave_no_gap_and_no_overlap():
    rng = np.random.default_rng(3)
    grid = rng.uniform(-0.2, 0.2, (9, 9, 3)) * (1, 1, 0) + np.stack(
        [*np.meshgrid(np.linspace(-12, 12, 9), np.linspace(-5, 5, 9)), np.full((9, 9), 8.0)], -1
    )
    a, b, c, d = grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]
    triangles = np.concatenate([np.stack([a, b, c, c], 2), np.stack([a, c, d, d], 2)])
    depth, _ = depth_of(polygons(triangles, 0, two_sided=True))
    np.testing.assert_allclose(depth, 8, rtol=1e-5)


def test_only_the_outside_of_one_sided_polygons_is_seen():
    facing = np.array([[(-1, -1, 5), (-1, 1, 5), (1, 1, 5), (1, -1, 5)]], float)
    away = facing[:, ::-1]
    seen = [np.isfinite(depth_of(polygons(q, 0))[0]).any() for q in (facing, away)]
    # Counter-clockwise as seen from the camera, y down.
    assert seen == [True, False]


def test_clipping_keeps_the_part_beyond_the_near_plane():
    quad = np.array([[(0, 0, -1.0), (0, 0, 3), (2, 0, 3), (2, 0, -1)]])
    pieces, owner = clip_near(quad, near=1.0)
    assert set(owner) == {0}
    assert pieces[..., 2].min() == pytest.approx(1.0)
    a, b, c, d = pieces.transpose(1, 0, 2)
    areas = (np.linalg.norm(np.cross(b - a, c - a), axis=1)
             + np.linalg.norm(np.cross(c - a, d - a), axis=1)) / 2  # fmt: skip
    assert areas.sum() == pytest.approx(4.0)


def test_texture_coordinates_follow_the_corners():
    corners = np.array([[(1, 2, 3), (3, 2, 3), (3, 2, 7), (1, 2, 7.0)]])
    uv = np.array([(5.0, 1), (6, 1), (6, 9), (5, 9)])
    mesh = polygons(corners, 0, uv=uv)
    found = mesh.texture[0, :, :3] @ (corners[0] - corners[0, 0]).T + mesh.texture[0, :, 3:]
    np.testing.assert_allclose(found.T, uv, atol=1e-12)
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]])
    moved = mesh.placed(turn, (10, 20, 30))
    found = moved.texture[0, :, :3] @ (moved.corners[0] - moved.corners[0, 0]).T
    np.testing.assert_allclose((found + moved.texture[0, :, 3:]).T, uv, atol=1e-12)


def test_filtered_pulses_equal_a_dense_average():
    x = np.linspace(-3, 5, 57).astype(np.float32)
    for width in (0.01, 0.7, 4.0):
        fine = x[:, None] + width * (np.arange(4000) / 4000 - 0.5 + 1 / 8000)
        expected = (np.mod(fine, 1.5) < 0.4).mean(1)
        np.testing.assert_allclose(pulses(x, width, 1.5, 0.4), expected, atol=2e-2)
    np.testing.assert_allclose(cover(np.array([0.0, 1.0, 1.2]), 0.4, 0, 1), [0.5, 0.5, 0.0])


def test_noise_fades_out_below_a_pixel_and_tiles():
    rng = np.random.default_rng(0)
    u, v = rng.uniform(-50, 50, (2, 20000)).astype(np.float32)
    zero = np.zeros_like(u)
    near = noise(u, v, zero + 0.001, 1.0, 4, zero)
    far = noise(u, v, zero + 2.0, 1.0, 4, zero)
    assert 0.7 < near.std() < 1.3
    assert abs(near.mean()) < 0.1
    assert not far.any()
    tile = noise_tile()
    assert np.abs(tile[0] - tile[-1]).max() < np.abs(np.diff(tile, axis=0)).max() * 1.5
