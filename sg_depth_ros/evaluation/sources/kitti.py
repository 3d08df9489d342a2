# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""KITTI in its raw layout, with the splits and the truth that publications use."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.evaluation.frames import EvaluationError, Frame
from sg_depth_ros.evaluation.lidar import splat_nearest
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.images.files import SUFFIXES, read_depth, read_rgb
from sg_depth_ros.images.saved_depth import read_packnet_depth


@dataclass(frozen=True)
class KittiFrame:
    """One line of a split: ``DATE/DRIVE INDEX SIDE``, side l or r."""

    date: str
    drive: str
    index: int
    side: str

    @property
    def name(self) -> str:
        """The name in tables."""
        return f'{self.drive}/{self.index:010d}{self.side}'

    @property
    def camera(self) -> str:
        """The number of the colour camera."""
        return '02' if self.side == 'l' else '03'


def read_split(path: str | Path) -> list[KittiFrame]:
    """Read a split file in any of the ways that publications write it; raises EvaluationError.

    ``DATE/DRIVE INDEX l|r`` (monodepth2), ``DATE/DRIVE/image_02/data/INDEX.png`` (packnet-sfm,
    SfMLearner's test files, and BTS, whose depth file and focal length behind it are not needed),
    ``DRIVE_02 INDEX`` (SfMLearner's train files).
    """
    frames = []
    try:
        lines = Path(path).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError(f'the split {path} cannot be read: {error}') from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            frames.append(_split_frame(line.split()))
        except (KeyError, ValueError) as error:
            raise EvaluationError(
                f'{path}, line {number}: found {line!r}, expected {_SPLIT_LINES}'
            ) from error
    if not frames:
        raise EvaluationError(f'the split {path} is empty; expected lines {_SPLIT_LINES}')
    return frames


_SPLIT_LINES = 'DATE/DRIVE INDEX l|r, DATE/DRIVE/image_02/data/INDEX.png or DRIVE_02 INDEX'
_SIDES = {'02': 'l', '03': 'r', 'image_02': 'l', 'image_03': 'r', 'l': 'l', 'r': 'r'}


def _split_frame(words: list[str]) -> KittiFrame:
    """Understand a line; raises KeyError or ValueError if it is none."""
    first = words[0].strip('/')
    if first.endswith(SUFFIXES):
        date, drive, camera, _, file = first.split('/')
        return KittiFrame(date, drive, int(Path(file).stem), _SIDES[camera])
    if len(words) == 2:
        drive, _, camera = first.rpartition('_')
        date = drive[: len('2011_09_26')]
        return KittiFrame(date, drive, int(words[1]), _SIDES[camera])
    folder, index, side = words
    date, drive = folder.split('/')
    return KittiFrame(date, drive, int(index), _SIDES[side])


@cache
def read_calibration(path: Path) -> dict[str, NDArray[np.float64]]:
    """Read a KITTI calibration file: numbers (N,) by key; dates are left out."""
    if not path.is_file():
        raise EvaluationError(f'{path} is missing; unpack the calibration of that date there')
    values = {}
    for line in path.read_text().splitlines():
        key, _, numbers = line.partition(':')
        try:
            values[key] = np.array([float(number) for number in numbers.split()])
        except ValueError:
            continue
    return values


def read_matrix(path: Path, key: str, *shape: int) -> NDArray[np.float64]:
    """Give one matrix of a calibration file; raises EvaluationError if it is not there whole."""
    values = read_calibration(path).get(key)
    if values is None or values.size != np.prod(shape):
        raise EvaluationError(
            f'{path} has no {key} of {" x ".join(map(str, shape))} numbers; unpack it again'
        )
    return values.reshape(shape)


def read_camera(path: Path, camera: str, width: int, height: int) -> PinholeCamera:
    """Give the camera of KITTI raw's rectified images, which copies often are smaller than."""
    columns, rows = read_matrix(path, f'S_rect_{camera}', 2)
    matrix = read_matrix(path, f'P_rect_{camera}', 3, 4)[:, :3]
    return PinholeCamera.from_matrix(matrix, int(columns), int(rows)).resized(width, height)


def raw_lidar_depth(
    points_n4: NDArray[np.float32],
    camera_from_lidar_34: NDArray[np.float64],
    height: int,
    width: int,
) -> NDArray[np.float32]:
    """Make the truth of the Eigen split as every publication has it since Eigen et al.

    It differs from a right projection in two ways that are kept: pixels are rounded and moved
    by one (the code counts from 1, as MATLAB does), and the depth is the LiDAR's forward
    coordinate instead of the camera's, about 0.27 m more.
    """
    points = points_n4[points_n4[:, 0] >= 0].astype(np.float64)
    homogeneous = np.concatenate([points[:, :3], np.ones((len(points), 1))], 1)
    projected = homogeneous @ camera_from_lidar_34.T
    front_n = projected[:, 2] > 0
    cells = np.rint(projected[front_n, :2] / projected[front_n, 2:]) - 1
    cells = np.clip(cells, -1, 1 << 20).astype(np.intp)
    return splat_nearest(cells[:, 1], cells[:, 0], points[front_n, 0], height, width)


