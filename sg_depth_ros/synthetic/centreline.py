# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The road's endless centre line: position, heading and curvature over the driven distance."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

_MARGIN = 64
"""Metres kept beyond what was asked for, so that curvature ahead is known."""
_STEEPEST = 0.08
_FARTHEST_TURN = 0.9
"""Radians; the road never turns back on itself."""


class Centreline:
    """A smooth random curve in 1 m steps, extended ahead and forgotten behind."""

    def __init__(
        self, rng: np.random.Generator, sharpest: float, hills: float, curvature: float
    ) -> None:
        """Start level along +x at s = 0.

        :param sharpest: largest curvature in 1/m.
        :param hills: 0 flat to 1.
        :param curvature: 0 straight to 1.
        """
        self._rng = rng
        self._sharpest = sharpest * curvature
        self._steepest = _STEEPEST * hills
        # Columns: x, y, z, heading, slope, curvature.
        self._rows = np.zeros((1, 6))
        self._first = 0
        self._goal_curvature = self._goal_slope = 0.0
        self._left = 0

    def extend(self, s: float) -> None:
        """Make the curve known up to s metres."""
        rows = [self._rows[-1]]
        while self._first + len(self._rows) + len(rows) - 2 < s + _MARGIN:
            if self._left == 0:
                self._left = int(self._rng.integers(30, 130))
                bend = self._rng.choice([0.0, 0.35, 1.0], p=[0.45, 0.35, 0.2])
                self._goal_curvature = self._sharpest * bend * self._rng.uniform(-1, 1)
                self._goal_slope = self._steepest * self._rng.uniform(-1, 1)
            self._left -= 1
            x, y, z, heading, slope, bend = rows[-1]
            goal = self._goal_curvature
            if heading * goal > 0:
                goal *= max(0.0, 1 - abs(heading) / _FARTHEST_TURN)
            goal -= 0.02 * self._sharpest * heading
            bend += 0.08 * (goal - bend)
            slope += np.clip(self._goal_slope - slope, -0.0015, 0.0015)
            rows.append(
                np.array(
                    [x + np.cos(heading), y + np.sin(heading), z + slope,
                     heading + bend, slope, bend]
                )
            )  # fmt: skip
        self._rows = np.concatenate([self._rows, *[r[None] for r in rows[1:]]])

    def forget(self, s: float) -> None:
        """Drop what lies more than the margin behind s."""
        drop = int(max(0, s - _MARGIN - self._first))
        if drop:
            self._rows = self._rows[drop:].copy()
            self._first += drop

    def _at(self, s: ArrayLike) -> NDArray[np.float64]:
        place = np.asarray(s, np.float64) - self._first
        low = np.clip(np.floor(place).astype(np.intp), 0, len(self._rows) - 2)
        share = (place - low)[..., None]
        return self._rows[low] * (1 - share) + self._rows[low + 1] * share

    def place(self, s: ArrayLike, d: ArrayLike, h: ArrayLike = 0.0) -> NDArray[np.float64]:
        """Give world points (..., 3) at s along, d to the left and h above the road."""
        s, d, h = np.broadcast_arrays(*(np.asarray(a, np.float64) for a in (s, d, h)))
        row = self._at(s)
        heading = row[..., 3]
        return np.stack(
            [
                row[..., 0] - d * np.sin(heading),
                row[..., 1] + d * np.cos(heading),
                row[..., 2] + h,
            ],
            -1,
        )

    def heading(self, s: float) -> float:
        """Give the direction of the road at s, radians from x to y."""
        return float(self._at(s)[3])

    def slope(self, s: float) -> float:
        """Give the gradient at s, positive uphill."""
        return float(self._at(s)[4])

    def sharpest_near(self, s: float, reach: float) -> tuple[float, float]:
        """Give the largest curvature to the right and to the left within reach of s, in 1/m."""
        low = max(0, int(s - reach - self._first))
        bends = self._rows[low : int(s + reach - self._first) + 1, 5]
        return max(0.0, -float(bends.min())), max(0.0, float(bends.max()))
