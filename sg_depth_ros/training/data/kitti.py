# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""KITTI as a source of drives: the raw layout with split lists, and the odometry benchmark."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.evaluation.sources.kitti import read_camera, read_matrix, read_split
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.images.files import list_images, read_rgb
from sg_depth_ros.training.data.frames import ImageFiles
from sg_depth_ros.training.data.sequence import Sequence, distances_of_poses, read_poses
from sg_depth_ros.training.data.sources import SourceSettings
from sg_depth_ros.training.data.speed import Speed, distances_between

_OXTS_SPEED = slice(8, 11)
"""Columns vf, vl, vu of an OXTS file: forward, leftward and upward velocity in m/s."""


class KittiRawSource(SourceSettings):
    """KITTI raw, synchronised and rectified: ``DATE/DRIVE/image_02/data`` under ``path``."""

    kind: Literal['kitti_raw'] = 'kitti_raw'
    path: Path
    """Folder with ``DATE/DRIVE`` and the calibration files."""
    split: Path | None = None
    """A list of frames as monodepth2, packnet-sfm, BTS or SfMLearner write it, see
    ``evaluation.sources.kitti.read_split``; all drives, left, if not set."""

    def sequences(self) -> list[Sequence]:
        """Read the drives; raises ValueError that names what is missing."""
        wanted: dict[tuple[str, str, str], set[int]] = {}
        if self.split is not None:
            for line in read_split(self.split):
                wanted.setdefault((line.date, line.drive, line.camera), set()).add(line.index)
        else:
            for folder in sorted(self.path.glob('*/*/image_02/data')):
                wanted[folder.parts[-4], folder.parts[-3], '02'] = set()
        if not wanted:
            raise ValueError(
                f'{self.path} has no DATE/DRIVE/image_02/data; unpack KITTI raw there, '
                'synchronised and rectified'
            )
        return [self._drive(*key, indices) for key, indices in wanted.items()]

    def _drive(self, date: str, drive: str, camera: str, indices: set[int]) -> Sequence:
        folder = self.path / date / drive
        images = list_images(folder / f'image_{camera}' / 'data')
        height, width = read_rgb(next(iter(images.values()))).shape[:2]
        calibration = self.path / date / 'calib_cam_to_cam.txt'
        stamps = _read_stamps(folder / f'image_{camera}' / 'timestamps.txt', list(images))
        oxts = folder / 'oxts' / 'data'
        moved = None
        if self.use_speed and stamps is not None and oxts.is_dir():
            speeds = [_oxts_speed(oxts / f'{stem}.txt') for stem in images]
            moved = distances_between(stamps, Speed(stamps, np.array(speeds)))
        listed = np.array([int(stem) in indices for stem in images]) if indices else None
        side = 'r' if camera == '03' else 'l'
        return Sequence(
            f'{drive}/{side}',
            ImageFiles(list(images.values())),
            None if self.learn_intrinsics else read_camera(calibration, camera, width, height),
            stamps,
            moved,
            listed,
        )


class KittiOdometrySource(SourceSettings):
    """The odometry benchmark: ``sequences/NN`` and, where it has them, ``poses/NN.txt``."""

    kind: Literal['kitti_odometry'] = 'kitti_odometry'
    path: Path
    """Folder with ``sequences`` and ``poses``."""
    drives: tuple[str, ...] = ()
    """Such as ["00", "02"]; all that are there if empty."""
    camera: Literal['0', '1', '2', '3'] = '2'
    """Number of the camera: 0 and 1 are gray, 2 and 3 in colour."""
    split: Path | None = None
    """Lines ``DRIVE INDEX l|r``, as monodepth2 writes them for odometry: their drives, and of
    these the frames that it lists, by cameras 2 and 3; ``drives`` and ``camera`` do not count."""

    def sequences(self) -> list[Sequence]:
        """Read the drives; raises ValueError that names what is missing."""
        if self.split is not None:
            wanted = _odometry_split(self.split)
            self._require({drive for drive, _ in wanted})
            return [self._drive(*key, indices) for key, indices in wanted.items()]
        found = sorted(folder.name for folder in (self.path / 'sequences').glob('*'))
        drives = self.drives or found
        self._require(drives)
        return [self._drive(drive, self.camera) for drive in drives]

    def _require(self, drives: Collection[str]) -> None:
        found = sorted(folder.name for folder in (self.path / 'sequences').glob('*'))
        missing = sorted(set(drives) - set(found))
        if missing or not drives:
            raise ValueError(
                f'{self.path / "sequences"} has the drives {", ".join(found) or "none"}, expected '
                f'{", ".join(missing) or "at least one"}; unpack the odometry benchmark there'
            )

    def _drive(self, drive: str, number: str, indices: Collection[int] = ()) -> Sequence:
        folder = self.path / 'sequences' / drive
        images = list_images(folder / f'image_{number}')
        frames = ImageFiles(list(images.values()))
        height, width = frames[0].shape[:2]
        matrix = read_matrix(folder / 'calib.txt', f'P{number}', 3, 4)[:, :3]
        listed = np.array([int(stem) in indices for stem in images]) if indices else None
        times, poses = folder / 'times.txt', self.path / 'poses' / f'{drive}.txt'
        moved = None
        if self.use_speed and poses.exists():
            moved = distances_of_poses(read_poses(poses, len(frames)))
        stamps = np.loadtxt(times, ndmin=1) if times.exists() else None
        if stamps is not None and len(stamps) != len(frames):
            raise ValueError(f'{times} has {len(stamps)} times, expected {len(frames)}')
        return Sequence(
            f'odometry/{drive}' + ('/r' if indices and number == '3' else ''),
            frames,
            None if self.learn_intrinsics else PinholeCamera.from_matrix(matrix, width, height),
            stamps,
            moved,
            listed,
        )


def _odometry_split(path: Path) -> dict[tuple[str, str], set[int]]:
    """Give the frames by drive and camera of lines ``DRIVE INDEX l|r``."""
    wanted: dict[tuple[str, str], set[int]] = {}
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f'the split {path} cannot be read: {error}') from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            drive, index, side = line.split()
            key = f'{int(drive):02d}', {'l': '2', 'r': '3'}[side]
            wanted.setdefault(key, set()).add(int(index))
        except (KeyError, ValueError) as error:
            raise ValueError(
                f'{path}, line {number}: found {line!r}, expected DRIVE INDEX l|r'
            ) from error
    return wanted


def _read_stamps(path: Path, stems: list[str]) -> NDArray[np.float64] | None:
    """Read the times in seconds of the images whose names are numbers of lines."""
    if not path.exists():
        return None
    lines = path.read_text().split('\n')
    try:
        # The files have nanoseconds, Python's clock has microseconds.
        times = [datetime.fromisoformat(lines[int(stem)].strip()[:26]) for stem in stems]
    except (IndexError, ValueError) as error:
        raise ValueError(f'{path}: {error}; expected a date and time for each image') from error
    return np.array([(time - times[0]).total_seconds() for time in times])


def _oxts_speed(path: Path) -> float:
    """Give the speed in m/s, NaN where the file is missing."""
    if not path.exists():
        return float('nan')
    return float(np.linalg.norm([float(text) for text in path.read_text().split()[_OXTS_SPEED]]))
