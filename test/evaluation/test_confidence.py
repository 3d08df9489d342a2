# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from sg_depth_ros.evaluation.confidence import (
    block_length,
    bootstrap_mean,
    paired_bootstrap,
    resampled_means,
)


def test_interval_of_independent_values_is_that_of_the_normal():
    values = np.random.default_rng(1).normal(5, 2, 400)
    interval = bootstrap_mean(values, block=1)
    half = 1.96 * values.std() / 20
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - half, abs=0.02)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.02)


def test_interval_holds_the_true_mean_as_often_as_it_says():
    rng = np.random.default_rng(2)
    holds = 0
    for trial in range(100):
        interval = bootstrap_mean(rng.normal(0, 1, 60), block=1, seed=trial)
        holds += interval.low <= 0 <= interval.high
    assert 88 <= holds <= 99


def test_blocks_widen_the_interval_of_a_drive():
    drive = np.repeat(np.random.default_rng(3).normal(0, 1, 40), 10)
    single, blocks = (bootstrap_mean(drive, block) for block in (1, 20))
    assert blocks.high - blocks.low > 2 * (single.high - single.low)


def test_pairing_sees_a_small_difference_that_every_frame_has():
    frames = np.random.default_rng(4).uniform(0.1, 0.6, 80)
    noise = np.random.default_rng(5).normal(0, 0.002, 80)
    difference = paired_bootstrap(frames, frames + 0.01 + noise)
    assert difference.high < 0
    assert difference.mean == pytest.approx(-0.01, abs=0.001)
    spread = bootstrap_mean(frames)
    assert spread.high - spread.low > 0.03


def test_equal_models_do_not_differ():
    values = np.arange(10.0)
    interval = paired_bootstrap(values, values)
    assert (interval.mean, interval.low, interval.high) == (0, 0, 0)


def test_missing_values():
    assert bootstrap_mean([1.0, np.nan, 3.0]).mean == 2
    assert np.isnan(bootstrap_mean([np.nan]).low)
    with pytest.raises(ValueError, match='same frames'):
        paired_bootstrap([1.0], [1.0, 2.0])


def test_block_length():
    assert [block_length(n) for n in (1, 8, 38, 697)] == [1, 2, 3, 9]


@pytest.mark.parametrize('block', [1, 2, 3, 4, 7])
def test_a_resample_is_as_long_as_the_original(block):
    assert resampled_means(np.full(7, 3.0), block, 0) == pytest.approx(3.0)
