# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The scale of a street whose true depth, divided by an unknown factor, is the network's."""

import dataclasses
import math

import numpy as np
import pytest

from sg_depth_ros.bundle.labels import CITYSCAPES, ID
from sg_depth_ros.geometry.ground_plane import GroundPlane
from sg_depth_ros.scale import ScaleEstimator, ScaleSettings, fit_road
from sg_depth_ros.scale.motion import Motion
from sg_depth_ros.synthetic import StreetOptions, drive, street_camera

CAMERA = street_camera(320, 96)
OPTIONS = StreetOptions(camera_pitch=(-5, 5), stop_probability=0.0)
SEEDS = range(5)


def factor_of(seed):
    return float(np.exp(np.random.default_rng(seed).uniform(-3, 3)))


def observe(estimator, frame, factor, labels=None):
    depth = (frame.depth / factor).astype(np.float32)
    labels = frame.labels if labels is None else labels
    estimator.speeds.add(frame.stamp, frame.speed)
    return estimator.observe(depth, labels, frame.image, frame.camera, frame.stamp)


def errors_of(mode, seed, frames):
    """Relative errors of the frames after the first second."""
    estimator, errors = None, []
    for frame in drive(CAMERA, frames, seed, OPTIONS):
        if estimator is None:
            height = float(frame.camera_to_base[2, 3])
            estimator = ScaleEstimator(ScaleSettings(mode, camera_height=height), CITYSCAPES)
        estimate = observe(estimator, frame, factor_of(seed))
        if frame.stamp >= 1.0:
            errors.append(abs((estimate.factor or math.inf) / factor_of(seed) - 1))
    return errors


@pytest.mark.parametrize(('mode', 'median', 'p95'), [('camera_height', 0.02, 0.05)])
def test_camera_height_on_streets_with_pitch_hills_and_traffic(mode, median, p95):
    errors = np.concatenate([errors_of(mode, seed, 25) for seed in SEEDS])
    assert np.median(errors) < median
    assert np.percentile(errors, 95) < p95


def test_odometry_on_streets_with_pitch_hills_and_traffic():
    errors = np.concatenate([errors_of('odometry', seed, 20) for seed in SEEDS])
    assert np.median(errors) < 0.03


def test_hidden_road_holds_the_scale_and_says_so():
    estimator = None
    for i, frame in enumerate(drive(CAMERA, 70, 1, OPTIONS)):
        if estimator is None:
            height = float(frame.camera_to_base[2, 3])
            settings = ScaleSettings('camera_height', camera_height=height)
            estimator = ScaleEstimator(settings, CITYSCAPES)
        hidden = 10 <= i < 60
        labels = np.where(frame.labels == ID['road'], ID['truck'], frame.labels)
        estimate = observe(estimator, frame, 3.0, labels.astype(np.uint8) if hidden else None)
        assert i < 3 or estimate.factor == pytest.approx(3.0, rel=0.05)
        if i == 59:
            assert estimate.state == 'held'
            assert estimate.age == pytest.approx(5.0)
            assert 'of the image shows road' in estimate.problem
    assert estimate.state == 'tracking'
    assert estimate.problem == ''


def test_before_the_first_estimate_and_after_a_reset_there_is_none():
    estimator = None
    for i, frame in enumerate(drive(CAMERA, 6, 2, OPTIONS)):
        if estimator is None:
            settings = ScaleSettings('camera_height', camera_height=1.5)
            estimator = ScaleEstimator(settings, CITYSCAPES)
        estimate = observe(estimator, frame, 1.0)
        expected = 'waiting' if i in (0, 1, 4, 5) else 'tracking'
        assert estimate.state == expected
        assert (estimate.factor is None) == (expected == 'waiting')
        if i == 3:
            estimator.reset()


