# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth error metrics as pure functions on arrays.

The eight common metrics (Eigen et al., NIPS 2014; KITTI devkit for SILog) of one image. A data
set's figure is the mean over its images (:func:`mean_errors`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Scaling = Literal['median', 'least_squares', 'none']

DISTANCE_BINS_M = (0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 80.0)
"""Edges of the distance bins in metres of truth."""

SMALLEST_M = 1e-6
"""Predictions are raised to this before a logarithm or an inverse is taken."""


@dataclass(frozen=True)
class DepthErrors:
    """Errors of one image, of a part of it, or the mean over images.

    ``abs_rel``, ``rmse_log`` and the deltas have no unit; ``sq_rel`` and ``rmse`` are metres;
    ``silog`` is 100 times the standard deviation of the log ratio. ``scale`` and ``shift`` are
    what the prediction was aligned with, ``median_ratio`` is median(truth) / median(prediction)
    before that: 1 for a metric model. ``coverage`` is the share of the true pixels that have a
    prediction; ``pixels`` is how many were compared.
    """

    abs_rel: float
    sq_rel: float
    rmse: float
    rmse_log: float
    silog: float
    delta1: float
    delta2: float
    delta3: float
    scale: float
    shift: float
    median_ratio: float
    coverage: float
    pixels: float


@dataclass(frozen=True)
class Compared:
    """True and aligned, clamped predicted depths of the compared pixels of one image.

    ``truth_n`` and ``prediction_n`` are (N,) float64 metres, in the row-major order of
    ``where_hw``, the (H, W) bool mask of the compared pixels.
    """

    truth_n: NDArray[np.float64]
    prediction_n: NDArray[np.float64]
    where_hw: NDArray[np.bool_]
    scale: float
    shift: float
    median_ratio: float
    coverage: float

    def errors(self, part_n: NDArray[np.bool_] | None = None) -> DepthErrors:
        """Give the errors of all compared pixels or of those in ``part_n`` (N,) bool."""
        truth, prediction = self.truth_n, self.prediction_n
        if part_n is not None:
            truth, prediction = truth[part_n], prediction[part_n]
        return DepthErrors(
            **pixel_errors(truth, prediction),
            scale=self.scale,
            shift=self.shift,
            median_ratio=self.median_ratio,
            coverage=self.coverage,
            pixels=float(truth.size),
        )


def pixel_errors(
    truth_n: NDArray[np.float64], prediction_n: NDArray[np.float64]
) -> dict[str, float]:
    """Give the eight metrics of positive depths (N,) in metres; NaN where N is 0."""
    names = ('abs_rel', 'sq_rel', 'rmse', 'rmse_log', 'silog', 'delta1', 'delta2', 'delta3')
    if truth_n.size == 0:
        return dict.fromkeys(names, float('nan'))
    positive_n = np.maximum(prediction_n, SMALLEST_M)
    difference_n = truth_n - prediction_n
    log_n = np.log(positive_n) - np.log(truth_n)
    ratio_n = np.maximum(truth_n / positive_n, positive_n / truth_n)
    values = (
        np.mean(np.abs(difference_n) / truth_n),
        np.mean(difference_n**2 / truth_n),
        np.sqrt(np.mean(difference_n**2)),
        np.sqrt(np.mean(log_n**2)),
        100 * np.std(log_n),
        *(np.mean(ratio_n < 1.25**power) for power in (1, 2, 3)),
    )
    return {name: float(value) for name, value in zip(names, values, strict=True)}


def fit_scaling(
    truth_n: NDArray[np.float64], prediction_n: NDArray[np.float64], scaling: Scaling
) -> tuple[float, float]:
    """Fit (scale, shift) so that ``1 / (1 / (scale * prediction) + shift)`` meets the truth.

    ``median``: ratio of the medians, no shift. ``least_squares``: scale and shift of the inverse
    depth in the least-squares sense, as affine-invariant networks need (Ranftl et al., TPAMI
    2020, eq. 4). Where no positive scale fits best (the prediction is constant or runs against
    the truth) it is infinite, so that the prediction counts as one depth everywhere.
    """
    if scaling == 'none' or truth_n.size == 0:
        return 1.0, 0.0
    if scaling == 'median':
        return float(np.median(truth_n) / np.median(prediction_n)), 0.0
    if scaling == 'least_squares':
        inverse_n, wanted_n = 1 / prediction_n, 1 / truth_n
        centred_n = inverse_n - inverse_n.mean()
        variance = float(np.mean(centred_n**2))
        # A constant leaves rounding noise alone to fit.
        varies = variance > (1e-6 * float(inverse_n.mean())) ** 2
        slope = float(np.mean(centred_n * wanted_n)) / variance if varies else 0.0
        if slope <= 0:
            return float('inf'), float(wanted_n.mean())
        return 1 / slope, float(wanted_n.mean() - slope * inverse_n.mean())
    raise ValueError(f"unknown scaling '{scaling}'; choose median, least_squares or none")


