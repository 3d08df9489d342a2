# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from sg_depth_ros.bundle.labels import ID
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.images.resize import resize_labels
from sg_depth_ros.training.data.sources import StreetSource
from sg_depth_ros.training.data.triangulation import MIN_POINTS, bend_depth, triangulate

CAMERA = PinholeCamera.centred(320, 128, 200.0)
WALL = 30.0
STREET = StreetSource(
    cache='unused',
    clips=1,
    frames=6,
    seed=78,
    size=(1280, 384),
    focal_length=(0.58, 0.58),
    aspect=(1, 1),
)


@pytest.fixture(scope='module')
def street():
    """Give six frames of a drive down a street."""
    return list(STREET.drive(0))


def test_points_have_the_depth_of_the_street(street):
    first = street[0]
    points = triangulate((frame.image for frame in street), first.labels, first.camera)
    pixels, z = first.camera.project(points)
    columns, rows = np.rint(pixels).astype(int).T
    error = np.log(z / first.depth[rows, columns])
    assert len(points) > 500
    # One unit for all; what lies at an edge may belong to either side of it.
    error -= np.median(error)
    assert np.median(np.abs(error)) < 0.02
    assert np.mean(np.abs(error) < 0.1) > 0.9
    moving = np.isin(first.labels[rows, columns], [ID['car'], ID['person'], ID['sky']])
    assert not moving.any()


def test_a_depth_image_takes_the_shape_of_the_street(street):
    first = street[0]
    points = triangulate((frame.image for frame in street), first.labels, first.camera)
    camera, labels = first.camera.resized(640, 192), resize_labels(first.labels, 640, 192)
    true = first.depth[::2, ::2].astype(np.float32)
    known = np.isfinite(true) & (true < 80)
    flat = (8 * (np.where(np.isfinite(true), true, 100) / 8) ** 0.8).astype(np.float32)
    bent = bend_depth(flat, labels, camera, points)

    def error(depth):
        ratio = np.log(depth[known] / true[known])
        return np.abs(ratio - np.median(ratio)).mean()

    assert error(flat) > 0.09
    assert error(bent) < 0.04
    sky = labels == ID['sky']
    assert sky.any() and (bent[sky] == flat[sky]).all()


@pytest.fixture
def scene():
    """Give depth and labels of a road 1.65 m under the camera, a wall across it, and sky."""
    rays = CAMERA.rays()
    with np.errstate(divide='ignore'):
        road = np.where(rays[..., 1] > 0, 1.65 / rays[..., 1], np.inf)
    depth = np.minimum(road, WALL)
    labels = np.where(road < WALL, ID['road'], ID['building']).astype(np.uint8)
    labels[:20], depth[:20] = ID['sky'], 100.0
    return depth.astype(np.float32), labels


def seen_points(depth, labels, rng, share=0.02):
    """Give some points of a scene in a unit of their own."""
    rows, columns = np.nonzero((rng.random(depth.shape) < share) & (labels != ID['sky']))
    return CAMERA.back_project(depth)[rows, columns] * 0.37


def test_each_part_is_corrected_by_its_own_points(scene):
    true, labels = scene
    rng = np.random.default_rng(0)
    points = seen_points(true, labels, rng)
    points[::15] *= rng.uniform(0.5, 2, (len(points[::15]), 1))  # wrong tracks
    wall = labels == ID['building']
    predicted = np.where(wall, 0.6 * true, true).astype(np.float32)
    bent = bend_depth(predicted, labels, CAMERA, points)
    # Near the road's end wall and road are about as far away and next to each other.
    assert np.median(bent[wall]) == pytest.approx(WALL, rel=0.05)
    near = true < 12
    assert bent[near] == pytest.approx(true[near], rel=0.05)
    assert (bent[labels == ID['sky']] == 100).all()


def test_the_scale_is_that_of_the_predicted_road(scene):
    true, labels = scene
    points = seen_points(true, labels, np.random.default_rng(0))
    predicted = np.float32(0.5) * true
    assert bend_depth(predicted, labels, CAMERA, points) == pytest.approx(predicted, rel=0.03)


def test_without_ground_or_with_another_world_nothing_is_bent(scene):
    true, labels = scene
    points = seen_points(true, labels, np.random.default_rng(0))
    off_ground = points[points[:, 2] > 0.37 * 0.99 * WALL]
    assert len(off_ground) >= MIN_POINTS
    assert bend_depth(true, labels, CAMERA, off_ground) is None
    # Most of it would have to be more than three times as far away.
    other = np.where(labels == ID['building'], 0.3 * true, true).astype(np.float32)
    few_on_ground = np.concatenate([off_ground, points[points[:, 2] < 0.37 * 0.99 * WALL][::2]])
    assert bend_depth(other, labels, CAMERA, few_on_ground) is None


def test_a_camera_that_stands_still_tells_no_depth(street):
    first = street[0]
    assert triangulate([first.image] * 4, first.labels, first.camera) is None
    assert triangulate([first.image], first.labels, first.camera) is None


def test_what_has_no_texture_tells_no_depth(street):
    first = street[0]
    gray = np.full_like(first.image, 128)
    assert triangulate([gray] * 3, first.labels, first.camera) is None
