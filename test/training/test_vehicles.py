# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0

from dataclasses import replace

import numpy as np
import pytest

from sg_depth_ros.bundle.labels import ID
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.geometry.ground_plane import GroundPlane, fit_ground_plane
from sg_depth_ros.synthetic import StreetOptions, drive, street_camera
from sg_depth_ros.training.data.vehicles import (
    Scene,
    VehicleSettings,
    cut_vehicles,
    known_depth,
    set_vehicles,
)

CAMERA = PinholeCamera(320, 128, 200.0, 220.0, 159.5, 40.0)
WIDTH, HEIGHT, TALL = 1.8, 1.5, 1.65
RED, GRAY = (200, 30, 30), (90, 90, 90)


def road(distance=None, x=0.0, scale=1.0, depth_of_car=None, tilt=0.0):
    """Give a road seen from 1.65 m, with the back of a car at a distance on it; all exact.

    The back ends above the ground, so that the road under its lower edge is 1.1 times as far.
    """
    plane = GroundPlane(np.array([0.0, -np.cos(tilt), -np.sin(tilt)]), scale * TALL, 1.0)
    reach = plane.distance_along(CAMERA.rays())
    ground = reach < 80 * scale
    depth = np.where(ground, reach, 80 * scale)
    labels = np.where(ground, ID['road'], ID['building'])
    image = np.full((*labels.shape, 3), GRAY, np.uint8)
    image[..., 1] += (np.arange(320) % 20).astype(np.uint8)
    if distance is not None:
        points = CAMERA.rays() * distance
        bottom = (TALL / 1.1 - np.sin(tilt) * distance) / np.cos(tilt)
        car = (np.abs(points[..., 0] - x) < WIDTH / 2) & (
            np.abs(points[..., 1] - bottom + HEIGHT / 2) < HEIGHT / 2
        )
        depth[car], labels[car], image[car] = scale * (depth_of_car or distance), ID['car'], RED
    return Scene(image, depth.astype(np.float32), labels.astype(np.uint8), CAMERA, plane)


def doubled(image):
    return image.repeat(2, 0).repeat(2, 1)


def settings(distance, **changes):
    return VehicleSettings(
        **{'most': 1, 'distance': (distance, distance), 'queue': 0.0, **changes}
    )


def set_some(scene, vehicles, settings, rng):
    return set_vehicles(scene, known_depth(scene, settings), vehicles, settings, rng)


@pytest.mark.parametrize('scale', [1.0, 0.05])
@pytest.mark.parametrize('tilt', [0.0, 0.03])
def test_a_vehicle_is_measured_by_where_it_stands(scale, tilt):
    # Its own predicted depth is half as much again and counts for nothing.
    scene = road(14.0, 1.0, scale, depth_of_car=21.0, tilt=tilt)
    (vehicle,) = cut_vehicles(scene, doubled(scene.image))
    assert vehicle.distance * TALL == pytest.approx(14.0, rel=0.04)
    assert np.array(vehicle.size) * TALL == pytest.approx([WIDTH, HEIGHT], rel=0.08)
    assert vehicle.mask.mean() > 0.95
    assert (vehicle.image[vehicle.mask] == RED).all()


def test_what_is_not_seen_whole_or_stands_elsewhere_is_not_cut_out():
    fine = np.zeros((256, 640, 3), np.uint8)
    assert not cut_vehicles(road(), fine)
    assert not cut_vehicles(road(14.0, 11.0), fine)
    assert not cut_vehicles(road(45.0), fine)
    # It is not where its predicted depth has it at all, so that is no vehicle on this road.
    assert not cut_vehicles(road(14.0, depth_of_car=40.0), fine)
    grass = road(14.0)
    grass.labels[grass.labels == ID['road']] = ID['terrain']
    assert not cut_vehicles(grass, fine)
    # Two that overlap stand on no one line.
    two, other = road(14.0, -0.6), road(9.5, 0.9)
    two.labels[other.labels == ID['car']] = ID['car']
    assert not cut_vehicles(two, fine)


def test_near_road_users_that_stand_nowhere_in_sight_are_unknown():
    scene = road(3.2)
    depth = known_depth(scene, VehicleSettings())
    assert (np.isnan(depth) == (scene.labels == ID['car'])).all()
    assert not np.isnan(known_depth(scene, VehicleSettings(trusted=3.0))).any()
    whole = road(14.0, depth_of_car=20.0)
    corrected = known_depth(whole, VehicleSettings())
    assert corrected[whole.labels == ID['car']] == pytest.approx(14.0, rel=0.04)


