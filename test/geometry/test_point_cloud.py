# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clouds against the formula of a pinhole camera, point by point."""

import struct

import numpy as np
import pytest

from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.geometry.point_cloud import POINT, PointCloudBuilder

CAMERA = PinholeCamera(7, 5, 20.0, 25.0, 3.2, 1.9)


@pytest.fixture
def images():
    random = np.random.default_rng(1)
    depth = random.uniform(1, 40, (5, 7)).astype(np.float32)
    depth[0, :4] = np.nan, np.inf, -np.inf, 0
    depth[2, 2] = -3
    rgb = random.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return depth, rgb, random.integers(0, 19, (5, 7), dtype=np.uint8)


def reference(images, stride=1, near=0.0, far=1e9):
    """Give the bytes of each point, None where there is none, by pixel."""
    depth, rgb, labels = images
    points = {}
    for v in range(0, 5, stride):
        for u in range(0, 7, stride):
            z = float(depth[v, u])
            inside = 0 < z < 1e9 and near <= z <= far
            xyz = [(u - 3.2) / 20.0 * z, (v - 1.9) / 25.0 * z, z]
            r, g, b = rgb[v, u]
            points[v, u] = (xyz, (b, g, r, 0), labels[v, u]) if inside else None
    return points


def check(point, expected):
    x, y, z, b, g, r, zero, label = struct.unpack('<3f4BI', point.tobytes())
    xyz, color, expected_label = expected
    np.testing.assert_allclose((x, y, z), xyz, rtol=1e-6, atol=1e-6)
    assert (b, g, r, zero) == color
    assert label == expected_label


