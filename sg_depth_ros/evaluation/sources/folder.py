# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A folder of images with depth in KITTI's 16-bit convention."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.documents import read_table
from sg_depth_ros.evaluation.frames import EvaluationError, Frame
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.images.files import (
    list_images,
    read_depth,
    read_labels,
    read_rgb,
)
from sg_depth_ros.predict import fit_camera

_INTRINSICS = ('fx', 'fy', 'cx', 'cy')


class FolderSource:
    """``images/`` and ``depth/``, with ``labels/`` and intrinsics where they are.

    Depth and labels are PNG of the image's stem. ``intrinsics.csv`` has the columns name, fx, fy,
    cx, cy of the image as it is; ``camera.json`` is one camera for all, also for images that were
    resized. Without either, depth is not corrected for the focal length.
    """

    def __init__(self, path: str | Path) -> None:
        """List the folder; raises EvaluationError if images or depth are missing."""
        self.path = Path(path)
        if not (self.path / 'images').is_dir() or not (self.path / 'depth').is_dir():
            raise EvaluationError(
                f'{self.path} has no images/ and depth/ folders; expected pictures in the one and '
                '16-bit PNG of the same names (metres * 256) in the other'
            )
        self.name = f'folder {self.path.resolve().name}'
        images = list_images(self.path / 'images')
        self._images = {
            name: file
            for name, file in images.items()
            if (self.path / 'depth' / f'{name}.png').is_file()
        }
        if not self._images:
            raise EvaluationError(
                f'none of the {len(images)} images in {self.path} has a depth of its name '
                '(depth/NAME.png)'
            )
        missing = len(images) - len(self._images)
        self.notes = [f'{missing} images have no depth and are left out'] if missing else []
        self._intrinsics = _read_intrinsics(self.path, self._images)
        file = self.path / 'camera.json'
        shared = self._intrinsics is None and file.is_file()
        self._camera = PinholeCamera.from_json(file) if shared else None
        if self._intrinsics is None and self._camera is None:
            self.notes.append('no intrinsics.csv or camera.json: no correction for focal length')

    def names(self) -> list[str]:
        """Give the stems of the images that have depth."""
        return list(self._images)

    def frames(self, names: Collection[str]) -> Iterator[Frame]:
        """Read the frames of these names."""
        for name in self._images:
            if name in names:
                yield self._read(name)

    def truths(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Read all depth images."""
        for name in self._images:
            yield name, read_depth(self.path / 'depth' / f'{name}.png')

    def _read(self, name: str) -> Frame:
        image = read_rgb(self._images[name])
        truth = read_depth(self.path / 'depth' / f'{name}.png')
        labels_file = self.path / 'labels' / f'{name}.png'
        labels = read_labels(labels_file) if labels_file.is_file() else None
        size = image.shape[:2]
        if truth.shape != size or (labels is not None and labels.shape != size):
            raise EvaluationError(
                f'{name}: image, depth and labels must have one size, found {size}, {truth.shape}'
                f'{"" if labels is None else f" and {labels.shape}"}'
            )
        return Frame(name, image, truth, self._camera_of(name, *size), labels)

    def _camera_of(self, name: str, height: int, width: int) -> PinholeCamera | None:
        try:
            if self._intrinsics is not None:
                return PinholeCamera(width, height, *self._intrinsics[name])
            return self._camera and fit_camera(self._camera, width, height)
        except ValueError as error:
            raise EvaluationError(f'{name}: {error}') from error


def _read_intrinsics(path: Path, names: Collection[str]) -> dict[str, tuple[float, ...]] | None:
    """Give fx, fy, cx, cy by image name, None if there is no table; raises EvaluationError."""
    table = path / 'intrinsics.csv'
    if not table.is_file():
        return None
    try:
        columns, rows = read_table(table)
        if lacking := sorted({'name', *_INTRINSICS} - set(columns)):
            raise ValueError(f'there is no column {lacking[0]}')
        intrinsics = {row['name']: tuple(float(row[key]) for key in _INTRINSICS) for row in rows}
        if len(intrinsics) < len(rows):
            given = [row['name'] for row in rows]
            twice = next(name for name in given if given.count(name) > 1)
            raise ValueError(f'{twice!r} is there twice')
    except ValueError as error:
        raise EvaluationError(
            f'{table}: {error}; expected the columns name, fx, fy, cx, cy'
        ) from error
    if missing := sorted(set(names) - set(intrinsics)):
        raise EvaluationError(f'{table} has no row for {missing[0]}; add its intrinsics')
    return intrinsics
