# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the filters of point clouds do, and cost; ``python -m sg_depth_ros.cli.cloud`` runs it.

A street is drawn, a bundle estimates its depth, and the fixed factor that fits the truth makes it
metric. Of that frame every filter is timed, on one thread and by the thread's own time, so that
other programs disturb little. Pictures show the cloud before and after the filters, and split by
the ground.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.bundle.labels import ids_with
from sg_depth_ros.estimator import Estimator, Prediction
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.geometry.point_cloud import PointCloudBuilder
from sg_depth_ros.geometry.split import split_by_label, split_by_plane, tolerances_by_label
from sg_depth_ros.images.depth import mark_sky
from sg_depth_ros.images.files import write_image
from sg_depth_ros.images.visualise import render_points
from sg_depth_ros.scale import fit_road
from sg_depth_ros.synthetic import drive, street_camera

WIDTH, HEIGHT = 1242, 375
"""As KITTI has it: 465,750 points."""
GROUND_COLOR, OBSTACLE_COLOR = (110, 110, 118), (255, 150, 40)
TOLERANCES = tolerances_by_label(0.2, 0.5, ids_with('ground'))
"""Metres above the road from which on a point is an obstacle: the node's defaults."""
VIEW, PICTURE = 14.0, (800, 450)
"""Metres that the pictures are drawn for, and their pixels."""


EDGES: dict[str, Any] = {'edge_ratio': 0.05, 'smooth_ids': ids_with('ground')}
ROLES: dict[str, Any] = {'exclude_ids': ids_with('dynamic', 'sky')}
FILTERS: dict[str, dict[str, Any]] = {
    'none (organised)': {},
    'only points that are': {'organized': False},
    'stride 2': {'stride': 2},
    'dynamic and sky excluded': ROLES,
    'edges removed': EDGES,
    'range, roles, edges': {**ROLES, **EDGES, 'max_range': 60.0},
    'range, roles, edges, only points that are': {
        **ROLES, **EDGES, 'max_range': 60.0, 'organized': False,
    },
    'voxels of 0.1 m': {'voxel_size': 0.1},
    'all, voxels of 0.1 m': {**ROLES, **EDGES, 'max_range': 60.0, 'voxel_size': 0.1},
}  # fmt: skip


def estimate(bundle: str, seed: int, frame: int) -> tuple[Prediction, NDArray[np.float32]]:
    """Give the prediction for a frame of the street, and its depth (H, W) in metres."""
    camera: PinholeCamera = street_camera(WIDTH, HEIGHT)
    *_, street = drive(camera, frame + 1, seed)
    estimator = Estimator.load(bundle)
    prediction = estimator.predict(street.image, camera, size='image')
    sky = ids_with('sky', labels=estimator.bundle.labels)
    estimator.close()
    depth = mark_sky(prediction.depth, prediction.labels, sky)
    both = np.isfinite(depth) & (street.depth < 60)
    return prediction, depth * np.float32(np.median(street.depth[both]) / np.median(depth[both]))


def milliseconds(works: Sequence[Callable[[], object]], rounds: int) -> NDArray[np.float64]:
    """Time functions in turn; give milliseconds of this thread (functions, rounds)."""
    times = np.empty((len(works), rounds))
    for turn in range(-1, rounds):  # the first turn only warms up
        for i, work in enumerate(works):
            start = time.thread_time()
            work()
            if turn >= 0:
                times[i, turn] = 1e3 * (time.thread_time() - start)
    return times


def time_filters(
    prediction: Prediction, depth_hw: NDArray[np.float32], rounds: int
) -> Iterator[str]:
    """Give a line for each set of filters, points out, milliseconds and points in a second."""
    camera = prediction.camera
    assert camera is not None
    images = depth_hw, prediction.image, prediction.labels
    works: dict[str, Callable[[], NDArray[np.void]]] = {
        name: partial(PointCloudBuilder(camera, **options).build, *images)
        for name, options in FILTERS.items()
    }
    fit = partial(fit_road, depth_hw, prediction.labels, camera, ids_with('road'))
    plane, problem = fit()
    if plane is None:
        raise ValueError(f'{problem}; choose another --seed')
    cloud = PointCloudBuilder(camera).build(*images)
    _, above = split_by_plane(cloud, plane, TOLERANCES)
    works['then ground and obstacles'] = lambda: split_by_plane(cloud, plane, TOLERANCES)[1]
    works['then static and dynamic'] = lambda: split_by_label(above, ids_with('dynamic'))[1]
    *times, fitting = milliseconds([*works.values(), fit], rounds)
    yield f'{depth_hw.size} pixels; milliseconds: median and 95th percentile of {rounds} rounds'
    for (name, work), row in zip(works.items(), times, strict=True):
        points = np.isfinite(work()['z']).sum()
        median, p95 = np.percentile(row, [50, 95])
        rate = depth_hw.size / median / 1e3
        yield f'{name:42}{points:8} points {median:6.2f} {p95:6.2f} ms {rate:5.0f} million/s'
    median, p95 = np.percentile(fitting, [50, 95])
    yield f'{"the plane of the road":57} {median:6.2f} {p95:6.2f} ms'


def write_pictures(out: Path, prediction: Prediction, depth_hw: NDArray[np.float32]) -> None:
    """Write ``cloud_before.jpg``, ``cloud_after.jpg`` and ``cloud_ground.jpg``."""
    camera = prediction.camera
    assert camera is not None
    images = depth_hw, prediction.image, prediction.labels
    plane, problem = fit_road(depth_hw, prediction.labels, camera, ids_with('road'))
    if plane is None:
        raise ValueError(f'{problem}; choose another --seed')
    before = PointCloudBuilder(camera, organized=False, max_range=60.0).build(*images)
    after = PointCloudBuilder(camera, **FILTERS['all, voxels of 0.1 m']).build(*images)
    for name, cloud in (('before', before), ('after', after), ('ground', after)):
        xyz = np.stack([cloud[axis] for axis in 'xyz'], 1)
        packed = np.ascontiguousarray(cloud['rgb']).view(np.uint32)
        colors = np.stack([packed >> shift & 255 for shift in (16, 8, 0)], 1)
        if name == 'ground':
            above = plane.above(xyz) > TOLERANCES[cloud['label']]
            colors = np.where(above[:, None], OBSTACLE_COLOR, GROUND_COLOR)
        write_image(
            out / f'cloud_{name}.jpg', render_points(xyz, colors.astype(np.uint8), *PICTURE, VIEW)
        )
