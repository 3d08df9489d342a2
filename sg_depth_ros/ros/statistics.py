# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Counts and times of frames, gathered by several threads."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass
from typing import Literal

import numpy as np

Event = Literal[
    'received',
    'published',
    'withheld',
    'dropped_busy',
    'dropped_loading',
    'bad',
    'failed',
    'unwanted',
]
"""What can become of a received frame: withheld means that nothing went out, since the scale, the
camera or the ground was not known, dropped_busy that a newer one took its place, bad that it could
not be decoded, failed that inference or publishing raised, unwanted that the last subscriber
left."""

WINDOW = 10.0
"""Seconds that rates and percentiles look back."""


@dataclass(frozen=True)
class FrameTimes:
    """Seconds that one published frame took."""

    latency: float
    """From reception to the last publication."""
    decode: float
    inference: float
    publish: float
    """To build and publish the messages."""
    age: float
    """From the image's stamp to publication; meaningless unless the clocks agree."""


@dataclass(frozen=True)
class Summary:
    """Totals since activation, and what the last ``WINDOW`` seconds say."""

    totals: Counter[str]
    recent: Counter[str]
    rate: float
    """Published frames a second."""
    percentiles_ms: dict[str, tuple[float, float, float]]
    """Median, 95th percentile and maximum in milliseconds by the names of ``FrameTimes``; empty
    where nothing was published."""
    seconds_since: dict[str, float]
    """For received and published, since the last one or since frames could be expected."""


class FrameStatistics:
    """Thread-safe; times are those of a monotonic clock that the caller reads."""

    def __init__(self, now: float) -> None:
        self._lock = threading.Lock()
        self.reset(now)

    def reset(self, now: float) -> None:
        """Forget everything."""
        with self._lock:
            self._totals: Counter[str] = Counter()
        self.expect(now)

    def expect(self, now: float) -> None:
        """Begin rates and times anew, since frames can be expected from now on."""
        with self._lock:
            self._expected = now
            self._last: dict[str, float] = {}
            self._events: deque[tuple[float, str]] = deque()
            self._times: deque[tuple[float, FrameTimes]] = deque()

    def count(self, event: Event, now: float) -> None:
        """Count an event."""
        with self._lock:
            self._totals[event] += 1
            self._last[event] = now
            self._events.append((now, event))
            self._forget(now)

    def published(self, times: FrameTimes, now: float) -> None:
        """Count a published frame and keep its times."""
        self.count('published', now)
        with self._lock:
            self._times.append((now, times))

    def summary(self, now: float) -> Summary:
        """Sum up."""
        with self._lock:
            self._forget(now)
            recent = Counter(event for _, event in self._events)
            names = FrameTimes.__dataclass_fields__ if self._times else ()
            percentiles = {
                name: _percentiles([getattr(times, name) for _, times in self._times])
                for name in names
            }
            span = min(max(now - self._expected, 1.0), WINDOW)
            since = {
                event: now - self._last.get(event, self._expected)
                for event in ('received', 'published')
            }
            return Summary(
                self._totals.copy(), recent, recent['published'] / span, percentiles, since
            )

    def _forget(self, now: float) -> None:
        for entries in (self._events, self._times):
            while entries and entries[0][0] < now - WINDOW:
                entries.popleft()


def _percentiles(seconds: list[float]) -> tuple[float, float, float]:
    median, p95, maximum = np.percentile(np.array(seconds) * 1e3, (50, 95, 100))
    return float(median), float(p95), float(maximum)
