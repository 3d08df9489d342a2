# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What eight bits cost and gain: errors against truth, and speed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median

from sg_depth_ros.bags.recorded_images import Image
from sg_depth_ros.bundle import load_bundle
from sg_depth_ros.engines import create_engine
from sg_depth_ros.evaluation.models import BundleModel
from sg_depth_ros.evaluation.protocols import compare, make_protocol, predict, true_depth
from sg_depth_ros.evaluation.sources.folder import FolderSource

ENGINE = 'onnxruntime'
_ROUNDS = 15


def change_of_abs_rel(exact: Path, quantised: Path, source: FolderSource) -> tuple[float, float]:
    """Give the AbsRel of two bundles as ``sg_depth evaluate folder`` measures it."""
    protocol = make_protocol('eigen-raw')
    models = [BundleModel(path, ENGINE) for path in (exact, quantised)]
    errors: list[list[float]] = [[], []]
    for frame in source.frames(source.names()):
        truth = true_depth(frame, protocol)
        for model, values in zip(models, errors, strict=True):
            depth = predict(model, frame, protocol).depth
            values.append(compare(truth, depth, protocol).errors().abs_rel)
    return fmean(errors[0]), fmean(errors[1])


def speed_ratio(exact: Path, quantised: Path, images: Sequence[Image]) -> float:
    """Give how many times faster the second bundle is, by medians of runs in turn."""
    engines = [create_engine(load_bundle(path), ENGINE) for path in (exact, quantised)]
    seconds: list[list[float]] = [[], []]
    for turn in range(_ROUNDS + 1):
        for engine, values in zip(engines, seconds, strict=True):
            spent = sum(engine.infer(images[turn % len(images)]).seconds)
            if turn:  # the first run prepares
                values.append(spent)
    for engine in engines:
        engine.close()
    return median(seconds[0]) / median(seconds[1])