@pytest.mark.parametrize(('scale', 'tilt'), [(1.0, 0.0), (0.2, 0.03)])
@pytest.mark.parametrize('distance', [6.0, 9.0])
def test_a_vehicle_is_set_where_it_would_be_seen(distance, scale, tilt):
    seen = road(14.0)
    vehicles = cut_vehicles(seen, doubled(seen.image))
    image, depth = set_some(
        road(scale=scale, tilt=tilt), vehicles, settings(distance), np.random.default_rng(0)
    )
    car = np.abs(depth / scale - distance) < 1e-3
    car &= np.abs(image.astype(int) - RED).max(2) < 60
    columns = np.nonzero(car)[1]
    # The middle of its lower edge tells where it stands; there truth would have it, too.
    x = ((columns.min() + columns.max()) / 2 - CAMERA.cx) * distance / CAMERA.fx
    wanted = road(distance, x, scale, tilt=tilt)
    true = wanted.labels == ID['car']
    assert (car & true).sum() / (car | true).sum() > 0.85
    assert np.median(wanted.depth[true]) == pytest.approx(scale * distance)
    assert image[true].mean(0) == pytest.approx(RED, abs=40)


@pytest.mark.parametrize(('distance', 'is_set'), [(11.0, False), (9.0, True), (3.5, False)])
def test_none_is_set_further_away_than_it_was_seen_nor_so_near_that_it_is_blurred(
    distance, is_set
):
    seen = road(10.0)
    vehicles = cut_vehicles(seen, doubled(seen.image))
    for seed in range(4):
        scene = road()
        _, depth = set_some(scene, vehicles, settings(distance), np.random.default_rng(seed))
        assert (depth != scene.depth).any() == is_set


@pytest.mark.parametrize(('scale', 'tilt'), [(1.0, 0.0), (0.2, 0.03)])
def test_a_tall_vehicle_has_a_side_along_the_road(scale, tilt):
    seen = road(14.0)
    (car,) = cut_vehicles(seen, doubled(seen.image))
    truck = replace(car, size=(1.5, 1.9))
    sides = 0
    for seed in range(12):
        scene = road(scale=scale, tilt=tilt)
        rng = np.random.default_rng(seed)
        image, depth = set_some(scene, [truck], settings(9.0, tall=1.0), rng)
        assert image.shape == scene.image.shape and np.isfinite(depth).all()
        changed = depth != scene.depth
        z = depth[changed].min()
        side = changed & (depth > 1.001 * z)
        if not side.any():
            continue
        sides += 1
        points = CAMERA.back_project(depth)[side]
        # One plane along the road, at the inner edge of the front or back.
        assert np.ptp(points[:, 0]) < 0.1 * scale
        assert 4.0 * scale < points[:, 2].max() < (9.0 + 14.0) * scale
        # Nothing of it is under the road or higher than the vehicle is.
        heights = points @ scene.plane.normal + scene.plane.height
        assert heights.min() > -0.02 * scale and heights.max() < 1.1 * 1.9 * TALL * scale
        assert np.abs(image[side].mean(0) - RED).max() < 45
    assert sides > 6


def test_what_stands_nearer_stays_in_front():
    seen = road(9.0)
    vehicles = cut_vehicles(seen, doubled(seen.image))
    scene = road()
    # They end where the vehicle does, which stands on road.
    scene.depth[:80, ::2], scene.labels[:80, ::2] = 3.0, ID['pole']
    image, depth = set_some(scene, vehicles, settings(8.0), np.random.default_rng(1))
    assert (depth[:80, ::2] == 3.0).all()
    changed = depth != scene.depth
    assert changed[:, 1::2].any()
    free = road()
    _, alone = set_some(free, vehicles, settings(8.0), np.random.default_rng(1))
    assert ((alone != free.depth)[:, 1::2] == changed[:, 1::2]).all()
    gray = replace(free, image=np.full_like(free.image, 120))
    image, depth = set_some(gray, vehicles, settings(8.0), np.random.default_rng(1))
    assert not np.ptp(image, axis=2).any()
    assert np.abs(image[alone != free.depth].mean() - 120) > 10