def test_what_is_missing_is_named():
    frame = next(drive(CAMERA, 1, 0, OPTIONS))
    unknown_height = ScaleEstimator(ScaleSettings('camera_height'), CITYSCAPES)
    assert 'height over the road is not known' in observe(unknown_height, frame, 1.0).problem
    estimator = ScaleEstimator(ScaleSettings('odometry'), CITYSCAPES)
    arguments = frame.depth, frame.labels, frame.image
    assert 'camera of the image is not known' in estimator.observe(*arguments, None, 0.0).problem
    estimator.observe(*arguments, CAMERA, 0.1)
    assert 'no speed' in estimator.observe(*arguments, CAMERA, 0.2).problem
    estimator.speeds.add(0.0, 0.1)
    estimator.speeds.add(0.3, 0.1)
    assert 'driven only 0.02 m' in estimator.observe(*arguments, CAMERA, 0.3).problem


NOTHING = np.zeros((2, 2)), np.zeros((2, 2), np.uint8), np.zeros((2, 2, 3), np.uint8)


@pytest.mark.parametrize(
    ('mode', 'metric', 'state', 'factor'),
    [('none', False, 'off', 1), ('none', True, 'off', 1), ('fixed', False, 'fixed', 7)],
)
def test_modes_that_measure_nothing(mode, metric, state, factor):
    estimator = ScaleEstimator(ScaleSettings(mode, factor=7.0), CITYSCAPES, metric)
    estimate = estimator.observe(*NOTHING, CAMERA, 0.0)
    assert (estimate.state, estimate.factor) == (state, factor)


def test_depth_without_a_unit_needs_no_camera():
    estimator = ScaleEstimator(ScaleSettings(), CITYSCAPES)
    estimate = estimator.observe(*NOTHING, None, 0.0)
    assert (estimate.state, estimate.factor, estimate.problem) == ('off', 1, '')


@pytest.mark.parametrize(('mode', 'metric'), [('fixed', False), ('none', True)])
def test_metres_are_not_claimed_without_a_camera(mode, metric):
    estimator = ScaleEstimator(ScaleSettings(mode, factor=7.0), CITYSCAPES, metric)
    cameras = [None, CAMERA, None, CAMERA]
    found = [estimator.observe(*NOTHING, camera, i) for i, camera in enumerate(cameras)]
    known = 'off' if metric else 'fixed'
    assert [estimate.state for estimate in found] == ['waiting', known, 'lost', known]
    assert [estimate.factor is None for estimate in found] == [True, False, True, False]
    estimator.reset()
    assert estimator.observe(*NOTHING, None, 4.0).state == 'waiting'


@pytest.mark.parametrize('mode', ['camera_height', 'odometry'])
def test_a_measured_scale_is_lost_with_the_camera_and_comes_back_with_it(mode, monkeypatch):
    for name in ('_by_height', '_by_motion'):
        monkeypatch.setattr(ScaleEstimator, name, lambda *_: (2.0, ''))
    estimator = ScaleEstimator(ScaleSettings(mode), CITYSCAPES)
    early = [estimator.observe(*NOTHING, CAMERA, i / 10) for i in range(3)]
    assert [(e.state, e.problem) for e in early] == [
        ('waiting', '1 of 3 measurements have been made'),
        ('waiting', '2 of 3 measurements have been made'),
        ('tracking', ''),
    ]
    lost = [estimator.observe(*NOTHING, None, 0.3 + i) for i in range(2)]
    assert [(e.state, e.factor) for e in lost] == [('lost', None)] * 2
    assert lost[-1].age == pytest.approx(1.1)
    again = estimator.observe(*NOTHING, CAMERA, 1.4)
    assert (again.state, again.factor) == ('tracking', pytest.approx(2.0))


