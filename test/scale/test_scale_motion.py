# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
import math

import pytest

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
