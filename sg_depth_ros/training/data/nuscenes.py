# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""nuScenes as a source of drives, by the tables of its devkit: one camera, a sequence a scene."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sg_depth_ros.documents import read_json
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.training.data.frames import ImageFiles
from sg_depth_ros.training.data.sequence import Sequence
from sg_depth_ros.training.data.sources import SourceSettings

Row = dict[str, Any]


MAX_TABLE_BYTES = 1 << 31
"""Of one table: sample_data has more than a gigabyte."""


class NuScenesSource(SourceSettings):
    """nuScenes: ``VERSION/*.json`` beside ``samples`` and ``sweeps``; all frames of a camera."""

    kind: Literal['nuscenes'] = 'nuscenes'
    path: Path
    """Folder with the tables' folder, ``samples`` and ``sweeps``."""
    version: str = 'v1.0-trainval'
    """The folder of the tables, such as v1.0-mini."""
    camera: str = 'CAM_FRONT'
    """One of six channels, such as CAM_BACK."""
    scenes: tuple[str, ...] = ()
    """Names such as [scene-0061]; all if empty."""

    def sequences(self) -> list[Sequence]:
        """Read the scenes; raises ValueError that names what is missing."""
        scenes = self._table('scene')
        of_sample = {token: row['scene_token'] for token, row in self._table('sample').items()}
        calibrated, channels = self._table('calibrated_sensor'), self._table('sensor')
        mine = {
            token
            for token, row in calibrated.items()
            if channels[row['sensor_token']]['channel'] == self.camera
        }
        by_scene: dict[str, list[Row]] = defaultdict(list)
        for row in self._table('sample_data').values():
            if row['calibrated_sensor_token'] in mine:
                by_scene[scenes[of_sample[row['sample_token']]]['name']].append(row)
        names = self.scenes or sorted(by_scene)
        missing = sorted(set(names) - set(by_scene))
        if missing or not names:
            raise ValueError(
                f'{self.path / self.version} has no frames of {self.camera} for '
                f'{", ".join(missing) or "any scene"}; correct camera, scenes or version'
            )
        poses = self._table('ego_pose')
        return [self._sequence(name, by_scene[name], calibrated, poses) for name in names]

    def _sequence(
        self, name: str, rows: list[Row], calibrated: dict[str, Row], poses: dict[str, Row]
    ) -> Sequence:
        rows = sorted(rows, key=lambda row: int(row['timestamp']))
        first = rows[0]
        matrix = np.array(calibrated[first['calibrated_sensor_token']]['camera_intrinsic'], float)
        stamps = np.array([int(row['timestamp']) - int(first['timestamp']) for row in rows]) * 1e-6
        positions = np.array([poses[row['ego_pose_token']]['translation'] for row in rows], float)
        camera = PinholeCamera.from_matrix(matrix, int(first['width']), int(first['height']))
        return Sequence(
            f'{name}/{self.camera}',
            ImageFiles([self.path / row['filename'] for row in rows]),
            None if self.learn_intrinsics else camera,
            stamps,
            np.linalg.norm(np.diff(positions, axis=0), axis=1) if self.use_speed else None,
        )

    def _table(self, name: str) -> dict[str, Row]:
        """Give the rows of a table by their token."""
        file = self.path / self.version / f'{name}.json'
        if not file.is_file():
            raise ValueError(f'{file} is missing; unpack the metadata of nuScenes there')
        try:
            return {row['token']: row for row in read_json(file, MAX_TABLE_BYTES)}
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f'{file} is no table of nuScenes ({error!r})') from error