def test_plane_of_a_flat_road_is_exact():
    rays = CAMERA.rays()
    depth = np.where(rays[..., 1] > 0.02, 1.5 / np.maximum(rays[..., 1], 0.02), np.inf)
    labels = np.where(np.isfinite(depth), ID['road'], ID['sky']).astype(np.uint8)
    plane, problem = fit_road(depth.astype(np.float32), labels, CAMERA, [ID['road']])
    assert problem == ''
    assert plane.height == pytest.approx(1.5, rel=1e-4)
    np.testing.assert_allclose(plane.normal, [0, -1, 0], atol=1e-4)


def test_a_hill_ahead_does_not_move_the_road_under_the_camera():
    """Flat for 20 m, then 8 % up."""
    down = CAMERA.rays()[..., 1]
    flat = np.where(down > 1e-3, 1.5 / np.maximum(down, 1e-3), np.inf)
    hill = np.where(down > -0.05, (1.5 + 0.08 * 20) / np.maximum(down + 0.08, 0.03), np.inf)
    depth = np.where(flat < 20, flat, np.where(hill < 100, hill, np.inf)).astype(np.float32)
    labels = np.where(np.isfinite(depth), ID['road'], ID['sky']).astype(np.uint8)
    plane, _ = fit_road(depth, labels, CAMERA, [ID['road']])
    assert plane.height == pytest.approx(1.5, rel=0.005)


@pytest.mark.parametrize(
    ('inliers', 'problem'),
    [((0.39, 0.9), 'no plane under the camera'), ((0.9, 0.39), 'no plane near the camera')],
)
def test_road_that_is_mostly_off_its_plane_is_none(monkeypatch, inliers, problem):
    shares = iter(inliers)
    plane = GroundPlane(np.array([0.0, -1.0, 0.0]), 1.5, 1.0)
    monkeypatch.setattr(
        'sg_depth_ros.scale.road.fit_ground_plane',
        lambda _: dataclasses.replace(plane, inliers=next(shares)),
    )
    monkeypatch.setattr('sg_depth_ros.scale.road.fit_bent', lambda points, plane: plane)
    depth, labels = np.full((96, 320), 5.0, np.float32), np.full((96, 320), ID['road'], np.uint8)
    found, said = fit_road(depth, labels, CAMERA, [ID['road']])
    assert found is None
    assert problem in said


def test_a_motion_is_not_measured_between_two_cameras():
    estimator = ScaleEstimator(ScaleSettings('odometry'), CITYSCAPES)
    image, labels = np.zeros((96, 320, 3), np.uint8), np.zeros((96, 320), np.uint8)
    depth = np.ones((96, 320), np.float32)
    zoomed = dataclasses.replace(CAMERA, fx=1.5 * CAMERA.fx)
    cameras = (CAMERA, zoomed, zoomed, CAMERA)
    found = [estimator.observe(depth, labels, image, c, i / 10) for i, c in enumerate(cameras)]
    assert [estimate.problem for estimate in found] == [
        'the first image of a motion',
        'the camera has changed',
        'no speed has been measured at the time of the image',
        'the camera has changed',
    ]


def test_a_motion_without_a_length_is_no_measurement(monkeypatch):
    lengths = iter([1.0] * 5 + [math.nan, 0.0] + [1.0] * 5)
    monkeypatch.setattr(
        'sg_depth_ros.scale.estimator.camera_motion', lambda *_: (Motion(next(lengths), 1.0), '')
    )
    estimator = ScaleEstimator(ScaleSettings('odometry'), CITYSCAPES)
    image, labels = np.zeros((4, 8, 3), np.uint8), np.zeros((4, 8), np.uint8)
    estimates = []
    for i in range(13):
        estimator.speeds.add(0.5 * i, 4.0)
        depth = np.ones((4, 8), np.float32)
        estimates.append(estimator.observe(depth, labels, image, CAMERA, 0.5 * i))
    assert [e.problem for e in estimates[6:9]] == [
        'a motion cannot have the length nan',
        'a motion cannot have the length 0',
        '',
    ]
    assert all(e.factor == pytest.approx(2.0) for e in estimates[3:])
