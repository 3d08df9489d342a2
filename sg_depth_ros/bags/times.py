# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The times by which the images of a recording are told apart, and those at which it is played."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise

NS = 1_000_000_000
END_OF_STAMPS_NS = (1 << 31) * NS
"""A stamp's seconds are 32 bits with a sign."""
LONGEST_GAP_NS = 86_400 * NS
"""No recording has a gap of a day. One whose clock was set while it ran, or was that of a
simulation which had not begun, has gaps of decades."""
PAUSE_NS = 60 * NS
"""Nobody waits for longer than this for the next image ..."""
SHORT_PAUSE_NS = NS
"""... since a longer pause is cut to this."""


class ImageTimes:
    """A moment in nanoseconds for each image of a topic, no two of them equal.

    They are the header stamps. Where two images have the same one, since a driver leaves them
    empty or a recording begins again, they are all the times of recording.

    :ivar stamped: whether they are the stamps
    :ivar times: the moments in the order of the images
    """

    def __init__(self, images: Iterable[tuple[int, int]]) -> None:
        """Take stamp and time of recording of each image, in the order of the recording."""
        self._images = list(images)
        stamps = [stamp for stamp, _ in self._images]
        self.stamped = len(set(stamps)) == len(stamps)
        self.times = stamps
        if not self.stamped:
            self.times = []
            for _, recorded in self._images:
                time = recorded % END_OF_STAMPS_NS
                self.times.append(max(time, self.times[-1] + 1) if self.times else time)
        self._by_stamp: dict[int, list[int]] = {}
        for index, stamp in enumerate(stamps):
            self._by_stamp.setdefault(stamp, []).append(index)

    def of_companion(self, stamp_ns: int, recorded_ns: int) -> int:
        """Give the moment of another message: that of the image it was stamped together with.

        Of several such images it is the one recorded nearest. A message without an image has its
        own stamp, or its time of recording where the images have theirs.
        """
        if self.stamped:
            return stamp_ns
        if not (indices := self._by_stamp.get(stamp_ns)):
            return recorded_ns
        recorded = [self._images[index][1] for index in indices]
        after = bisect_right(recorded, recorded_ns)
        near = range(max(after - 1, 0), min(after + 1, len(indices)))
        nearest = min(near, key=lambda place: abs(recorded[place] - recorded_ns))
        return self.times[indices[nearest]]

    @property
    def note(self) -> str:
        """A sentence on stamps that could not be used; empty if they could."""
        if self.stamped:
            return ''
        equal = len(self._images) - len(self._by_stamp)
        return (
            f'{equal} of {len(self._images)} images have the stamp of another one: the times of '
            'recording are used in the place of all stamps'
        )


class Timeline:
    """When the messages of a recording are played, in nanoseconds from the first image on.

    It follows the times of recording of the images, in their longest stretch without a gap of a
    day. Pauses in it are cut short.
    """

    def __init__(self, recorded_ns: Sequence[int]) -> None:
        """Plan by the times of recording of all images, of which there is one at least."""
        times = sorted(recorded_ns)
        stretches = [[times[0]]]
        for before, after in pairwise(times):
            if after - before > LONGEST_GAP_NS:
                stretches.append([])
            stretches[-1].append(after)
        played = max(stretches, key=len)
        self.first, self.last = played[0], played[-1]
        self._pauses = [(a, b) for a, b in pairwise(played) if b - a > PAUSE_NS]
        cut = 0
        self._cuts = []
        """What the pauses up to each take away."""
        for start, end in self._pauses:
            cut += end - start - SHORT_PAUSE_NS
            self._cuts.append(cut)

    @property
    def cut_seconds(self) -> float:
        """Seconds of pauses that are left out."""
        return self._cuts[-1] / NS if self._cuts else 0.0

    def plays(self, recorded_ns: int) -> bool:
        """Tell whether a message recorded then is among what is played."""
        return self.first <= recorded_ns <= self.last

    def offset(self, recorded_ns: int) -> int:
        """Give when to play a message; what was recorded before the first image comes at 0."""
        index = bisect_right(self._pauses, (recorded_ns, recorded_ns)) - 1
        offset = recorded_ns - self.first
        if index >= 0:
            start, end = self._pauses[index]
            before = self._cuts[index - 1] if index else 0
            inside = min(recorded_ns - start, SHORT_PAUSE_NS)
            offset = start - self.first - before + inside
            if recorded_ns >= end:
                offset += recorded_ns - end
        return max(offset, 0)