class KittiSource:
    """KITTI raw at ``root`` with a split; truth is the raw LiDAR or the improved depth.

    :param root: folder with ``DATE/DRIVE/image_02/data`` and the calibration files.
    :param split: see :func:`read_split`.
    :param improved: take ``proj_depth/groundtruth`` of the depth benchmark, looked for under
        ``root/DATE/DRIVE``, ``root/DRIVE``, ``root/train/DRIVE`` and ``root/val/DRIVE``; frames
        without it are left out, as in the 652 of the 697.
    """

    def __init__(self, root: str | Path, split: str | Path, improved: bool = False) -> None:
        """List the frames; raises EvaluationError when an image or the calibration is missing."""
        self.root = Path(root)
        self.name = f'KITTI {Path(split).parent.name}/{Path(split).name}'
        self.notes: list[str] = []
        self._improved = improved
        wanted = read_split(split)
        self._frames = {frame.name: frame for frame in wanted}
        if improved:
            self._frames = {
                name: frame
                for name, frame in self._frames.items()
                if self._improved_file(frame) is not None
            }
            left_out = len(wanted) - len(self._frames)
            self.notes = [f'{left_out} of {len(wanted)} frames have no improved depth: left out']
        if not self._frames:
            raise EvaluationError(
                f'no proj_depth/groundtruth under {self.root} for the drives of {split}; unpack '
                'the annotated depth maps there'
            )
        for frame in self._frames.values():
            self._image_file(frame)
        made = (
            [] if improved else [f for f in self._frames.values() if not self._scan(f).is_file()]
        )
        if made:
            self.notes.append(
                f"{len(made)} frames have packnet-sfm's depth maps for truth, not the raw LiDAR"
            )

    def names(self) -> list[str]:
        """Give the names in the order of the split."""
        return list(self._frames)

    def frames(self, names: Collection[str]) -> Iterator[Frame]:
        """Read the frames of these names."""
        for name, frame in self._frames.items():
            if name not in names:
                continue
            image = read_rgb(self._image_file(frame))
            height, width = image.shape[:2]
            camera = read_camera(self._cameras_file(frame), frame.camera, width, height)
            yield Frame(name, image, self._truth(frame), camera)

    def truths(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Read all truths."""
        for name, frame in self._frames.items():
            yield name, self._truth(frame)

    def _cameras_file(self, frame: KittiFrame) -> Path:
        return self.root / frame.date / 'calib_cam_to_cam.txt'

    def _image_file(self, frame: KittiFrame) -> Path:
        folder = self.root / frame.date / frame.drive / f'image_{frame.camera}' / 'data'
        for suffix in SUFFIXES:
            if (file := folder / f'{frame.index:010d}{suffix}').is_file():
                return file
        raise EvaluationError(
            f'{folder} has no image {frame.index:010d}; unpack the drive there or take its line '
            'out of the split'
        )

    def _improved_file(self, frame: KittiFrame) -> Path | None:
        tail = f'proj_depth/groundtruth/image_{frame.camera}/{frame.index:010d}.png'
        for folder in (frame.date, '.', 'train', 'val'):
            if (file := self.root / folder / frame.drive / tail).is_file():
                return file
        return None

    def _scan(self, frame: KittiFrame) -> Path:
        folder = self.root / frame.date / frame.drive / 'velodyne_points' / 'data'
        return folder / f'{frame.index:010d}.bin'

    def _made_file(self, frame: KittiFrame) -> Path:
        """Give where packnet-sfm's download has the depth that it made of the raw LiDAR."""
        folder = self.root / frame.date / frame.drive / 'proj_depth' / 'velodyne'
        return folder / f'image_{frame.camera}' / f'{frame.index:010d}.npz'

    def _truth(self, frame: KittiFrame) -> NDArray[np.float32]:
        if self._improved and (file := self._improved_file(frame)) is not None:
            return read_depth(file)
        date = self.root / frame.date
        scan = self._scan(frame)
        if not scan.is_file():
            made = self._made_file(frame)
            if made.is_file():
                return read_packnet_depth(made)
            raise EvaluationError(
                f'{scan} is missing, and so is {made}; unpack the LiDAR of the drive there, or '
                "packnet-sfm's depth maps"
            )
        cameras, to_camera = self._cameras_file(frame), date / 'calib_velo_to_cam.txt'
        rectify, rigid = np.eye(4), np.eye(4)
        rectify[:3, :3] = read_matrix(cameras, 'R_rect_00', 3, 3)
        rigid[:3, :3] = read_matrix(to_camera, 'R', 3, 3)
        rigid[:3, 3] = read_matrix(to_camera, 'T', 3)
        points = np.fromfile(scan, np.float32)
        if points.size % 4:
            raise EvaluationError(
                f'{scan} ends within a point; unpack the LiDAR of the drive again'
            )
        projection = read_matrix(cameras, f'P_rect_{frame.camera}', 3, 4)
        width, height = read_matrix(cameras, f'S_rect_{frame.camera}', 2).astype(int)
        return raw_lidar_depth(
            points.reshape(-1, 4), projection @ rectify @ rigid, int(height), int(width)
        )
