# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo where there is no ROS 2: the same street and errors, through the estimator alone."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.bags import BagReader
from sg_depth_ros.bags.writer import remove_bag
from sg_depth_ros.bundle.labels import ids_with
from sg_depth_ros.demos.truth import ERRORS, FPS, SIZE, counted, measure, write_errors
from sg_depth_ros.estimator import Estimator, Prediction
from sg_depth_ros.evaluation.metrics import DepthErrors
from sg_depth_ros.files import atomic_path, prepare_folder
from sg_depth_ros.images.depth import mark_sky
from sg_depth_ros.predict import write_depth
from sg_depth_ros.replay.pictures import Progress, ReplayedFrame, write_pictures
from sg_depth_ros.synthetic import StreetFrame, drive, street_camera, write_bag

LEFT_OUT = (
    'the node with its lifecycle, diagnostics and topics',
    'images over DDS, at the rate of the camera, with latency and dropped frames',
    'clouds of ground and obstacles, and the scale over time',
)
"""What only the way through the node shows."""
WRITTEN = (
    *('summary.json', 'depth.mp4', 'depth.png', 'cloud.ply', ERRORS),
    *('node.log', 'scale.png', 'cloud.png'),
)
"""What this and an earlier demo with a node may have written beside the bag."""


def run_without_node(
    out: Path,
    bundle: str,
    engine: str,
    frames: int,
    seed: int,
    progress: Progress = lambda done, total, note: None,
) -> tuple[dict[str, Any], dict[str, float]]:
    """Write a drive as ``out/bag``, estimate its images one by one, and compare with the truth.

    Leaves ``summary.json``, ``errors.json``, ``depth.mp4``, ``depth.png`` and ``cloud.ply``.

    :return: the summary, whose notes say what was left out, and mean errors as with a node
    :raises BagError: when ``out/bag`` is no demo's
    :raises BundleError: when the bundle is missing or damaged; and what the engine raises
    """
    estimator = Estimator.load(bundle, engine)
    sky = ids_with('sky', labels=estimator.bundle.labels)
    camera, bag = street_camera(*SIZE), out / 'bag'
    prepare_folder(out, WRITTEN)
    remove_bag(bag)
    truths: list[NDArray[np.float32]] = []
    errors: list[DepthErrors] = []
    last: list[Prediction] = []
    seconds: list[float] = []

    def keep(drawn: Iterator[StreetFrame]) -> Iterator[StreetFrame]:
        for frame in drawn:
            truths.append(frame.depth)
            yield frame

    def estimate(reader: BagReader) -> Iterator[ReplayedFrame]:
        images = reader.images(reader.choose_image_topic())
        for truth, image in zip(truths, images, strict=True):
            start = time.perf_counter()
            prediction = estimator.predict(image.rgb, camera)
            seconds.append(time.perf_counter() - start)
            depth = mark_sky(prediction.depth, prediction.labels, sky)
            errors.append(measure(truth, depth))
            last[:] = [replace(prediction, depth=depth)]
            yield ReplayedFrame(image.stamp_ns, image.rgb, depth, prediction.labels)

    write_bag(bag, counted(keep(drive(camera, frames, seed, fps=FPS)), frames, progress))
    manifest = estimator.bundle.manifest
    with BagReader(bag) as reader:
        scale = manifest.depth.scale
        write_pictures(estimate(reader), frames, out, estimator.bundle, scale, FPS, progress)
    write_depth(out / 'cloud.ply', last[0], 'ply')
    summary = {
        'bag': str(bag),
        'bundle': manifest.name,
        'bundle_digest': estimator.bundle.digest,
        'engine': estimator.engine.name,
        'device': estimator.engine.device,
        'frames': len(errors),
        'estimator_ms': round(float(np.median(seconds)) * 1e3, 2),
        'scale': scale,
        'lost': {},
        'notes': [f'left out, for want of ROS 2: {what}' for what in LEFT_OUT],
    }
    with atomic_path(out / 'summary.json') as temporary:
        temporary.write_text(json.dumps(summary, indent=2) + '\n')
    estimator.close()
    return summary, write_errors(out, errors)
