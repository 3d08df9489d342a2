# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth errors during a training, by the protocols of the evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.evaluation.frames import Source
from sg_depth_ros.evaluation.metrics import DepthErrors, mean_errors
from sg_depth_ros.evaluation.protocols import compare, make_protocol
from sg_depth_ros.evaluation.sources.folder import FolderSource
from sg_depth_ros.evaluation.sources.kitti import KittiSource
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.training.depth_settings import KittiValidation, LidarValidation, Validation

Predict = Callable[[NDArray[np.uint8], PinholeCamera | None], NDArray[np.float32]]


class DepthValidation:
    """Frames with truth, listed before the training starts.

    :raises ValueError: if there are none, or no such protocol, or no truth of the first
    """

    def __init__(self, settings: Validation) -> None:
        self._sources: Sequence[Source]
        if isinstance(settings, LidarValidation):
            self._sources = [FolderSource(settings.path)]
            self._protocol = make_protocol(settings.protocol, settings.scaling)
        elif isinstance(settings, KittiValidation):
            self._sources = [KittiSource(settings.path, settings.split, settings.improved)]
            self._protocol = make_protocol(settings.protocol, settings.scaling)
        else:
            self._sources = [FolderSource(clip) for clip in settings.street.folders()]
            self._protocol = make_protocol('dense', settings.scaling)
        self._names = [source.names() for source in self._sources]
        if isinstance(settings, KittiValidation):
            self._names = [_spread(names, settings.frames) for names in self._names]
        # What is missing is said before the training, and not by its first validation.
        for source, names in zip(self._sources, self._names, strict=True):
            next(iter(source.frames(names[:1])))

    def measure(self, predict: Predict) -> DepthErrors:
        """Give the mean errors over all frames of what ``predict`` says of image and camera."""
        return mean_errors(self._errors(predict))

    def _errors(self, predict: Predict) -> Iterator[DepthErrors]:
        for source, names in zip(self._sources, self._names, strict=True):
            for frame in source.frames(names):
                depth = predict(frame.image, frame.camera)
                yield compare(frame.truth, depth, self._protocol).errors()


def _spread(names: Sequence[str], most: int) -> list[str]:
    """Take at most so many names, spread evenly."""
    places = np.linspace(0, len(names) - 1, min(most, len(names))).round().astype(int)
    return [names[place] for place in places]
