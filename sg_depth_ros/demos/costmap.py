# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What Nav2's obstacle layer makes of the node's clouds, beside what it makes of the truth.

``python -m sg_depth_ros.cli.costmap`` runs it. Streets are written as bags and played through the
node. The rule of the layer (``evaluation/costmap.py``) then gets ``obstacles/points`` to mark and
``ground/points`` to clear, as ``config/nav2_costmap.yaml`` says; and, for the true map, the exact
depth: what is neither ground nor sky marks, what is ground clears.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.bags import BagReader, point_cloud_array
from sg_depth_ros.bundle.labels import ids_with
from sg_depth_ros.bundle.share import share_directory
from sg_depth_ros.documents import read_yaml
from sg_depth_ros.evaluation.costmap import (
    Cells,
    Corridor,
    LayerRule,
    ObstacleLayer,
    compare,
    planar,
)
from sg_depth_ros.files import atomic_path
from sg_depth_ros.images.files import write_image
from sg_depth_ros.images.visualise import strip
from sg_depth_ros.replay.inputs import Choice
from sg_depth_ros.replay.player import Progress, ReplayOptions, replay
from sg_depth_ros.replay.topics import GROUND, OBSTACLES
from sg_depth_ros.synthetic import StreetFrame, drive, street_camera, write_bag

SIZE = (640, 192)
RANGE = 20.0
"""Metres that are compared."""
TOLERANCES = (0.0, 0.5, 1.0)
"""Metres within which a marked and a true cell count as one."""
_TRUE, _MARKED, _BOTH = (70, 130, 240), (240, 90, 60), (250, 250, 250)
_CORRIDOR = (44, 52, 44)


@dataclass(frozen=True)
class Maps:
    """Both maps of one frame, the corridor ahead of the vehicle, and what was seen."""

    marked: Cells
    true: Cells
    corridor: Cells
    image: NDArray[np.uint8]

    @property
    def is_free(self) -> bool:
        """Whether nothing truly stands in the corridor."""
        return not (self.true & self.corridor).any()

    @property
    def is_marked(self) -> bool:
        """Whether the node's clouds have put something there."""
        return bool((self.marked & self.corridor).any())


def run_costmap(
    out: Path,
    bundle: str,
    engine: str,
    seeds: Sequence[int],
    frames: int,
    progress: Progress = lambda done, total, note: None,
) -> dict[str, Any]:
    """Measure streets; write ``costmap.json`` and ``costmap.png`` into ``out``.

    :param frames: of each street, at 10 in a second
    :return: what the JSON holds
    :raises ValueError: and others, see :func:`sg_depth_ros.replay.player.replay`; when no frame
        of any street has both clouds
    """
    out.mkdir(parents=True, exist_ok=True)
    maps: list[Maps] = []
    shown: list[NDArray[np.uint8]] = []
    for i, seed in enumerate(seeds):
        progress(i, len(seeds), f'street {seed}')
        of_street = list(_street(out / f'street_{seed}', bundle, engine, seed, frames))
        maps += of_street
        if of_street:
            shown.append(draw(of_street[-1]))
    if not maps:
        raise ValueError('no frame came back with ground and obstacles; see node.log of a street')
    write_image(out / 'costmap.png', strip(shown, columns=min(2, len(shown))))
    figures = summarise(maps)
    with atomic_path(out / 'costmap.json') as temporary:
        temporary.write_text(json.dumps(figures, indent=2) + '\n')
    return figures


def summarise(maps: Sequence[Maps]) -> dict[str, Any]:
    """Give means over frames of how both maps agree, and how free free road is."""
    free = [map_.is_marked for map_ in maps if map_.is_free]
    blocked = [map_.is_marked for map_ in maps if not map_.is_free]
    figures: dict[str, Any] = {
        'frames': len(maps),
        'range_m': RANGE,
        'frames_with_free_road': len(free),
        'free_where_free': round(1 - float(np.mean(free)), 4) if free else None,
        'blocked_where_blocked': round(float(np.mean(blocked)), 4) if blocked else None,
    }
    for tolerance in TOLERANCES:
        cells = tolerance / LayerRule().resolution
        agreements = [compare(map_.marked, map_.true, cells) for map_ in maps]
        for name in ('precision', 'recall'):
            values = np.array([getattr(agreement, name) for agreement in agreements])
            mean = float(np.nanmean(values)) if np.isfinite(values).any() else math.nan
            figures[f'{name}_within_{tolerance:g}_m'] = round(mean, 4)
    return figures


