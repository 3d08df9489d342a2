# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One drive by one camera: what every source of depth training gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.documents import read_table
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.training.data.frames import Frames

DepthReader = Callable[[int], NDArray[np.float32]]
LabelReader = Callable[[int], NDArray[np.uint8]]


@dataclass(frozen=True)
class Sequence:
    """One drive by one camera.

    :ivar name: stands before the index in every list of frames; unique in a training
    :ivar frames: its images in the order of time
    :ivar camera: intrinsics of the images as stored; None if they are to be learned
    :ivar stamps: (N,) seconds, or None where frames are taken to follow each other evenly
    :ivar moved: (N - 1,) metres travelled from each frame to the next, NaN where unknown; or None
    :ivar listed: (N,) bool, the frames that a split names as targets; None for all
    :ivar depth: gives true depth (H, W) by index: metres, inf sky, NaN unknown; or None
    :ivar metric: whether that is in metres indeed, and not in a unit that nobody knows
    :ivar labels: gives train ids (H, W) uint8 by index, 255 = void; or None
    :ivar skipped: what was broken and left out while reading, a sentence each
    """

    name: str
    frames: Frames
    camera: PinholeCamera | None
    stamps: NDArray[np.float64] | None = None
    moved: NDArray[np.float64] | None = None
    listed: NDArray[np.bool_] | None = None
    depth: DepthReader | None = None
    metric: bool = True
    labels: LabelReader | None = None
    skipped: tuple[str, ...] = ()

    @property
    def tells_speed(self) -> bool:
        """Whether the way is known for most of its intervals."""
        return self.moved is not None and 2 * int(np.isfinite(self.moved).sum()) > len(self.moved)

    def distance(self, first: int, last: int) -> float:
        """Give the metres travelled between two frames, NaN if unknown."""
        if self.moved is None:
            return float('nan')
        return float(self.moved[min(first, last) : max(first, last)].sum())


def read_poses(path: Path, frames: int) -> NDArray[np.float64]:
    """Read 3x4 poses, camera to world, row major, a line a frame: (N, 3, 4) in metres.

    :raises ValueError: if there are not so many lines of twelve numbers
    """
    poses = np.loadtxt(path, ndmin=2)
    if poses.shape != (frames, 12):
        raise ValueError(
            f'{path} has {poses.shape[0]} lines of {poses.shape[1]} numbers, expected '
            f'{frames} of 12: a row-major 3x4 pose for each image'
        )
    return poses.reshape(-1, 3, 4)


def distances_of_poses(poses_n34: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the metres from each position to the next (N - 1,)."""
    return np.asarray(np.linalg.norm(np.diff(poses_n34[:, :, 3], axis=0), axis=1))


def read_column(path: Path, names: tuple[str, ...], frames: int) -> NDArray[np.float64] | None:
    """Read the column of a CSV file that has one of the names, a row a frame; None without it.

    :raises ValueError: if a value is no number or the rows are not as many as the frames
    """
    columns, rows = read_table(path)
    name = next((name for name in names if name in columns), None)
    if name is None:
        return None
    try:
        values = [float(row[name]) for row in rows]
    except ValueError as error:
        raise ValueError(f'{path}, column {name}: {error}; every row needs a number') from error
    if len(values) != frames:
        raise ValueError(f'{path} has {len(values)} rows, expected {frames}: one for each image')
    return np.array(values)
