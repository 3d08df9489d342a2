# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Predictions that another program has saved, as a model to evaluate."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.evaluation.frames import EvaluationError, Frame, Output, Source
from sg_depth_ros.evaluation.metrics import SMALLEST_M
from sg_depth_ros.files import sha256
from sg_depth_ros.images.files import read_depth
from sg_depth_ros.images.saved_depth import open_array, read_array

SUFFIXES = ('.npy', '.npz', '.png')


def are_predictions(path: Path) -> bool:
    """Tell if this is a file or a folder as :class:`SavedPredictions` reads it."""
    if path.is_dir():
        return any(file.suffix in SUFFIXES for file in path.rglob('*'))
    return path.suffix in ('.npy', '.npz') and path.is_file()


class SavedPredictions:
    """Depth images of a folder, by the names of the frames, or one array for all frames.

    In a folder ``NAME.npy``, ``NAME.npz`` or a 16-bit ``NAME.png`` (metres * 256); a slash in a
    name is a folder or an underscore. An array (N, h, w) follows the order of the source, as
    monodepth2's ``--save_pred_disps`` writes it. A frame without a file has no prediction: its
    coverage is 0.
    """

    uses_image = False

    def __init__(
        self, path: Path, source: Source, output: Literal['depth', 'inverse'] = 'depth'
    ) -> None:
        """Find the predictions.

        :param output: what arrays hold; PNG holds metres
        :raises EvaluationError: if there are none for the source, or not as many as frames
        """
        self.name = path.stem
        self._inverse = output == 'inverse'
        names = source.names()
        self._files: dict[str, Path] = {}
        self._array: NDArray[np.generic] | None = None
        if path.is_dir():
            self._files = {name: file for name in names if (file := _file_of(path, name))}
            if not self._files:
                raise EvaluationError(
                    f'{path} holds no prediction of any frame, such as {names[0]}.npy or .png'
                )
            hashes = ''.join(f'{name} {sha256(file)}\n' for name, file in self._files.items())
            digest = hashlib.sha256(hashes.encode()).hexdigest()
        else:
            self._array = open_array(path)
            if self._array.ndim != 3 or len(self._array) != len(names):
                raise EvaluationError(
                    f'{path} has the shape {self._array.shape}, expected ({len(names)}, h, w): a '
                    'depth image for each frame of the source'
                )
            digest = sha256(path)
        self._index = {name: index for index, name in enumerate(names)}
        self.identity = f'{digest[:16]}, {output}'

    def predict(self, frame: Frame) -> Output:
        """Give what was saved for the frame, at any size."""
        if self._array is not None:
            values = np.asarray(self._array[self._index[frame.name]], np.float32)
        elif frame.name not in self._files:
            return Output(np.full((1, 1), np.nan, np.float32))
        elif (file := self._files[frame.name]).suffix == '.png':
            return Output(read_depth(file))
        else:
            values = read_array(file)
        if values.ndim != 2:
            raise EvaluationError(
                f'{self.name}, {frame.name}: found the shape {values.shape}, expected one (h, w)'
            )
        if self._inverse:
            # Zero and less is beyond range, as with every inverse depth.
            far = np.where(values <= SMALLEST_M, np.inf, np.nan)
            values = np.where(values > SMALLEST_M, 1 / np.maximum(values, SMALLEST_M), far)
        return Output(values.astype(np.float32))


def _file_of(folder: Path, name: str) -> Path | None:
    for stem in (name, name.replace('/', '_')):
        for suffix in SUFFIXES:
            if (file := folder / f'{stem}{suffix}').is_file():
                return file
    return None
