# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The drive: truth that is true, repeatable, endless and consistent from frame to frame."""

import itertools
import tracemalloc

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from sg_depth_ros.bundle.labels import CITYSCAPES, ID
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.synthetic import Street, StreetOptions, drive, street_camera
from sg_depth_ros.synthetic.shadows import ContactMap

SMALL = street_camera(208, 64)
EMPTY = StreetOptions(
    areas={'urban': 1}, lights={'overcast': 1}, traffic_density=0, parked_density=0,
    building_density=0, tree_density=0, furniture_density=0, hills=0, curvature=0, shake=0,
    camera_pitch=(0, 0), camera_roll=(0, 0), camera_height=(1.65, 1.65), follow_probability=0,
    lead_probability=0, stop_probability=0, sensor_noise=0,
)  # fmt: skip
CITY = StreetOptions(areas={'urban': 1}, lights={'sunny': 1}, sensor_noise=0, shake=0)


def changed(options, **fields):
    return StreetOptions(**{**dict(options), **fields})


def test_a_flat_road_has_the_depth_of_its_closed_form():
    camera = street_camera(320, 96)
    frame = next(drive(camera, 1, 4, EMPTY))
    rows = np.arange(96)[:, None]
    with np.errstate(divide='ignore'):
        expected = np.broadcast_to(1.65 * camera.fy / (rows - camera.cy), (96, 320))
    road = (frame.labels == ID['road']) & (frame.depth < 200)
    assert road.mean() > 0.1
    np.testing.assert_allclose(frame.depth[road], expected[road], rtol=1e-5)
    assert frame.camera_to_base[2, 3] == 1.65


def test_pitch_tilts_the_camera_by_its_angle():
    pitched = changed(EMPTY, camera_pitch=(-3.0, -3.0))
    camera = street_camera(320, 96)
    frame = next(drive(camera, 1, 4, pitched))
    angle = np.radians(3.0)
    down = np.array([0, np.cos(angle), np.sin(angle)])
    expected = 1.65 / (camera.rays() @ down)
    road = (frame.labels == ID['road']) & (frame.depth < 100)
    np.testing.assert_allclose(frame.depth[road], expected[road], rtol=1e-4)


@pytest.mark.parametrize('area', ['urban', 'residential', 'country', 'highway'])
def test_every_pixel_has_a_label_and_only_the_sky_has_no_depth(area):
    options = StreetOptions(areas={area: 1})
    seen = set()
    for seed in range(2):
        for frame in drive(SMALL, 2, seed, options):
            assert frame.image.shape == (64, 208, 3)
            assert frame.image.dtype == np.uint8
            assert frame.depth.dtype == np.float32
            assert frame.labels.dtype == np.uint8
            assert frame.labels.max() < len(CITYSCAPES)
            np.testing.assert_array_equal(frame.labels == ID['sky'], np.isinf(frame.depth))
            assert frame.depth.min() > 0.2
            seen.update(np.unique(frame.labels))
    assert {ID['road'], ID['sky'], ID['vegetation'], ID['car']} <= seen


def test_equal_seeds_give_equal_drives_and_others_differ():
    first, again, other = (list(drive(SMALL, 3, seed)) for seed in (5, 5, 6))
    for a, b in zip(first, again, strict=True):
        for name in ('image', 'depth', 'labels', 'camera_to_world', 'moving'):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
        assert (a.speed, a.stamp) == (b.speed, b.stamp)
    assert not np.array_equal(first[0].image, other[0].image)


def test_the_world_is_the_same_wherever_it_is_reached_from():
    street, straight = (Street(SMALL, 8, EMPTY) for _ in range(2))
    for s in (40.0, 90.0, 140.0, 300.0):
        street.world.cover(s)
    straight.world.cover(300.0)
    np.testing.assert_array_equal(street.world.mesh.corners, straight.world.mesh.corners)


