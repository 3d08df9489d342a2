# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What any network must beat: one depth per image row, one depth for all, and the truth itself."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.evaluation.frames import EvaluationError, Frame, Output

ROWS = 192
"""Rows that an image is divided into, whatever its height."""


class DepthStatistics:
    """Median depth of each row and of the whole of each frame, for fits that leave one out.

    The fit for a frame is the median over the medians of all *other* frames, so that no frame
    is predicted from its own truth. Rows without truth in any frame are interpolated.
    """

    def __init__(
        self,
        truths: Iterable[tuple[str, NDArray[np.float32]]],
        min_depth: float = 1e-3,
        max_depth: float = 80.0,
    ) -> None:
        """Read (name, truth (H, W) in metres) pairs; raises EvaluationError for fewer than two."""
        self._rows: dict[str, NDArray[np.float64]] = {}
        self._all: dict[str, float] = {}
        for name, truth_hw in truths:
            valid_hw = (truth_hw > min_depth) & (truth_hw < max_depth)
            if valid_hw.any():
                self._rows[name] = _row_medians(np.where(valid_hw, truth_hw, np.nan))
                self._all[name] = float(np.median(truth_hw[valid_hw]))
        if len(self._rows) < 2:
            raise EvaluationError(
                f'the baselines leave one frame out and fit on the others: {len(self._rows)} '
                'frame(s) with truth found, 2 or more expected'
            )

    def rows(self, but: str) -> NDArray[np.float64]:
        """Give the median depth of each of the ``ROWS`` rows, fitted without frame ``but``."""
        others = np.array([values for name, values in self._rows.items() if name != but])
        known_r = ~np.isnan(others).all(0)
        medians = np.nanmedian(others[:, known_r], axis=0)
        return np.asarray(np.interp(np.arange(ROWS), np.flatnonzero(known_r), medians))

    def overall(self, but: str) -> float:
        """Give the median depth of a whole frame, fitted without frame ``but``."""
        return float(np.median([value for name, value in self._all.items() if name != but]))


def _row_medians(depth_hw: NDArray[np.floating]) -> NDArray[np.float64]:
    """Give the median of each of the ``ROWS`` rows of an image (H, W); NaN where all is NaN."""
    bounds = np.ceil(np.arange(ROWS + 1) * len(depth_hw) / ROWS).astype(int)
    medians = np.full(ROWS, np.nan)
    for row, (low, high) in enumerate(pairwise(bounds)):
        values = depth_hw[low:high]
        values = values[~np.isnan(values)]
        if values.size:
            medians[row] = np.median(values)
    return medians


class RowPrior:
    """The median depth of each image row in all other frames: knows the road, sees nothing."""

    name = 'row prior'
    identity = f'median of the row medians of the other frames, {ROWS} rows'
    uses_image = False

    def __init__(self, statistics: DepthStatistics) -> None:
        self._statistics = statistics

    def predict(self, frame: Frame) -> Output:
        """Give the (H, W) prior at the truth's size."""
        height, width = frame.truth.shape
        column = self._statistics.rows(but=frame.name).astype(np.float32)[:, None]
        rows = np.arange(height) * ROWS // height
        return Output(np.repeat(column[rows], width, axis=1))


class Constant:
    """The same depth everywhere: the median of all other frames."""

    name = 'constant'
    identity = 'median of the medians of the other frames'
    uses_image = False

    def __init__(self, statistics: DepthStatistics) -> None:
        self._statistics = statistics

    def predict(self, frame: Frame) -> Output:
        """Give the (H, W) constant at the truth's size."""
        value = self._statistics.overall(but=frame.name)
        return Output(np.full(frame.truth.shape, value, np.float32))


class Truth:
    """The truth as its own prediction: every error is 0, or the evaluation itself is wrong."""

    name = 'truth'
    identity = 'the truth'
    uses_image = False

    def predict(self, frame: Frame) -> Output:
        """Give the truth back."""
        return Output(frame.truth)
