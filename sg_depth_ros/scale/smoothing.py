# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A factor that is measured again and again, with outliers and gaps: robust over time."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

SETTLE_SECONDS = 1.0
"""For this long after the first measurement the value may still jump to the median."""
SETTLE_COUNT = 3
"""Measurements until there is a value: of three, one may be wrong."""
CHANGE_COUNT = 5
"""Measurements in a row that must disagree with the value, and agree among themselves, to be
believed: the camera, and not a passing lorry, has changed."""
FRESH_SECONDS = 0.5
"""A value whose last measurement is older is held, not tracked."""
MOST = 10_000
"""Measurements that are kept at most: of a camera that leaves its stamps empty none grows old."""


class RobustFactor:
    """The median of the last seconds, behind a gate, with a bounded rate of change.

    Everything works on logarithms: a factor of 2 is as far from 1 as a factor of 1/2.
    """

    def __init__(self, window: float, gate: float, max_rate: float) -> None:
        """Start without a value.

        :param window: seconds of measurements that the median is taken of
        :param gate: a measurement that differs by a larger share is not believed at once
        :param max_rate: largest change of the value per second, as a share of it
        """
        self._window, self._gate, self._max_rate = window, math.log1p(gate), math.log1p(max_rate)
        self._kept: deque[tuple[float, float]] = deque(maxlen=MOST)
        self._refused: deque[tuple[float, float]] = deque(maxlen=CHANGE_COUNT)
        self._value: float | None = None
        self._first = self._last = self._now = -math.inf

    @property
    def value(self) -> float | None:
        """The factor, or None as long as too few measurements have come."""
        return None if self._value is None else math.exp(self._value)

    @property
    def count(self) -> int:
        """How many measurements of the last seconds are kept."""
        return len(self._kept)

    @property
    def spread(self) -> float:
        """Standard deviation of the kept measurements as a share, estimated robustly."""
        logs = np.array([log for _, log in self._kept])
        if not len(logs):
            return math.nan
        return float(1.4826 * np.median(np.abs(logs - np.median(logs))))

    @property
    def age(self) -> float:
        """Seconds since a measurement was last kept; infinite before the first."""
        return self._now - self._last if self._kept or self._value is not None else math.inf

    @property
    def held(self) -> bool:
        """Whether the value rests on what was measured a while ago."""
        return self._value is not None and self.age > FRESH_SECONDS

    def update(self, measurement: float | None, stamp: float) -> bool:
        """Take in a measurement, or None where there was none; tell whether it was kept.

        :param measurement: what is not finite or not positive counts as none
        :param stamp: seconds; a step backwards (a bag that begins again) drops the window
        """
        if stamp < self._now:
            self._kept.clear()
            self._refused.clear()
            self._last = self._first = self._now = stamp
        elapsed, self._now = min(stamp - self._now, self._window), stamp
        kept = (
            measurement is not None
            and 0 < measurement < math.inf
            and self._keep(math.log(measurement), stamp)
        )
        while self._kept and self._kept[0][0] < stamp - self._window:
            self._kept.popleft()
        if self._kept:
            self._follow(elapsed)
        return kept

    def _keep(self, log: float, stamp: float) -> bool:
        """Store a measurement that agrees with the value, or with those refused before it."""
        if not self._agrees(log):
            self._refused.append((stamp, log))
            logs = [value for _, value in self._refused]
            if len(logs) < CHANGE_COUNT or np.ptp(logs) > self._gate:
                return False
            self._kept.clear()
            self._kept.extend(self._refused)
        else:
            self._kept.append((stamp, log))
        self._refused.clear()
        self._last = stamp
        if math.isinf(self._first):
            self._first = stamp
        return True

    def _agrees(self, log: float) -> bool:
        """Tell if a measurement is near the value, or near what the value is on its way to."""
        if self._value is None or abs(log - self._value) <= self._gate:
            return True
        return bool(self._kept) and abs(log - self._median()) <= self._gate

    def _median(self) -> float:
        return float(np.median([log for _, log in self._kept]))

    def _follow(self, elapsed: float) -> None:
        median = self._median()
        if self._value is None:
            if len(self._kept) >= SETTLE_COUNT:
                self._value = median
            return
        if self._now - self._first <= SETTLE_SECONDS:
            self._value = median
            return
        most = self._max_rate * elapsed
        self._value += float(np.clip(median - self._value, -most, most))