def draw(maps: Maps) -> NDArray[np.uint8]:
    """Draw what was seen over both maps, the vehicle in the middle looking right (320, 480, 3).

    White is marked and true, red only marked, blue only true; the corridor is greenish.
    """
    picture = np.full((*maps.true.shape, 3), 18, np.uint8)
    picture[maps.corridor] = _CORRIDOR
    picture[maps.true] = _TRUE
    picture[maps.marked] = _MARKED
    picture[maps.marked & maps.true] = _BOTH
    middle = len(picture) // 2
    cv2.circle(picture, (middle, middle), 6, (120, 220, 120), -1)
    # Rows go down, y goes left.
    picture = np.ascontiguousarray(picture[::-1])
    wide = cv2.resize(maps.image, (len(picture), round(len(picture) * 0.3)))
    return np.concatenate([np.asarray(wide, np.uint8), picture])


def _street(folder: Path, bundle: str, engine: str, seed: int, frames: int) -> Iterator[Maps]:
    """Play one street through the node, and give the maps of each frame that came back."""
    shutil.rmtree(folder, ignore_errors=True)  # of an earlier run
    truth = list(drive(street_camera(*SIZE), frames, seed))
    write_bag(folder / 'bag', truth)
    with BagReader(folder / 'bag') as bag:
        stamps = [item.stamp_ns for item in bag.messages([bag.choose_image_topic()])]
    replay(
        folder / 'bag',
        folder / 'clouds',
        folder / 'node.log',
        ReplayOptions(bundle, engine, 0.0, Choice(scale_mode='camera_height'), _node_parameters()),
        (GROUND, OBSTACLES),
    )
    clouds = _clouds(folder / 'clouds')
    layers = ObstacleLayer(LayerRule()), ObstacleLayer(LayerRule())
    for stamp, frame in zip(stamps, truth, strict=True):
        if maps := _frame(layers, frame, clouds.get(stamp)):
            yield maps


def _node_parameters() -> dict[str, Any]:
    """Give what config/nav2_costmap.yaml says of the node."""
    path = share_directory() / 'config' / 'nav2_costmap.yaml'
    values: dict[str, Any] = read_yaml(path)['**/sg_depth']['ros__parameters']
    return values


def _clouds(record: Path) -> dict[int, tuple[NDArray[np.floating], NDArray[np.floating]]]:
    """Give obstacles and ground, points (N, 3) of the optical frame, by stamp."""
    found: dict[int, dict[str, NDArray[np.floating]]] = {}
    with BagReader(record) as bag:
        for item in bag.messages({GROUND, OBSTACLES} & bag.topics.keys()):
            points = point_cloud_array(item.message)
            xyz = np.stack([points[axis] for axis in 'xyz'], 1)
            found.setdefault(item.stamp_ns, {})[item.topic] = xyz
    return {s: (p[OBSTACLES], p[GROUND]) for s, p in found.items() if len(p) == 2}


def _frame(
    layers: tuple[ObstacleLayer, ObstacleLayer],
    frame: StreetFrame,
    clouds: tuple[NDArray[np.floating], NDArray[np.floating]] | None,
) -> Maps | None:
    """Do one cycle of both layers; None where the node has given no clouds."""
    vehicle = planar(frame.camera_to_world @ np.linalg.inv(frame.camera_to_base))
    mount = vehicle @ frame.camera_to_base
    marked, true = layers
    obstacles, ground = (_moved(mount, points) for points in _true_clouds(frame))
    true.update(obstacles, ground, mount[:2, 3])
    if clouds is None:
        return None
    obstacles, ground = (_moved(mount, points) for points in clouds)
    marked.update(obstacles, ground, mount[:2, 3])
    corridor = Corridor(farthest=RANGE).cells(true, vehicle)
    middle = (true.count - 1) / 2
    rows, columns = np.indices(true.occupied.shape)
    near = np.hypot(rows - middle, columns - middle) * true.rule.resolution <= RANGE
    return Maps(marked.denoised() & near, true.denoised() & near, corridor, frame.image)


def _true_clouds(frame: StreetFrame) -> Iterable[NDArray[np.floating]]:
    """Give what is neither ground nor sky, and the ground, of a frame's exact depth."""
    points = frame.camera.back_project(frame.depth).reshape(-1, 3)
    labels = frame.labels.reshape(-1)
    known = np.isfinite(points).all(1)
    ground = np.isin(labels, ids_with('ground'))
    return points[known & ~ground], points[known & ground]


def _moved(pose: NDArray[np.floating], points: NDArray[np.floating]) -> NDArray[np.floating]:
    return points.astype(np.float64) @ pose[:3, :3].T + pose[:3, 3]
