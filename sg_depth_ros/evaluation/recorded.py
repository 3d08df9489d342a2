# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth that was recorded in a bag, for instance what the running node has published."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sg_depth_ros.bags import BagMessage, BagReader
from sg_depth_ros.evaluation.frames import EvaluationError, Frame, Output

DEPTH_TOPIC = '/depth/image_rect'
LABELS_TOPIC = '/semantic/image'
WAITING_FRAMES = 50
"""Depth and labels of a frame lie no farther apart; of one that is withheld labels alone come."""


class RecordedModel:
    """Depth images (32FC1) and labels (mono8) of a bag, found by the stamp of the frame.

    A frame that was not answered has no prediction: its coverage is 0.
    """

    uses_image = False

    def __init__(self, path: str | Path, name: str, identity: str) -> None:
        """Check the bag; raises BagError if there is none and EvaluationError without depth."""
        self.name = name
        self.identity = identity
        self._path = Path(path)
        with BagReader(self._path) as bag:
            if DEPTH_TOPIC not in bag.topics:
                raise EvaluationError(
                    f'{self._path} holds no {DEPTH_TOPIC}: the node has published no depth; see '
                    'its log'
                )
            self._topics = [topic for topic in (DEPTH_TOPIC, LABELS_TOPIC) if topic in bag.topics]
            self._stamps = {item.stamp_ns for item in bag.messages([DEPTH_TOPIC])}
        self._outputs = self._read()

    def predict(self, frame: Frame) -> Output:
        """Give what was recorded for the frame's stamp, its name in nanoseconds."""
        stamp_ns = int(frame.name)
        if stamp_ns not in self._stamps:
            return Output(np.full((1, 1), np.nan, np.float32))
        if (found := self._find(stamp_ns)) is None:
            self._outputs = self._read()
            found = self._find(stamp_ns)
        if found is None:
            return Output(np.full((1, 1), np.nan, np.float32))
        return found

    def _find(self, stamp_ns: int) -> Output | None:
        """Read on until the stamp comes; None at the end of the bag."""
        return next((output for stamp, output in self._outputs if stamp == stamp_ns), None)

    def _read(self) -> Iterator[tuple[int, Output]]:
        """Yield (stamp, output), joining depth and labels of one stamp."""
        waiting: dict[int, dict[str, BagMessage]] = {}
        with BagReader(self._path) as bag:
            for item in bag.messages(self._topics):
                parts = waiting.setdefault(item.stamp_ns, {})
                parts[item.topic] = item
                if len(parts) == len(self._topics):
                    del waiting[item.stamp_ns]
                    yield item.stamp_ns, _output(parts)
                elif len(waiting) > WAITING_FRAMES:
                    del waiting[next(iter(waiting))]


def _output(parts: dict[str, BagMessage]) -> Output:
    depth = parts[DEPTH_TOPIC].message
    if depth.encoding != '32FC1':
        raise EvaluationError(
            f'{DEPTH_TOPIC} holds {depth.encoding}, expected 32FC1; set depth_encoding so'
        )
    order = '>' if depth.is_bigendian else '<'
    rows = np.frombuffer(depth.data, f'{order}f4').reshape(depth.height, depth.step // 4)
    labels = None
    if LABELS_TOPIC in parts:
        image = parts[LABELS_TOPIC].message
        labels = np.frombuffer(image.data, np.uint8).reshape(image.height, image.step)
        labels = labels[:, : image.width]
    return Output(rows[:, : depth.width].astype(np.float32), labels)
