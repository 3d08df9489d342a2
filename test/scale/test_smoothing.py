# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest

from sg_depth_ros.scale import smoothing
from sg_depth_ros.scale.smoothing import RobustFactor


def fed(values, start=0.0, step=0.1, factor=None):
    factor = factor or RobustFactor(window=2.0, gate=0.2, max_rate=0.1)
    for i, value in enumerate(values):
        factor.update(value, start + i * step)
    return factor


def test_there_is_no_value_before_three_measurements():
    factor = fed([5.0, 5.1])
    assert factor.value is None
    assert math.isinf(RobustFactor(2.0, 0.2, 0.1).age)
    factor.update(4.9, 0.2)
    assert factor.value == pytest.approx(5.0)
    assert not factor.held


def test_noise_and_outliers_hardly_move_it():
    random = np.random.default_rng(1)
    values = 3 * np.exp(0.05 * random.standard_normal(60))
    values[10::7] *= 4
    factor = fed(values)
    assert factor.value == pytest.approx(3, rel=0.03)
    assert factor.spread == pytest.approx(0.05, rel=0.5)


def test_it_is_held_through_a_gap_and_says_so():
    factor = fed([2.0] * 20 + [None] * 50)
    assert factor.value == pytest.approx(2.0)
    assert factor.held
    assert factor.age == pytest.approx(5.0)
    factor.update(2.02, 7.0)
    assert not factor.held
    assert factor.age == 0


def test_a_change_is_believed_when_it_lasts_and_is_followed_slowly():
    factor = fed([1.0] * 20)
    assert not factor.update(2.0, 2.0)
    assert factor.value == pytest.approx(1.0)
    fed([2.0] * 11, 2.1, factor=factor)
    assert 1.0 < factor.value < 1.0 * 1.1**1.2
    fed([2.0] * 100, 3.2, factor=factor)
    assert factor.value == pytest.approx(2.0)


def test_outliers_that_do_not_agree_with_each_other_are_never_believed():
    factor = fed([1.0] * 20)
    for i, value in enumerate([2.0, 4.0, 0.3, 6.0, 2.0, 0.2, 3.5, 2.0, 5.0] * 3):
        assert not factor.update(value, 2.0 + 0.1 * i)
    assert factor.value == pytest.approx(1.0)


def test_a_change_is_believed_with_the_fifth_measurement():
    factor = fed([1.0] * 20)
    assert [factor.update(v, 2 + 0.1 * i) for i, v in enumerate([2, 2.1, 1.9, 2, 2.05])] == [
        *[False] * 4,
        True,
    ]


def test_what_the_value_is_on_its_way_to_is_no_outlier():
    factor = fed([1.0] * 20, step=0.5)
    fed([2.0] * 5, 10.0, step=0.5, factor=factor)
    assert factor.value < 1.2
    for i in range(20):
        assert factor.update(2.0, 12.5 + 0.5 * i)
        assert not factor.held
    assert factor.value == pytest.approx(2.0)
    assert not factor.update(3.0, 23.0)


def test_time_that_goes_back_keeps_the_value():
    factor = fed([4.0] * 20, start=100.0)
    factor.update(4.0, 1.0)
    assert factor.value == pytest.approx(4.0)
    assert factor.age == 0


def test_a_gap_gives_no_leave_to_jump():
    factor = RobustFactor(window=2.0, gate=0.2, max_rate=0.01)
    fed([1.0] * 20, factor=factor)
    assert factor.update(1.18, 500.0)
    assert factor.value == pytest.approx(1.01**2)


def test_stamps_that_stand_still_do_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(smoothing, 'MOST', 50)
    factor = fed([3.0] * 50 + [3.3] * 50, step=0.0)
    assert factor.value == pytest.approx(3.3)


@pytest.mark.parametrize('bad', [math.nan, math.inf, 0.0, -1.0])
def test_what_is_no_factor_counts_as_no_measurement(bad):
    factor = fed([3.0] * 20)
    assert not factor.update(bad, 2.0)
    fed([3.0] * 20, 2.1, factor=factor)
    assert factor.value == pytest.approx(3.0)
    assert factor.spread == pytest.approx(0.0)
