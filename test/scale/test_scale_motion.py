# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
import math

import cv2
import numpy as np
import pytest

from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.scale import motion
from sg_depth_ros.scale.motion import SpeedLog


def test_distance_is_the_integral_of_the_speed():
    log = SpeedLog()
    for i in range(11):
        log.add(0.1 * i, 2.0 * i)  # v = 20 t
    assert log.distance(0.25, 0.75) == pytest.approx(10 * (0.75**2 - 0.25**2))
    assert log.distance(0.5, 0.5) == 0


def test_a_clock_that_hardly_moves_does_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(motion, 'MOST_SPEEDS', 50)
    log = SpeedLog()
    for n in range(200):
        log.add(n * 1e-3, 2.0)
    assert len(log._entries) == 50
    assert log.distance(0.150, 0.199) == pytest.approx(0.098)


def test_reverse_is_a_distance_too():
    log = SpeedLog()
    log.add(0.0, -3.0)
    log.add(1.0, -3.0)
    assert log.distance(0.0, 1.0) == pytest.approx(3.0)


def test_without_speeds_at_that_time_the_distance_is_unknown():
    log = SpeedLog()
    assert log.distance(0, 1) is None
    log.add(5.0, 1.0)
    log.add(6.0, 1.0)
    assert log.distance(4.0, 5.5) is None
    assert log.distance(5.5, 7.0) is None
    assert log.distance(5.5, 6.1) == pytest.approx(0.6)
    log.add(1.0, 1.0)
    assert log.distance(5.0, 6.0) is None


@pytest.mark.parametrize('speed', [math.nan, math.inf, -math.inf])
def test_a_speed_that_is_not_finite_is_ignored(speed):
    log = SpeedLog()
    for stamp, value in ((0.0, 2.0), (0.5, speed), (1.0, 2.0)):
        log.add(stamp, value)
    assert log.distance(0.0, 1.0) == pytest.approx(2.0)


def test_a_repeated_stamp_replaces_the_speed():
    log = SpeedLog()
    for stamp, value in ((0.0, 2.0), (0.5, 9.0), (0.5, 2.0), (1.0, 2.0), (0.5, 4.0)):
        log.add(stamp, value)
    assert log.distance(0.0, 1.0) == pytest.approx(3.0)


def test_a_late_speed_takes_its_place():
    log = SpeedLog()
    for i in range(20):  # wheels without delay, and another source that comes 0.25 s late
        log.add(0.1 * i, 2.0)
        log.add(0.1 * i - 0.25, 2.0)
    assert log.distance(0.0, 1.9) == pytest.approx(3.8)


CAMERA = PinholeCamera(160, 96, 120.0, 120.0, 79.5, 47.5)


def view(depth=5.0, stamp=0.0):
    """A wall of noise at one distance, which has corners everywhere."""
    noise = np.random.default_rng(0).integers(0, 256, (96, 160, 3), dtype=np.uint8)
    noise = cv2.GaussianBlur(noise, (0, 0), 2.0)
    labels = np.zeros((96, 160), np.uint8)
    depth_hw = np.broadcast_to(np.float32(depth), (96, 160))
    return motion.make_view(noise, depth_hw, labels, (), CAMERA, stamp)


@pytest.mark.parametrize(
    ('inliers', 'length', 'tries'),
    [
        ((0.45, 0.65, 0.6, 0.5), 2.0, 4),  # the best of all
        ((0.45, 0.9), 2.0, 2),  # enough
        ((0.9,), 1.0, 1),
        ((0.1, 0.2, 0.3, 0.39), None, 4),  # the best is not enough
    ],
)
def test_the_step_ahead_that_most_tracks_agree_with_is_taken(monkeypatch, inliers, length, tries):
    steps = []

    def found(before, after, start, points, ahead):
        steps.append(ahead)
        return motion.Motion(float(len(steps)), inliers[len(steps) - 1]), ''

    monkeypatch.setattr(motion, '_motion', found)
    answer, problem = motion.camera_motion(view(), view(stamp=0.1))
    assert (answer and answer.length) == length
    assert bool(problem) == (length is None)
    assert steps == pytest.approx([5.0 * step for step in (0.0, 0.15, 0.3, 0.5)][:tries])


def test_what_would_pass_the_camera_is_not_looked_for(monkeypatch):
    guesses, real = [], motion.follow

    def follow(before, after, start, guess, **options):
        guesses.append(guess)
        return real(before, after, start, guess, **options)

    monkeypatch.setattr(motion, 'follow', follow)
    depth = np.full((96, 160), 10.0, np.float32)
    depth[:, :80] = np.linspace(1.0, 3.0, 96, dtype=np.float32)[:, None]
    scene = view(depth)
    pixels = np.argwhere(np.ones((96, 160), bool))[::37, ::-1].astype(np.float32)
    u, v = pixels.astype(int).T
    points = CAMERA.back_project(depth)[v, u].astype(np.float64)
    motion._motion(scene, scene, pixels, points, 2.0)
    (guess,) = guesses
    assert len(guess) == (points[:, 2] - 2.0 > 0.3 * points[:, 2]).sum() < len(points)
    assert np.isfinite(guess).all()


def test_a_track_that_does_not_lead_back_is_none():
    """Half of the second image is of something else."""
    before = view().gray
    after = before.copy()
    after[:, 80:] = np.random.default_rng(1).integers(0, 256, (96, 80), dtype=np.uint8)
    start = np.array([[x, y] for x in range(12, 150, 6) for y in range(12, 84, 6)], np.float32)
    _, good = motion.follow(before, after, start, start)
    same = start[:, 0] < 60
    assert good[same].mean() > 0.95
    assert good[start[:, 0] > 100].mean() < 0.2


def test_corners_at_the_outline_of_what_moves_belong_to_it():
    labels = np.zeros((96, 160), np.uint8)
    labels[40:60, 70:90] = 3
    image = np.zeros((96, 160, 3), np.uint8)
    depth = np.ones((96, 160), np.float32)
    depth[0, 0], depth[0, 1], depth[0, 2] = np.nan, -1.0, np.inf
    static = motion.make_view(image, depth, labels, (3,), CAMERA, 0.0).static
    assert not static[38:62, 68:92].any()
    assert static[37, 60:100].all() and static[62, 60:100].all()
    assert not static[0, :3].any() and static[0, 3:].all()
