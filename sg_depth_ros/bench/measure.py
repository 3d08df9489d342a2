# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bundles in engines take turns on the same frames, and every stage of each is timed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from sg_depth_ros.bundle import Bundle
from sg_depth_ros.bundle.labels import ids_with
from sg_depth_ros.engines import Engine, Precision
from sg_depth_ros.estimator import Estimator
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.geometry.point_cloud import PointCloudBuilder
from sg_depth_ros.images.depth import limit_range, mark_sky
from sg_depth_ros.scale import ScaleEstimator, ScaleSettings
from sg_depth_ros.synthetic import StreetFrame, drive

WARM_UP = 3
"""Frames that do not count: run-times allocate and choose during the first."""
CAMERA_HEIGHT = 1.65
"""Metres over the street."""
MAX_RANGE = 80.0

Progress = Callable[[int], None]
"""Called with the frames that are done."""


class Stages(NamedTuple):
    """Seconds of one frame: resizing, both networks, and what the node does with the answer."""

    prepare: float
    segmentation: float
    depth: float
    post: float


@dataclass(frozen=True)
class Case:
    """One bundle in one engine.

    :ivar twin_of: name of the case whose network this is with plain convolutions
    :ivar precision: of an engine that is built; None is the bundle's
    """

    name: str
    bundle: Bundle
    engine: str
    twin_of: str | None = None
    precision: Precision | None = None


@dataclass
class Subject:
    """A case that is ready to run, and its times so far."""

    case: Case
    engine: Engine
    camera: PinholeCamera
    """Of the frames it will get."""
    times: list[Stages] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Prepare what the node prepares."""
        bundle = self.case.bundle
        spec = bundle.manifest.input
        self._estimator = Estimator(bundle, self.engine)
        settings = ScaleSettings(mode='camera_height', camera_height=CAMERA_HEIGHT)
        self._scaler = ScaleEstimator(settings, bundle.labels)
        self._sky = ids_with('sky', labels=bundle.labels)
        self._builder = PointCloudBuilder(
            self.camera.resized(spec.width, spec.height), max_range=MAX_RANGE
        )

    def run(self, frame: StreetFrame) -> Stages:
        """Bring a frame to scaled depth and a cloud, as the node does."""
        start = perf_counter()
        prediction = self._estimator.predict(frame.image, frame.camera)
        middle = perf_counter()
        scale = self._scaler.observe(
            prediction.depth, prediction.labels, prediction.image, prediction.camera, frame.stamp
        )
        depth = mark_sky(prediction.depth, prediction.labels, self._sky)
        depth *= np.float32(1 if scale.factor is None else scale.factor)
        limit_range(depth, 0.0, MAX_RANGE)
        self._builder.build(depth, prediction.image, prediction.labels)
        seconds = prediction.seconds
        return Stages(
            middle - start - sum(seconds),
            seconds.segmentation,
            seconds.depth,
            perf_counter() - middle,
        )


def street_frames(camera: PinholeCamera, frames: int) -> list[StreetFrame]:
    """Draw the frames that a benchmark repeats."""
    return list(drive(camera, frames, seed=0))


def take_turns(
    subjects: Sequence[Subject],
    street: Sequence[StreetFrame],
    frames: int,
    seconds: float | None = None,
    progress: Progress = lambda done: None,
) -> None:
    """Time every subject on each frame before the next frame comes.

    :param street: frames that are repeated
    :param frames: how many each subject gets at most
    :param seconds: after which no new frame is begun; at least one is timed
    """
    for number in range(WARM_UP):
        for subject in subjects:
            subject.run(street[number % len(street)])
    end = perf_counter() + seconds if seconds is not None else None
    for done, frame in zip(range(1, frames + 1), _endless(street), strict=False):
        # Who runs after whom matters to caches, so the order turns.
        for subject in subjects if done % 2 else subjects[::-1]:
            subject.times.append(subject.run(frame))
        progress(done)
        if end is not None and perf_counter() >= end:
            return


def _endless(street: Sequence[StreetFrame]) -> Iterator[StreetFrame]:
    return (street[number % len(street)] for number in count())


def figures(subject: Subject, peak_memory_mib: float | None) -> dict[str, Any]:
    """Give what was measured of a subject, as plain values."""
    seconds = np.array(subject.times)
    totals = seconds.sum(1)
    columns = {**dict(zip(Stages._fields, seconds.T, strict=True)), 'total': totals}
    case, manifest = subject.case, subject.case.bundle.manifest
    return {
        'name': case.name,
        'twin_of': case.twin_of,
        'bundle': manifest.name,
        'digest': case.bundle.digest,
        'size': f'{manifest.input.width}x{manifest.input.height}',
        'precision': case.precision or manifest.precision,
        'engine': subject.engine.name,
        'version': subject.engine.version,
        'device': subject.engine.device,
        'frames': len(totals),
        'images_per_second': round(1 / float(totals.mean()), 2),
        'milliseconds': {
            name: {f'p{p}': round(1e3 * float(np.percentile(values, p)), 3) for p in (50, 95)}
            for name, values in columns.items()
        },
        'share': {
            name: round(float(columns[name].sum() / totals.sum()), 4) for name in Stages._fields
        },
        'peak_memory_mib': peak_memory_mib,
    }


def price_of_guidance(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Compare each guided network with its twin of plain convolutions in the same engine."""
    prices = []
    for twin in results:
        for guided in results:
            keys = ('engine', 'precision')
            if twin['twin_of'] == guided['name'] and all(twin[k] == guided[k] for k in keys):
                ratios = {
                    f'{stage}_ratio': round(
                        guided['milliseconds'][stage]['p50'] / twin['milliseconds'][stage]['p50'],
                        3,
                    )
                    for stage in ('depth', 'total')
                }
                prices.append({k: guided[k] for k in ('name', *keys)} | ratios)
    return prices
