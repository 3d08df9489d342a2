# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Between two stages of a training: which images look infinitely deep (METHOD: two-stage).

Objects that move with the camera look infinitely far to a network that learns from motion. Such
a pixel, back-projected, lies far under the road, which nothing that is seen can.
"""

from __future__ import annotations

import csv
import heapq
import json
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.bundle.labels import ids_with, palette
from sg_depth_ros.files import atomic_path
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.geometry.ground_plane import (
    GroundPlane,
    fit_ground_plane,
    fit_labelled_ground,
)
from sg_depth_ros.images.files import write_image
from sg_depth_ros.images.visualise import (
    colorize_depth,
    colorize_labels,
    depth_range,
    side_by_side,
)
from sg_depth_ros.training.data.triplets import TripletDataset, file_stem
from sg_depth_ros.training.data.union import DepthSource
from sg_depth_ros.training.depth_settings import FilterSettings
from sg_depth_ros.training.frame_list import write_frame_list
from sg_depth_ros.training.predictor import CheckpointPredictor
from sg_depth_ros.training.progress import track

KEPT, INFINITE, NO_GROUND = 'kept', 'infinite depth', 'kept, no ground to judge by'
PICTURES = 24
"""So many of the worst images are shown, and as many that were just kept."""
_SKY = ids_with('sky')

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Verdict:
    """What is made of one image.

    :ivar reason: why it is kept or dropped
    :ivar below: (H, W) bool, the pixels that count as under the ground
    :ivar plane: the ground, or None
    """

    reason: str
    below: NDArray[np.bool_]
    plane: GroundPlane | None = None

    @property
    def pixels(self) -> int:
        """How many pixels count as under the ground."""
        return int(self.below.sum())


def judge(
    depth_hw: NDArray[np.float32],
    labels_hw: NDArray[np.uint8],
    camera: PinholeCamera,
    settings: FilterSettings,
    *,
    metric: bool,
) -> Verdict:
    """Look for pixels under the ground.

    :param depth_hw: (H, W), in metres if ``metric``, else in any unit; NaN is not judged
    :param labels_hw: (H, W) train ids, by which ground and sky are known
    :param camera: of this size
    """
    nothing = np.zeros(depth_hw.shape, bool)
    rays = camera.rays()
    points = rays * depth_hw[..., None]
    plane = (
        fit_ground_plane(points)
        if settings.rule == 'all'
        else fit_labelled_ground(
            points, labels_hw, min_share=settings.min_ground, min_inliers=settings.min_inliers
        )
    )
    if plane is None:
        return Verdict(NO_GROUND, nothing)
    # With relative depth the camera's height over the plane is the only measure there is.
    unit = 1.0 if metric else plane.height / settings.camera_height
    below = plane.above(points) < -settings.metres * unit
    if settings.rule == 'all':
        counted = below
    else:
        near = plane.distance_along(rays) < settings.max_distance * unit
        counted = below & near & ~np.isin(labels_hw, _SKY)
    return Verdict(INFINITE if counted.sum() > settings.pixels else KEPT, counted, plane)


def filter_frames(
    checkpoint: Path,
    sources: Sequence[DepthSource],
    settings: FilterSettings,
    kept: Path,
    report: Path,
) -> Counter[str]:
    """Judge every target of the sources by a trained network.

    Writes the names of the kept frames to ``kept``, and to the folder ``report``: dropped.txt,
    frames.csv (every frame with its verdict), summary.json, and pictures of the worst frames and
    of those that were only just kept.

    :return: number of frames by verdict
    :raises ValueError: if the checkpoint has no depth network or a source cannot be read
    """
    predict = CheckpointPredictor(checkpoint)
    dataset = TripletDataset(sources, predict.size)
    metric = predict.scale == 'metric'
    counts: Counter[str] = Counter()
    names: dict[bool, list[str]] = {True: [], False: []}
    worst, best = _Gallery(report / 'dropped', PICTURES), _Gallery(report / 'kept', PICTURES)
    with atomic_path(report / 'frames.csv') as temporary, temporary.open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(('frame', 'verdict', 'pixels_below', 'camera_height'))
        for index in track(range(len(dataset)), 'Judging the frames'):
            name = dataset.name(index)
            try:
                image, camera = dataset.target(index, predict.cameras)
            except (ValueError, OSError) as error:
                _log.warning('%s is broken and dropped: %s', name, error)
                counts['broken image'] += 1
                names[False].append(name)
                writer.writerow((name, 'broken image', '', ''))
                continue
            depth, labels = predict(image, camera)
            depth[~dataset.mask(index)] = np.nan
            verdict = judge(depth, labels, camera, settings, metric=metric)
            keep = verdict.reason != INFINITE
            counts[verdict.reason] += 1
            names[keep].append(name)
            height = f'{verdict.plane.height:.3f}' if verdict.plane else ''
            writer.writerow((name, verdict.reason, verdict.pixels, height))
            (best if keep else worst).offer(name, image, depth, labels, verdict)
    write_frame_list(report / 'dropped.txt', names[False])
    worst.write()
    best.write()
    with atomic_path(report / 'summary.json') as temporary:
        summary = {
            'checkpoint': str(checkpoint),
            'scale': predict.scale,
            'frames': dict(counts),
            'dropped_share': round(len(names[False]) / max(len(dataset), 1), 4),
            'settings': settings.model_dump(),
        }
        temporary.write_text(json.dumps(summary, indent=1) + '\n')
    # Last, as it is what tells that the filter has finished.
    write_frame_list(kept, names[True])
    return counts


class _Gallery:
    """Keeps pictures of the frames with the most pixels under the ground."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder, self._size = folder, size
        self._heap: list[tuple[int, int, str, NDArray[np.uint8]]] = []
        self._offered = 0

    def offer(
        self,
        name: str,
        image: NDArray[np.uint8],
        depth: NDArray[np.float32],
        labels: NDArray[np.uint8],
        verdict: Verdict,
    ) -> None:
        """Keep a frame if it is among the worst so far."""
        self._offered += 1
        if len(self._heap) == self._size and verdict.pixels <= self._heap[0][0]:
            return
        marked = image.copy()
        marked[verdict.below] = (255, 0, 255)
        picture = side_by_side(
            [
                marked,
                colorize_depth(depth, *depth_range([depth])),
                colorize_labels(labels, palette()),
            ],
            [f'{name}: {verdict.pixels} px below', 'depth', 'labels'],
        )
        # The running number keeps equal frames from comparing their pictures.
        entry = (verdict.pixels, -self._offered, name, picture)
        push = heapq.heappush if len(self._heap) < self._size else heapq.heapreplace
        push(self._heap, entry)

    def write(self) -> None:
        """Write the pictures, the worst first."""
        for rank, (pixels, _, name, picture) in enumerate(sorted(self._heap, reverse=True)):
            path = self._folder / f'{rank:02d}_{pixels}px_{file_stem(name)}.jpg'
            write_image(path, picture)
