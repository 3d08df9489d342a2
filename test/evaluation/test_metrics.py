# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest

from sg_depth_ros.evaluation.metrics import (
    compare_depth,
    compute_depth_errors,
    depth_edges,
    errors_by_distance,
    errors_by_label,
    mean_errors,
)


@pytest.fixture
def truth():
    return np.random.default_rng(3).uniform(2, 60, (40, 70)).astype(np.float32)


def reference(truth, prediction):
    """Loop over the pixels in plain Python: nothing shared with the module."""
    n = len(truth)
    logs = [math.log(p) - math.log(t) for t, p in zip(truth, prediction, strict=True)]
    ratios = [max(t / p, p / t) for t, p in zip(truth, prediction, strict=True)]
    pairs = list(zip(truth, prediction, strict=True))
    mean_log = sum(logs) / n
    return {
        'abs_rel': sum(abs(t - p) / t for t, p in pairs) / n,
        'sq_rel': sum((t - p) ** 2 / t for t, p in pairs) / n,
        'rmse': math.sqrt(sum((t - p) ** 2 for t, p in pairs) / n),
        'rmse_log': math.sqrt(sum(x * x for x in logs) / n),
        'silog': 100 * math.sqrt(sum((x - mean_log) ** 2 for x in logs) / n),
        'delta1': sum(r < 1.25 for r in ratios) / n,
        'delta2': sum(r < 1.5625 for r in ratios) / n,
        'delta3': sum(r < 1.953125 for r in ratios) / n,
    }


@pytest.mark.parametrize('scaling', ['median', 'least_squares', 'none'])
def test_truth_scores_zero(truth, scaling):
    errors = compute_depth_errors(truth, truth, scaling=scaling)
    for name in ('abs_rel', 'sq_rel', 'rmse', 'rmse_log', 'silog', 'shift'):
        assert getattr(errors, name) == pytest.approx(0, abs=1e-5)
    assert errors.delta1 == errors.delta2 == errors.delta3 == errors.coverage == 1
    assert errors.scale == pytest.approx(1)
    assert errors.pixels == truth.size


def test_matches_plain_loop(truth):
    prediction = truth * np.random.default_rng(5).lognormal(0, 0.3, truth.shape)
    errors = compute_depth_errors(truth, prediction, scaling='none', max_depth=1e4)
    for name, value in reference(truth.ravel().tolist(), prediction.ravel().tolist()).items():
        assert getattr(errors, name) == pytest.approx(value, rel=1e-6), name


def test_known_scale_without_scaling(truth):
    errors = compute_depth_errors(truth, 1.2 * truth, scaling='none')
    assert errors.abs_rel == pytest.approx(0.2, rel=1e-5)
    assert errors.sq_rel == pytest.approx(0.04 * truth.mean(), rel=1e-5)
    assert errors.rmse == pytest.approx(0.2 * np.sqrt((truth.astype(float) ** 2).mean()), rel=1e-5)
    assert errors.rmse_log == pytest.approx(math.log(1.2), rel=1e-5)
    assert errors.silog == pytest.approx(0, abs=1e-4)
    assert errors.delta1 == 1
    assert errors.median_ratio == pytest.approx(1 / 1.2)
    assert errors.scale == 1


@pytest.mark.parametrize(
    ('factor', 'delta1', 'delta2', 'delta3'), [(1.3, 0, 1, 1), (1.6, 0, 0, 1)]
)
def test_deltas(truth, factor, delta1, delta2, delta3):
    errors = compute_depth_errors(truth, factor * truth, scaling='none', max_depth=1e4)
    assert (errors.delta1, errors.delta2, errors.delta3) == (delta1, delta2, delta3)


def test_median_scaling_undoes_scale(truth):
    errors = compute_depth_errors(truth, 0.03 * truth)
    assert errors.abs_rel == pytest.approx(0, abs=1e-6)
    assert errors.scale == pytest.approx(1 / 0.03, rel=1e-5)


def test_known_shift(truth):
    errors = compute_depth_errors(truth, truth + 1, scaling='none')
    assert errors.abs_rel == pytest.approx((1 / truth.astype(float)).mean(), rel=1e-5)
    assert errors.rmse == pytest.approx(1, rel=1e-5)


def test_least_squares_undoes_affine_inverse_depth(truth):
    prediction = 1 / (4 / truth + 0.3)
    errors = compute_depth_errors(truth, prediction, scaling='least_squares')
    assert errors.abs_rel == pytest.approx(0, abs=1e-5)
    assert errors.shift == pytest.approx(-0.3 / 4, rel=1e-4)
    assert compute_depth_errors(truth, prediction).abs_rel > 0.1


def test_least_squares_is_the_least(truth):
    prediction = truth * np.random.default_rng(1).lognormal(0, 0.2, truth.shape)
    compared = compare_depth(truth, prediction, scaling='least_squares', max_depth=1e6)
    slope, shift = np.polyfit(1 / prediction.ravel(), 1 / truth.ravel().astype(float), 1)
    assert 1 / compared.scale == pytest.approx(slope, rel=1e-4)
    assert compared.shift == pytest.approx(shift, rel=1e-4)