def compare_depth(
    truth_hw: NDArray[np.floating],
    prediction_hw: NDArray[np.floating],
    mask: NDArray[np.bool_] | None = None,
    *,
    scaling: Scaling = 'median',
    min_depth: float = 1e-3,
    max_depth: float = 80.0,
    max_truth: float | None = None,
) -> Compared:
    """Pick the pixels to compare, align the prediction and clamp it.

    :param truth_hw: (H, W) metres; NaN, +-inf and values outside (min_depth, max_truth) are no
        truth; ``max_truth`` is ``max_depth``, the limit that predictions are clamped to, if None.
    :param prediction_hw: (H, W); NaN and values <= 0 are no prediction, +inf is beyond range and
        is compared as ``max_depth``.
    :param mask: (H, W) bool, where to compare; everywhere if None.
    :param scaling: see :func:`fit_scaling`.
    :raises ValueError: when the shapes differ.
    """
    if truth_hw.shape != prediction_hw.shape:
        raise ValueError(
            f'truth of shape {truth_hw.shape} and prediction of shape {prediction_hw.shape} '
            'cannot be compared; resize the prediction to the truth first'
        )
    true_hw = (truth_hw > min_depth) & (truth_hw < (max_depth if max_truth is None else max_truth))
    if mask is not None:
        true_hw &= mask
    where_hw = true_hw & (prediction_hw > 0)
    truth_n = truth_hw[where_hw].astype(np.float64)
    prediction_n = prediction_hw[where_hw].astype(np.float64)
    true_pixels = int(true_hw.sum())
    coverage = truth_n.size / true_pixels if true_pixels else float('nan')
    finite_n = np.isfinite(prediction_n)
    fit = (truth_n[finite_n], np.maximum(prediction_n[finite_n], SMALLEST_M))
    scale, shift = fit_scaling(*fit, scaling)
    ratio = fit_scaling(*fit, 'median')[0] if finite_n.any() else float('nan')
    aligned_n = prediction_n * scale
    if shift:
        inverse_n = 1 / np.maximum(aligned_n, SMALLEST_M) + shift
        # An inverse depth below that of max_depth, negative ones too, is beyond range.
        aligned_n = 1 / np.maximum(inverse_n, 1 / max_depth)
    aligned_n = np.clip(aligned_n, min_depth, max_depth)
    return Compared(truth_n, aligned_n, where_hw, scale, shift, ratio, coverage)


def compute_depth_errors(
    truth_hw: NDArray[np.floating],
    prediction_hw: NDArray[np.floating],
    mask: NDArray[np.bool_] | None = None,
    *,
    scaling: Scaling = 'median',
    min_depth: float = 1e-3,
    max_depth: float = 80.0,
) -> DepthErrors:
    """Give the errors of one image; arguments as in :func:`compare_depth`."""
    return compare_depth(
        truth_hw,
        prediction_hw,
        mask,
        scaling=scaling,
        min_depth=min_depth,
        max_depth=max_depth,
    ).errors()


def errors_by_label(
    compared: Compared, labels_hw: NDArray[np.uint8], names: Mapping[int, str]
) -> dict[str, DepthErrors]:
    """Give the errors of each class that occurs in ``labels_hw`` (H, W), by its name."""
    labels_n = labels_hw[compared.where_hw]
    return {
        names[int(label)]: compared.errors(labels_n == label)
        for label in np.unique(labels_n)
        if int(label) in names
    }


def errors_by_distance(
    compared: Compared, edges_m: Sequence[float] = DISTANCE_BINS_M
) -> dict[str, DepthErrors]:
    """Give the errors of each bin [low, high) of true depth that occurs, keyed 'low-high'."""
    result = {}
    for low, high in pairwise(edges_m):
        part_n = (compared.truth_n >= low) & (compared.truth_n < high)
        if part_n.any():
            result[f'{low:g}-{high:g}'] = compared.errors(part_n)
    return result


def depth_edges(
    truth_hw: NDArray[np.floating], radius: int = 3, ratio: float = 1.25
) -> NDArray[np.bool_]:
    """Mark the true pixels (H, W) at a jump in depth.

    There the nearest and the farthest truth of the same row within ``radius`` pixels differ by
    more than the factor ``ratio``. Rows alone, so that the road, whose depth grows fast from
    row to row, is no edge; pixels without truth are skipped, so that sparse LiDAR has edges
    too. Sky (+inf) counts as far.
    """
    true_hw = truth_hw > 0
    kernel = np.ones((1, 2 * radius + 1), np.uint8)
    far_hw = np.where(np.isinf(truth_hw), 1e6, truth_hw)
    highest = cv2.dilate(np.where(true_hw, far_hw, 0).astype(np.float32), kernel)
    lowest = cv2.erode(np.where(true_hw, far_hw, 1e9).astype(np.float32), kernel)
    return true_hw & (highest > ratio * lowest)


def mean_errors(errors: Iterable[DepthErrors]) -> DepthErrors:
    """Average over images, each image with the same weight; NaN values are left out."""
    columns = np.array(
        [[getattr(error, field.name) for field in fields(DepthErrors)] for error in errors],
        np.float64,
    ).reshape(-1, len(fields(DepthErrors)))
    means = [
        float(column[known].mean()) if (known := ~np.isnan(column)).any() else float('nan')
        for column in columns.T
    ]
    return DepthErrors(*means)
