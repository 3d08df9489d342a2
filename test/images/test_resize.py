# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.images.resize import resize_depth, resize_image, resize_labels

CAMERA = PinholeCamera(64, 48, 40.0, 42.0, 31.0, 20.0)


def ground_depth(camera: PinholeCamera) -> np.ndarray:
    """Depth of a plane 1.5 m under the camera and of a wall at 8 m before it."""
    slope = camera.rays()[..., 1]
    with np.errstate(divide='ignore'):
        ground = np.where(slope > 0, 1.5 / slope, np.inf)
    return np.minimum(ground, 8).astype(np.float32)


def test_shrinking_averages_over_areas() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    means = image.reshape(4, 2, 4, 3, 3).mean((1, 3))
    np.testing.assert_allclose(resize_image(image, 4, 4), means, atol=0.51)


def test_an_image_of_the_size_is_returned_itself() -> None:
    image = np.zeros((4, 6, 3), np.uint8)
    assert resize_image(image, 6, 4) is image


@pytest.mark.parametrize('size', [(96, 96), (96, 24), (32, 96), (32, 24)])
def test_an_image_keeps_its_place_for_a_resized_camera(size: tuple[int, int]) -> None:
    # Brightness is linear in the viewing direction, so it tells where a pixel looks.
    def image_of(camera: PinholeCamera) -> np.ndarray:
        return np.clip(128 + 120 * camera.rays()[..., :2].repeat(2, -1)[..., :3], 0, 255)

    resized = resize_image(image_of(CAMERA).astype(np.uint8), *size)
    expected = image_of(CAMERA.resized(*size))
    inner = np.s_[3:-3, 3:-3]
    np.testing.assert_allclose(resized[inner], expected[inner], atol=2)


@pytest.mark.parametrize('size', [(128, 96), (150, 60), (64, 48), (40, 30)])
def test_depth_of_a_plane_is_exact_and_keeps_its_place(size: tuple[int, int]) -> None:
    depth = ground_depth(CAMERA)
    resized = resize_depth(depth, *size)
    expected = ground_depth(CAMERA.resized(*size))
    assert resized.dtype == np.float32
    bottom = np.s_[size[1] // 2 + size[1] // 4 : -3]  # only ground, away from the border
    np.testing.assert_allclose(resized[bottom], expected[bottom], rtol=1e-3)


def test_no_point_flies_between_two_surfaces() -> None:
    depth = np.full((20, 20), 30, np.float32)
    depth[5:15, 7:13] = 5
    resized = resize_depth(depth, 73, 51)
    # Each pixel is on one of the surfaces, to the step that counts as smooth.
    near, far = (np.isclose(resized, z, rtol=0.053) for z in (5, 30))
    assert (near | far).all()
    assert near.mean() == pytest.approx(0.15, abs=0.01)


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_unknown_and_sky_neither_spread_nor_vanish(value: float) -> None:
    depth = np.full((20, 20), 30, np.float32)
    depth[5:15, 7:13] = value
    resized = resize_depth(depth, 40, 40)
    expected = depth.repeat(2, 0).repeat(2, 1)
    np.testing.assert_allclose(resized, expected, rtol=1e-6)


def test_depth_that_comes_in_stays_as_it_was() -> None:
    depth = ground_depth(CAMERA)
    before = depth.copy()
    for size in ((64, 48), (128, 96)):
        resize_depth(depth, *size)
        np.testing.assert_array_equal(depth, before)


@pytest.mark.parametrize('factor', [2, 3])
def test_labels_are_repeated_never_mixed(factor: int) -> None:
    labels = np.random.default_rng(0).integers(0, 19, (6, 10), np.uint8)
    resized = resize_labels(labels, 10 * factor, 6 * factor)
    np.testing.assert_array_equal(resized, labels.repeat(factor, 0).repeat(factor, 1))
