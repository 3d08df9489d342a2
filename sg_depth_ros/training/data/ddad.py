# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""DDAD as a source of drives, as its devkit (DGP) has it: one camera, a sequence a scene."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sg_depth_ros.documents import read_json
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.training.data.frames import ImageFiles
from sg_depth_ros.training.data.sequence import Sequence
from sg_depth_ros.training.data.sources import SourceSettings

MAX_JSON_BYTES = 1 << 26
"""Of a scene's or the data set's description."""

SPLITS = {'train': '0', 'val': '1', 'test': '2'}
"""The devkit's numbers."""


class DdadSource(SourceSettings):
    """DDAD: ``ddad.json`` lists scenes; each has its images, calibration and poses by JSON."""

    kind: Literal['ddad'] = 'ddad'
    path: Path
    """The file ``ddad.json``."""
    split: Literal['train', 'val', 'test'] = 'train'
    """Of the scenes that the file lists."""
    camera: str = 'CAMERA_01'
    """One of six; 01 looks ahead."""

    def sequences(self) -> list[Sequence]:
        """Read the scenes; raises ValueError that names what is missing."""
        listed = _read(self.path)
        try:
            names = listed['scene_splits'][SPLITS[self.split]]['filenames']
        except (KeyError, TypeError) as error:
            raise ValueError(
                f'{self.path} lists no scenes of the split {self.split} ({error!r}); give the '
                'ddad.json of ddad_train_val'
            ) from error
        return [self._scene(self.path.parent / name) for name in names]

    def _scene(self, file: Path) -> Sequence:
        folder, scene = file.parent, _read(file)
        try:
            frames = sorted(
                (datum for datum in scene['data'] if datum['id']['name'] == self.camera),
                key=lambda datum: _seconds(datum),
            )
            if not frames:
                raise ValueError(f'there are no images of {self.camera}')
            images = [datum['datum']['image'] for datum in frames]
            stamps = np.array([_seconds(datum) for datum in frames])
            positions = np.array([[i['pose']['translation'][k] for k in 'xyz'] for i in images])
            key = scene['samples'][0]['calibration_key']
            known = _read(folder / 'calibration' / f'{key}.json')
            k = known['intrinsics'][known['names'].index(self.camera)]
            size = int(images[0]['width']), int(images[0]['height'])
            camera = PinholeCamera(*size, *(float(k[name]) for name in ('fx', 'fy', 'cx', 'cy')))
            files = [folder / image['filename'] for image in images]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ValueError(
                f'{file} is no scene of DDAD as its devkit writes them ({error}); unpack it again'
            ) from error
        return Sequence(
            f'{folder.name}/{self.camera}',
            ImageFiles(files),
            None if self.learn_intrinsics else camera,
            stamps - stamps[0],
            np.linalg.norm(np.diff(positions, axis=0), axis=1) if self.use_speed else None,
        )


def _seconds(datum: dict[str, Any]) -> float:
    """Give the time of a datum, which the devkit writes as a date."""
    text = str(datum['id']['timestamp']).rstrip('Z')
    # Python's clock has microseconds, and reads no shorter fractions before its version 3.11.
    whole, _, fraction = text.partition('.')
    return datetime.fromisoformat(whole).timestamp() + float(f'0.{fraction or 0}')


def _read(file: Path) -> Any:
    if not file.is_file():
        raise ValueError(f'{file} is missing; unpack DDAD there')
    return read_json(file, MAX_JSON_BYTES)