def test_driving_on_needs_no_more_memory():
    street = Street(street_camera(64, 24), 2, StreetOptions(areas={'highway': 1}))
    sizes = []
    tracemalloc.start()
    while street.traffic.s < 1500:
        street.traffic.step(1.0)
        street.world.cover(street.traffic.s)
        if street.traffic.s > 500 * (len(sizes) + 1):
            sizes.append((tracemalloc.get_traced_memory()[0], len(street.world.mesh)))
    street.step()
    tracemalloc.stop()
    (early, polygons), _, (late, more_polygons) = sizes
    assert late < early + 8e6
    assert more_polygons < 2 * polygons


def test_an_endless_drive_goes_on_and_stamps_its_frames():
    frames = list(itertools.islice(drive(street_camera(64, 24), None, 1, fps=4.0), 6))
    np.testing.assert_allclose([f.stamp for f in frames], np.arange(6) / 4)


def test_traffic_drives_alike_at_any_frame_rate():
    """At a frame a second drivers must not run into each other between two frames."""
    options = StreetOptions(stop_probability=1.0)
    rare = list(drive(street_camera(64, 24), 13, 3, options, fps=1.0))
    often = list(drive(street_camera(64, 24), 121, 3, options, fps=10.0))
    speeds = [frame.speed for frame in rare]
    assert min(speeds) < 0.5 * max(speeds)
    np.testing.assert_allclose(speeds, [frame.speed for frame in often[::10]], rtol=1e-6)


def test_a_picture_may_show_no_ground():
    contact = ContactMap(np.zeros((0, 4, 2)), np.zeros(3))
    assert contact.openness(np.zeros((0, 3))).shape == (0,)


def test_speed_is_the_way_between_poses():
    options = StreetOptions(areas={'urban': 1}, shake=0, follow_probability=1.0)
    frames = list(drive(street_camera(64, 24), 30, 3, options))
    positions = np.array([f.camera_to_world[:3, 3] for f in frames])
    way = np.linalg.norm(np.diff(positions, axis=0), axis=1) * 10
    speeds = np.array([f.speed for f in frames])
    np.testing.assert_allclose(way, (speeds[1:] + speeds[:-1]) / 2, rtol=0.03, atol=0.05)
    for frame in frames:
        rotation = frame.camera_to_world[:3, :3]
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(rotation) == pytest.approx(1)


def warp(source, target):
    """Rebuild ``target`` from ``source`` by the true depth and poses: error, depth ratio, mask."""
    depth = np.where(np.isfinite(target.depth), target.depth, 1e6)
    relative = np.linalg.inv(source.camera_to_world) @ target.camera_to_world
    points = target.camera.back_project(depth).reshape(-1, 3) @ relative[:3, :3].T
    points = points + relative[:3, 3]
    uv, z = source.camera.project(points)
    height, width = depth.shape
    u, v = uv.reshape(height, width, 2).astype(np.float32).transpose(2, 0, 1)
    inside = (u >= 0) & (v >= 0) & (u <= width - 1) & (v <= height - 1)
    image = cv2.remap(source.image, u, v, cv2.INTER_LINEAR)
    there = np.where(np.isfinite(source.depth), source.depth, 1e6)
    there = cv2.remap(there, u, v, cv2.INTER_NEAREST)
    moving = cv2.remap(source.moving.astype(np.uint8), u, v, cv2.INTER_NEAREST) > 0
    still = inside & ~moving & ~target.moving
    error = np.abs(image.astype(float) - target.image).mean(2) / 255
    return error, there / z.reshape(height, width), still


@pytest.mark.parametrize('area', ['urban', 'residential', 'country', 'highway'])
def test_a_neighbour_warped_by_depth_and_pose_rebuilds_the_frame(area):
    options = StreetOptions(areas={area: 1}, sensor_noise=0, vignetting=0)
    for seed in (1,):
        target, source = drive(street_camera(), 2, seed, options)
        error, ratio, still = warp(source, target)
        # Not hidden behind something nearer in the other frame.
        seen = still & (np.abs(ratio - 1) < 0.03)
        assert seen.mean() > 0.4
        assert error[seen].mean() < 0.02
        # The test can fail: a scene that is a tenth further away does not fit.
        wrong = target.__class__(**{**vars(target), 'depth': target.depth * 1.3})
        worse, _, _ = warp(source, wrong)
        assert worse[seen].mean() > 1.3 * error[seen].mean()


