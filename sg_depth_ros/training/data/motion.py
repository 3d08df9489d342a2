# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which frames can be learned from: with neighbours, no gap or cut between, and in motion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.training.data.motion_cache import Seen, remembered
from sg_depth_ros.training.data.sequence import Sequence

LONGEST_INTERVAL = 2.5
"""Longest time between neighbours, in median ones: a single lost image is no harm."""
CUT_CONSISTENCY = 0.25
"""Of two images of one scene, flow there and back ends where it began in most places (half of
them at least in rain and at the mouths of tunnels), of two scenes in hardly any."""
_RETURN_ERROR = 2.0
"""Thumbnail pixels between begin and end that still count as the same place."""
_WIDTH = 200
_LEAST_HEIGHT = 32
"""With fewer rows OpenCV's flow reads beyond its memory and ends the process."""
_NOT_LISTED = 'not in the split'


@dataclass
class Selection:
    """Which frames of a sequence are targets, and why the others are not.

    :ivar targets: indices, increasing
    :ivar left_out: number of frames by reason
    :ivar broken: what could not be read, a sentence each
    """

    targets: NDArray[np.intp]
    left_out: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)


class Change(NamedTuple):
    """Between two images: median flow in thousandths of the width, and if it is a cut."""

    flow: float
    cut: bool


def select_targets(
    sequence: Sequence, step: int, min_motion: float, min_distance: float
) -> Selection:
    """Choose the frames with neighbours ``step`` away on both sides, and motion to them.

    Motion is the distance in metres where it is known, over ``min_distance``; else the median
    optical flow in thousandths of the width, over ``min_motion``. Where that is 0 and distances
    are unknown, images are not looked at and standing still or cuts are not found.
    """
    count = len(sequence.frames)
    selection = Selection(np.empty(0, np.intp))
    # A reason for each pair of frames a step apart, in the order in which they are looked for.
    reasons = np.full(max(count - step, 0), '', dtype=object)
    reasons[_gaps(sequence.stamps, step, len(reasons))] = 'gap in time'
    unknown = []
    for first in np.flatnonzero(reasons == '').tolist():
        distance = sequence.distance(first, first + step)
        if not np.isnan(distance):
            if distance <= min_distance:
                reasons[first] = 'standing still'
        elif min_motion > 0:
            unknown.append(first)
    seen = remembered(sequence.frames, step, unknown, partial(_look, sequence, step))
    selection.broken += seen.broken
    for first in unknown:
        found = seen.pairs[first]
        if isinstance(found, str):
            reasons[first] = found
        else:
            flow, cut = found
            reasons[first] = 'cut' if cut else 'standing still' if flow <= min_motion else ''
    for index in range(count):
        if not _is_listed(sequence, index):
            reason = _NOT_LISTED
        elif index < step or index + step >= count:
            reason = 'no neighbour'
        else:
            reason = reasons[index - step] or reasons[index]
        selection.left_out[reason] += 1
        if not reason:
            selection.targets = np.append(selection.targets, index)
    del selection.left_out['']
    return selection


def select_all(sequence: Sequence) -> Selection:
    """Choose every frame that the sequence's split names, moving or not."""
    listed = [_is_listed(sequence, index) for index in range(len(sequence.frames))]
    selection = Selection(np.flatnonzero(listed))
    selection.left_out.update({_NOT_LISTED: n} if (n := listed.count(False)) else {})
    return selection


def _is_listed(sequence: Sequence, index: int) -> bool:
    return sequence.listed is None or bool(sequence.listed[index])


def change(a_hw: NDArray[np.uint8], b_hw: NDArray[np.uint8]) -> Change:
    """Compare two small gray images by dense optical flow, there and back."""
    engine = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    nothing: Any = None  # no flow to start from, which OpenCV's types forget
    there, back = engine.calc(a_hw, b_hw, nothing), engine.calc(b_hw, a_hw, nothing)
    rows, columns = np.indices(a_hw.shape, np.float32)
    returned = cv2.remap(
        back, columns + there[..., 0], rows + there[..., 1], cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    consistent = np.linalg.norm(there + returned, axis=2) < _RETURN_ERROR
    median = float(np.median(np.linalg.norm(there, axis=2)))
    return Change(median * 1000 / a_hw.shape[1], bool(consistent.mean() < CUT_CONSISTENCY))


def _gaps(stamps: NDArray[np.float64] | None, step: int, pairs: int) -> NDArray[np.bool_]:
    """Tell the pairs with an interval that is too long, or that runs backwards."""
    if stamps is None or not pairs:
        return np.zeros(pairs, bool)
    intervals = np.diff(stamps)
    usual = np.median(intervals[intervals > 0]) if (intervals > 0).any() else 0.0
    bad = (intervals <= 0) | (intervals > LONGEST_INTERVAL * usual)
    windows = np.lib.stride_tricks.sliding_window_view(bad, step)
    return np.asarray(windows.any(1))


def _look(sequence: Sequence, step: int, pairs: Collection[int]) -> Seen:
    """Look at pairs of images, given by their first ones in increasing order."""
    seen = Seen()
    thumbnails = _Thumbnails(sequence, seen.broken)
    for first in pairs:
        a, b = thumbnails[first], thumbnails[first + step]
        thumbnails.forget(first)
        if a is None or b is None:
            seen.pairs[first] = 'broken image'
        elif a.shape != b.shape:
            seen.pairs[first] = 'other size'
        else:
            seen.pairs[first] = change(a, b)
    return seen


class _Thumbnails:
    """The sequence's images, small and gray; None for those that are broken."""

    def __init__(self, sequence: Sequence, broken: list[str]) -> None:
        self._sequence, self._broken = sequence, broken
        self._kept: dict[int, NDArray[np.uint8] | None] = {}

    def __getitem__(self, index: int) -> NDArray[np.uint8] | None:
        if index not in self._kept:
            try:
                self._kept[index] = thumbnail(self._sequence.frames[index])
            except ValueError as error:
                self._broken.append(str(error))
                self._kept[index] = None
        return self._kept[index]

    def forget(self, last: int) -> None:
        """Drop what no later pair needs, or long drives would fill the memory."""
        for index in [index for index in self._kept if index <= last]:
            del self._kept[index]


def thumbnail(rgb_hw3: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give a gray image of 200 columns at the same aspect, or stretched to the least height."""
    height = max(_WIDTH * rgb_hw3.shape[0] // rgb_hw3.shape[1], _LEAST_HEIGHT)
    gray = cv2.cvtColor(rgb_hw3, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(gray, (_WIDTH, height), interpolation=cv2.INTER_AREA), np.uint8)
