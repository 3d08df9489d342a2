# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The procedural street: exact depth and labels of every pixel, rendered as they are needed."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.camera import PinholeCamera
from sg_depth_ros.evaluation.frames import Frame
from sg_depth_ros.synthetic import drive

OTHER_STREETS = 10
OTHER_FRAMES = 4
"""The baselines are fitted on so many frames of each of so many other streets."""


class StreetSource:
    """The first ``frames`` frames of a drive through the street of a seed."""

    def __init__(self, camera: PinholeCamera, frames: int, seed: int = 0) -> None:
        self.name = f'street seed {seed}, {camera.width}x{camera.height}'
        self.notes = [
            f'the baselines are fitted on {OTHER_FRAMES} frames of each of {OTHER_STREETS} other '
            'streets'
        ]
        self._camera, self._frames, self._seed = camera, frames, seed

    def names(self) -> list[str]:
        """Give the numbers of the frames as text."""
        return [f'{index:06d}' for index in range(self._frames)]

    def frames(self, names: Collection[str]) -> Iterator[Frame]:
        """Render up to the last of the frames of these names."""
        last = max(int(name) for name in names)
        for index, frame in enumerate(drive(self._camera, last + 1, self._seed)):
            if (name := f'{index:06d}') in names:
                yield Frame(
                    name, frame.image, frame.depth, frame.camera, frame.labels, frame.stamp
                )

    def truths(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Render frames of other streets, so that no baseline knows this one."""
        for other in range(1, OTHER_STREETS + 1):
            seed = self._seed + 1_000_000 * other
            for index, frame in enumerate(drive(self._camera, OTHER_FRAMES, seed)):
                yield f'street {seed}, {index}', frame.depth