@pytest.mark.parametrize(
    ('stride', 'near', 'far'), [(1, 0.0, 1e9), (2, 0.0, 1e9), (3, 5.0, 30.0), (1, 10.0, 20.0)]
)
def test_organized(images, stride, near, far):
    builder = PointCloudBuilder(CAMERA, True, stride, near, far)
    points = builder.build(*images)
    expected = reference(images, stride, near, far)
    assert points.shape == (-(-5 // stride), -(-7 // stride))
    for (v, u), value in expected.items():
        point = points[v // stride, u // stride]
        if value is None:
            assert all(np.isnan(point[axis]) for axis in 'xyz')
        else:
            check(point, value)


@pytest.mark.parametrize(('stride', 'near', 'far'), [(1, 0.0, 1e9), (2, 5.0, 30.0)])
def test_unorganized_has_the_same_points_in_order(images, stride, near, far):
    points = PointCloudBuilder(CAMERA, False, stride, near, far).build(*images)
    expected = [p for p in reference(images, stride, near, far).values() if p is not None]
    assert points.shape == (len(expected),)
    for point, value in zip(points, expected, strict=True):
        check(point, value)


def test_layout_is_that_of_the_message():
    assert POINT.itemsize == 20
    assert [POINT.fields[n][1] for n in ('x', 'y', 'z', 'rgb', 'label')] == [0, 4, 8, 12, 16]


def test_default_limits_exclude_infinity(images):
    points = PointCloudBuilder(CAMERA, organized=False).build(*images)
    assert np.isfinite(points['z']).all()
    assert len(points) == 35 - 5


def test_points_agree_with_the_camera(images):
    points = PointCloudBuilder(CAMERA).build(*images)
    xyz = np.stack([points[axis] for axis in 'xyz'], -1)
    valid = np.isfinite(xyz[..., 2])
    np.testing.assert_allclose(xyz[valid], CAMERA.back_project(images[0])[valid], rtol=1e-6)


def test_nothing_of_the_last_image_stays(images):
    depth, rgb, labels = images
    builder = PointCloudBuilder(CAMERA)
    builder.build(depth, rgb, labels)
    points = builder.build(np.full_like(depth, 2), np.full_like(rgb, 9), np.full_like(labels, 4))
    fresh = PointCloudBuilder(CAMERA).build(
        np.full_like(depth, 2), np.full_like(rgb, 9), np.full_like(labels, 4)
    )
    assert points.tobytes() == fresh.tobytes()
    assert np.isfinite(points['z']).all()


def test_memory_is_reused_when_organized_and_fresh_otherwise(images):
    organized, loose = PointCloudBuilder(CAMERA), PointCloudBuilder(CAMERA, organized=False)
    assert np.shares_memory(organized.build(*images), organized.build(*images))
    assert not np.shares_memory(loose.build(*images), loose.build(*images))


@pytest.mark.parametrize('which', [0, 1, 2])
def test_images_of_another_size_are_refused(images, which):
    images = list(images)
    images[which] = images[which][:-1]
    with pytest.raises(ValueError, match='7x4, but the camera 7x5'):
        PointCloudBuilder(CAMERA).build(*images)


@pytest.mark.parametrize(
    ('options', 'message'),
    [({'stride': 0}, 'at least 1, found 0'), ({'min_range': 5, 'max_range': 5}, 'greater')],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        PointCloudBuilder(CAMERA, **options)


def test_points_between_a_near_and_a_far_surface_are_left_out_but_no_others():
    camera = PinholeCamera(12, 9, 20.0, 20.0, 5.5, 4.0)
    depth = np.full((9, 12), 10, np.float32)
    depth[:, 7:] = 30
    depth[:, 6] = 18  # what a network makes of the edge
    depth[8] = np.nan
    rgb, labels = np.zeros((9, 12, 3), np.uint8), np.zeros((9, 12), np.uint8)
    labels[7] = 1
    builder = PointCloudBuilder(camera, edge_ratio=0.1, smooth_ids=[1], exclude_ids=[2])
    labels[0, 0] = 2
    expected = np.isfinite(depth)
    expected[:7, 6] = False
    expected[0, 0] = False
    points = builder.build(depth, rgb, labels)
    np.testing.assert_array_equal(np.isfinite(points['z']), expected)


def first_of_each_cube(points, valid, size):
    """Give the flat indices of the first valid points of each cube, by a dictionary."""
    found = {}
    for index in np.flatnonzero(valid):
        point = points.reshape(-1)[index]
        cube = tuple(int(np.floor(float(point[axis]) / size)) for axis in 'xyz')
        found.setdefault(cube, index)
    return sorted(found.values())


@pytest.mark.parametrize('size', [0.25, 1.0, 4.0])
def test_a_cube_keeps_the_first_of_its_own_points(size):
    random = np.random.default_rng(3)
    camera = PinholeCamera(60, 40, 35.0, 35.0, 31.3, 12.1)
    depth = random.uniform(1, 12, (40, 60)).astype(np.float32)
    depth[10:20] = 7.3  # a wall, whose cubes hold many neighbours
    depth[3], depth[30, ::5], depth[31, 4] = np.nan, np.inf, -2
    rgb = random.integers(0, 256, (40, 60, 3), dtype=np.uint8)
    labels = random.integers(0, 19, (40, 60), dtype=np.uint8)
    options = {'exclude_ids': [4], 'max_range': 11.0}
    whole = PointCloudBuilder(camera, **options).build(depth, rgb, labels)
    expected = first_of_each_cube(whole, np.isfinite(whole['z']), size)
    thin = PointCloudBuilder(camera, voxel_size=size, **options).build(depth, rgb, labels)
    assert len(expected) < 0.9 * np.isfinite(whole['z']).sum()
    assert thin.tobytes() == whole.reshape(-1)[expected].tobytes()


def test_cubes_far_beyond_what_numbers_can_tell_apart_do_no_harm(images):
    depth, rgb, labels = images
    builder = PointCloudBuilder(CAMERA, voxel_size=1e-6)
    far = np.where(np.isfinite(depth), np.float32(1e6), np.nan).astype(np.float32)
    assert len(builder.build(far, rgb, labels)) == np.isfinite(depth).sum()
    near = np.isfinite(depth) & (depth > 0)
    assert len(builder.build(depth, rgb, labels)) == near.sum()
    nothing = np.full_like(depth, np.nan)
    assert len(builder.build(nothing, rgb, labels)) == 0
