# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is evaluated: frames with truth, where they come from, and what predicts their depth."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.geometry.camera import PinholeCamera


class EvaluationError(ValueError):
    """Data or settings that cannot be evaluated; the message says what to do."""


@dataclass(frozen=True)
class Frame:
    """One image with its truth.

    ``image`` is (H, W, 3) uint8 RGB; ``truth`` (H, W) float32 z-depth in metres, NaN = none and
    +inf = sky; ``labels`` (H, W) uint8 Cityscapes train ids or None; ``stamp`` is seconds.
    """

    name: str
    image: NDArray[np.uint8]
    truth: NDArray[np.float32]
    camera: PinholeCamera | None = None
    labels: NDArray[np.uint8] | None = None
    stamp: float | None = None


class Source(Protocol):
    """Frames with truth, by name, read one at a time so that memory does not grow."""

    name: str
    """What the frames are, for the report."""
    notes: list[str]
    """What was left out and why, in sentences."""

    def names(self) -> list[str]:
        """Give the names of all frames, in order."""
        ...

    def frames(self, names: Collection[str]) -> Iterator[Frame]:
        """Yield the frames of these names, in the source's order."""
        ...

    def truths(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Yield (name, truth) of the frames that the baselines are fitted on, without images."""
        ...


@dataclass(frozen=True)
class Output:
    """What a model gives: ``depth`` (h, w), NaN = unknown; ``labels`` (h, w) uint8 or None."""

    depth: NDArray[np.float32]
    labels: NDArray[np.uint8] | None = None
    seconds: float | None = None


class Model(Protocol):
    """Something that predicts depth."""

    name: str
    """Unique in a run; stands in every table."""
    identity: str
    """Changes whenever the predictions could: a checksum with settings."""
    uses_image: bool
    """False for what depends on no pixel; flipping the image then means nothing."""

    def predict(self, frame: Frame) -> Output:
        """Predict one frame; only models that serve as a check look at its truth."""
        ...
