# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The procedural street: exact depth and labels of every pixel, rendered as they are needed."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.evaluation.frames import Frame
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.synthetic import drive

OTHER_STREETS = 10
OTHER_FRAMES = 4
"""The baselines are fitted on so many frames of each of so many other streets."""


class StreetSource:
    """The first ``frames`` frames of a drive through each of the streets of some seeds.

    :param seed: of the first of ``streets`` streets; the others have the numbers that follow
    """

    def __init__(
        self, camera: PinholeCamera, frames: int, seed: int = 0, streets: int = 1
    ) -> None:
        seeds = f'seed {seed}' if streets == 1 else f'seeds {seed} to {seed + streets - 1}'
        self.name = f'street {seeds}, {camera.width}x{camera.height}'
        self.notes = [
            f'the baselines are fitted on {OTHER_FRAMES} frames of each of {OTHER_STREETS} other '
            'streets'
        ]
        self._camera, self._frames, self._seeds = camera, frames, range(seed, seed + streets)

    def names(self) -> list[str]:
        """Give the seed of each frame's street and its number there."""
        return [_name(seed, index) for seed in self._seeds for index in range(self._frames)]

    def frames(self, names: Collection[str]) -> Iterator[Frame]:
        """Render each street up to the last of its frames of these names."""
        for seed in self._seeds:
            wanted = [i for i in range(self._frames) if _name(seed, i) in names]
            if not wanted:
                continue
            for index, frame in enumerate(drive(self._camera, wanted[-1] + 1, seed)):
                if index in wanted:
                    yield Frame(
                        *(_name(seed, index), frame.image, frame.depth, frame.camera),
                        *(frame.labels, frame.stamp),
                    )

    def truths(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Render frames of other streets, so that no baseline knows this one."""
        for other in range(1, OTHER_STREETS + 1):
            seed = self._seeds[0] + 1_000_000 * other
            for index, frame in enumerate(drive(self._camera, OTHER_FRAMES, seed)):
                yield f'street {seed}, {index}', frame.depth


def _name(seed: int, index: int) -> str:
    return f'{seed}_{index:06d}'