@pytest.mark.parametrize('turn', [lambda d: 1 / d, lambda d: np.full_like(d, 7)])
def test_least_squares_of_what_does_not_fit_is_one_depth(truth, turn):
    compared = compare_depth(truth, turn(truth), scaling='least_squares')
    expected = 1 / (1 / truth.astype(float)).mean()
    assert compared.prediction_n == pytest.approx(np.full(truth.size, expected), rel=1e-5)


def test_known_noise():
    """Log-normal noise of deviation s: SILog 100 s, AbsRel of a half-normal to first order."""
    truth = np.full((400, 500), 20.0)
    noise = np.random.default_rng(0).normal(0, 0.05, truth.shape)
    errors = compute_depth_errors(truth, truth * np.exp(noise), scaling='none')
    assert errors.silog == pytest.approx(5, rel=0.01)
    assert errors.abs_rel == pytest.approx(0.05 * math.sqrt(2 / math.pi), rel=0.01)


def test_range_mask_and_clamp():
    truth = np.array([[0.0, 90.0, np.inf, np.nan, 40.0, 70.0, 10.0]])
    prediction = np.array([[1.0, 1.0, 1.0, 1.0, 40.0, np.inf, 5.0]])
    mask = np.array([[True, True, True, True, True, True, False]])
    errors = compute_depth_errors(truth, prediction, mask, scaling='none')
    assert errors.pixels == 2
    assert errors.abs_rel == pytest.approx((0 + 10 / 70) / 2)


def test_coverage_counts_missing_predictions(truth):
    prediction = truth.copy()
    prediction[:10] = np.nan
    errors = compute_depth_errors(truth, prediction)
    assert errors.coverage == 0.75
    assert errors.abs_rel == pytest.approx(0, abs=1e-6)


def test_nothing_to_compare():
    errors = compute_depth_errors(np.zeros((2, 2)), np.ones((2, 2)))
    assert math.isnan(errors.abs_rel) and errors.pixels == 0 and math.isnan(errors.coverage)


def test_shapes_must_agree(truth):
    with pytest.raises(ValueError, match='resize'):
        compute_depth_errors(truth, truth[:-1])


def test_by_label_uses_the_scale_of_the_image():
    truth = np.full((4, 8), 10.0)
    labels = np.zeros((4, 8), np.uint8)
    labels[:, 6:] = 13
    labels[0, 0] = 255
    prediction = np.where(labels == 13, 6.0, 5.0)
    classes = errors_by_label(compare_depth(truth, prediction), labels, {0: 'road', 13: 'car'})
    assert set(classes) == {'road', 'car'}
    assert classes['road'].abs_rel == 0
    assert classes['car'].abs_rel == pytest.approx(0.2)
    assert classes['road'].pixels == 23 and classes['car'].pixels == 8


def test_by_distance():
    truth = np.array([[5.0, 15.0, 25.0, 75.0]])
    prediction = truth * [1.1, 1.2, 1.3, 1.0]
    bins = errors_by_distance(compare_depth(truth, prediction, scaling='none'))
    assert {key: round(value.abs_rel, 6) for key, value in bins.items()} == {
        '0-10': 0.1,
        '10-20': 0.2,
        '20-30': 0.3,
        '60-80': 0.0,
    }


def test_depth_edges():
    truth = np.full((3, 20), 10.0)
    truth[:, 12:] = 20
    truth[1] = np.linspace(10, 10.5, 20)
    truth[:, 5] = np.nan
    edges = depth_edges(truth, radius=3)
    assert edges[0].nonzero()[0].tolist() == [9, 10, 11, 12, 13, 14]
    assert not edges[1].any()
    # Rows are taken one by one: a road's growth from row to row is no edge.
    assert not depth_edges(np.repeat([[5.0], [10.0], [40.0]], 20, 1)).any()


def test_mean_weighs_images_equally_and_skips_nan(truth):
    errors = [
        compute_depth_errors(truth, 1.1 * truth, scaling='none'),
        compute_depth_errors(truth[:2], 1.2 * truth[:2], scaling='none'),
        compute_depth_errors(np.zeros((2, 2)), np.ones((2, 2))),
    ]
    assert mean_errors(errors).abs_rel == pytest.approx(0.15, rel=1e-5)
    assert math.isnan(mean_errors([]).abs_rel)


def test_sky_and_holes_do_not_move_the_scale():
    truth = np.full((1, 9), 2.0)
    prediction = np.array([[1, 1, 1, np.inf, np.inf, np.inf, np.inf, np.inf, np.inf]])
    compared = compare_depth(truth, prediction)
    # Sky is far too far, but the scale is that of what has depth.
    assert (compared.scale, compared.median_ratio, compared.coverage) == (2, 2, 1)
    assert compared.prediction_n.tolist() == [2, 2, 2, 80, 80, 80, 80, 80, 80]
    prediction[0, 3:] = [0, -1, -np.inf, np.nan, 1, 1]
    compared = compare_depth(truth, prediction)
    assert (compared.scale, compared.coverage) == (2, 5 / 9)
    assert compared.where_hw.tolist() == [[True] * 3 + [False] * 4 + [True] * 2]
