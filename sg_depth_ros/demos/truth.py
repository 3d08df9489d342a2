# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the demo measures: depth against the exact one of the street, the same on every way."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.evaluation.metrics import DepthErrors, compute_depth_errors, mean_errors
from sg_depth_ros.files import atomic_path
from sg_depth_ros.images.resize import resize_depth
from sg_depth_ros.replay.pictures import Progress
from sg_depth_ros.synthetic import StreetFrame

SIZE = (640, 192)
FPS = 10.0
SHOWN = ('abs_rel', 'rmse', 'delta1')
MAX_DEPTH = 80.0
ERRORS = 'errors.json'


def measure(truth_hw: NDArray[np.float32], depth_hw: NDArray[np.float32]) -> DepthErrors:
    """Give the errors of one frame's depth, of any size; labels called sky count as far away."""
    predicted = resize_depth(depth_hw, truth_hw.shape[1], truth_hw.shape[0])
    return compute_depth_errors(truth_hw, predicted, max_depth=MAX_DEPTH)


def write_errors(out: Path, errors: Sequence[DepthErrors]) -> dict[str, float]:
    """Write the mean over frames, each scaled by its median, as ``out/errors.json``; give it."""
    mean = mean_errors(errors)
    shown = {name: getattr(mean, name) for name in SHOWN}
    report = {
        'truth': 'exact z-depth of the synthetic street',
        'protocol': f'each frame scaled by its median, depth up to {MAX_DEPTH:.0f} m',
        'frames': len(errors),
        'errors': {name: round(value, 4) for name, value in shown.items()},
    }
    with atomic_path(out / ERRORS) as temporary:
        temporary.write_text(json.dumps(report, indent=2) + '\n')
    return shown


def counted(
    frames: Iterable[StreetFrame], total: int, progress: Progress
) -> Iterator[StreetFrame]:
    """Pass frames on, and tell how many of them are drawn."""
    for i, frame in enumerate(frames):
        progress(i, total, 'drawing the street')
        yield frame