def test_still_points_project_to_the_same_depth():
    target, source = drive(street_camera(), 2, 3, CITY)
    _, ratio, still = warp(source, target)
    still &= (target.labels == ID['building']) | (target.labels == ID['road'])
    assert np.median(np.abs(ratio[still] - 1)) < 0.005


def test_what_moves_is_marked_and_nothing_else():
    options = changed(CITY, follow_probability=1.0)
    frames = list(drive(SMALL, 6, 11, options))
    dynamic = [label.id for label in CITYSCAPES if 'dynamic' in label.roles]
    assert any(frame.moving.any() for frame in frames)
    for frame in frames:
        assert np.isin(frame.labels[frame.moving], dynamic).all()
    calm = StreetOptions(traffic_density=0, follow_probability=0, lead_probability=0)
    assert not any(frame.moving.any() for frame in drive(SMALL, 2, 11, calm))


@pytest.mark.parametrize('seed', range(2))
def test_a_followed_vehicle_stays_where_it_is_in_the_picture(seed):
    options = StreetOptions(
        areas={'highway': 1}, follow_probability=1.0, traffic_density=0, curvature=0, hills=0,
        shake=0,
    )  # fmt: skip
    frames = list(drive(SMALL, 12, seed, options))
    first, last = frames[0], frames[-1]
    assert first.following.sum() > 20
    assert (first.following & first.moving).sum() == first.following.sum()
    both = first.following & last.following
    assert both.sum() > 0.85 * first.following.sum()
    np.testing.assert_allclose(np.median(first.depth[both] / last.depth[both]), 1, atol=0.01)
    travelled = np.linalg.norm(last.camera_to_world[:3, 3] - first.camera_to_world[:3, 3])
    assert travelled > 10
    none = StreetOptions(areas={'highway': 1}, follow_probability=0)
    assert not any(frame.following.any() for frame in drive(SMALL, 2, seed, none))


def test_any_camera_sees_the_same_street():
    wide = PinholeCamera(200, 100, 100.0, 100.0, 99.5, 49.5)
    tight = wide.cropped(40, 20, 120, 60)
    bare = changed(CITY, tree_density=0)
    a, b = (next(drive(camera, 1, 7, bare)) for camera in (wide, tight))
    # A ray along an edge may go to either side.
    same = np.isclose(a.depth[20:80, 40:160], b.depth, rtol=1e-5)
    assert same.mean() > 0.999


def test_options_refuse_what_they_do_not_know():
    with pytest.raises(ValidationError, match='cars'):
        StreetOptions(cars=3)
    with pytest.raises(ValueError, match='positive'):
        Street(SMALL, 0, fps=0)


def test_ranges_are_in_order():
    pytest.importorskip('pydantic', '2')
    with pytest.raises(ValidationError, match='lowest, highest'):
        StreetOptions(camera_height=(2.0, 1.0))


def test_in_a_queue_vehicles_stand_close_by():
    options = changed(CITY, queue_probability=1.0, follow_probability=0.0, parked_density=0.0)
    vehicles = [ID[name] for name in ('car', 'truck', 'bus')]
    nearest = []
    for seed in range(4):
        first, *_, last = drive(SMALL, 5, seed, options)
        assert first.speed < 4.5
        near = first.depth[np.isin(first.labels, vehicles)]
        nearest.append(near.min())
        # Nobody drives into anybody: the ego's lead stays ahead of the camera.
        assert last.depth[np.isin(last.labels, vehicles)].min() > 0.8
    assert max(nearest) < 12 and min(nearest) < 6