@pytest.mark.parametrize('under', ['road', 'car', 'sky', 'building'])
def test_none_is_set_where_there_is_no_ground(under):
    seen = road(14.0)
    scene = road()
    scene.labels[:] = ID[under]
    vehicles = cut_vehicles(seen, doubled(seen.image))
    _, depth = set_vehicles(scene, scene.depth, vehicles, settings(9.0), np.random.default_rng(0))
    assert (depth != scene.depth).any() == (under in ('road', 'car'))


def test_some_are_taller_than_cars():
    seen = road(14.0)
    (car,) = cut_vehicles(seen, doubled(seen.image))
    truck = replace(car, size=(1.5, 2.0))
    for tall in (0.0, 1.0):
        for seed in range(4):
            scene = road()
            chosen = settings(9.0, tall=tall)
            rng = np.random.default_rng(seed)
            _, depth = set_some(scene, [car, car, car, truck], chosen, rng)
            changed = depth != scene.depth
            rows = np.nonzero(changed.any(1))[0]
            height = len(rows) * depth[changed].min() / CAMERA.fy
            if tall:
                # One that is near ends above the image.
                assert height > 2.9 or rows[0] == 0
            else:
                assert height == pytest.approx(1.5, rel=0.1)
    _, depth = set_some(road(), [car], settings(9.0, tall=1.0), np.random.default_rng(0))
    assert (depth != scene.depth).any()


def test_a_single_tall_vehicle_does_not_stand_everywhere():
    seen = road(14.0)
    (car,) = cut_vehicles(seen, doubled(seen.image))
    truck = replace(car, size=(1.5, 2.0))
    pool, count = [*[car] * 49, truck], 0
    for seed in range(200):
        scene = road()
        rng = np.random.default_rng(seed)
        _, depth = set_some(scene, pool, settings(9.0, tall=0.9), rng)
        changed = depth != scene.depth
        rows = np.nonzero(changed.any(1))[0]
        count += changed.any() and len(rows) * depth[changed].min() / CAMERA.fy > 2.5
    # A fiftieth of them all, drawn five times as often.
    assert 8 <= count <= 35


def test_distances_on_the_street_are_those_of_its_truth():
    camera = street_camera()
    errors = []
    for seed in range(12):
        frame = next(iter(drive(camera, 1, seed, StreetOptions(follow_probability=1))))
        road_points = camera.back_project(frame.depth)[frame.labels == ID['road']]
        plane = fit_ground_plane(road_points)
        scene = Scene(frame.image, frame.depth, frame.labels, camera, plane)
        fine = np.zeros((384, 1280, 3), np.uint8)
        # Truth has one place for each of them, by which they are found again.
        depth = known_depth(scene, VehicleSettings(trusted=0))
        for vehicle in cut_vehicles(scene, fine):
            z = vehicle.distance * plane.height
            errors.append(z / np.median(frame.depth[np.abs(depth - z) < 1e-4]))
    assert len(errors) >= 10
    assert np.median(errors) == pytest.approx(1, abs=0.05)
    assert np.mean(np.abs(np.log(errors)) < 0.15) > 0.8


def test_a_queue_fills_the_lanes_and_leaves_what_is_behind():
    near, far = road(14.0), road(22.0)
    vehicles = [*cut_vehicles(near, doubled(near.image)), *cut_vehicles(far, doubled(far.image))]
    assert len(vehicles) == 2
    chosen = VehicleSettings(distance=(5.0, 22.0), tall=0.0, queue=1.0)
    counts, lanes = [], set()
    for seed in range(10):
        scene = road()
        _, depth = set_some(scene, vehicles, chosen, np.random.default_rng(seed))
        changed = depth != scene.depth
        assert depth[changed].min() >= 5.0 if changed.any() else True
        found = np.unique(depth[changed])
        # One depth for each; of those in one lane the nearer is a vehicle's length before.
        counts.append(len(found))
        for z in found:
            columns = np.nonzero(depth == z)[1]
            lanes.add(round(float((columns.mean() - CAMERA.cx) * z / CAMERA.fx / 3.3)))
        assert (depth[~changed] == scene.depth[~changed]).all()
    assert np.mean(counts) > 2.5 and max(counts) >= 5
    assert lanes >= {-1, 0, 1}
