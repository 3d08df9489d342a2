# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Errors of a checkpoint on the frames of a street."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sg_depth_ros.bundle.labels import ID
from sg_depth_ros.evaluation.frames import Frame, Output
from sg_depth_ros.evaluation.protocols import make_protocol
from sg_depth_ros.evaluation.scoring import score_frame
from sg_depth_ros.evaluation.sources.folder import FolderSource
from sg_depth_ros.images.resize import resize_image
from sg_depth_ros.training.data.sources import StreetSource
from sg_depth_ros.training.predictor import CheckpointPredictor

Records = Sequence[dict[str, Any]]


class CheckpointModel:
    """A checkpoint as the evaluation knows models."""

    name, uses_image = 'checkpoint', True

    def __init__(self, checkpoint: Path) -> None:
        self._predict = CheckpointPredictor(checkpoint)
        self.identity = str(checkpoint)

    def predict(self, frame: Frame) -> Output:
        """Predict at network size, for the frame's camera."""
        assert frame.camera is not None
        size = self._predict.size
        depth, labels = self._predict(
            resize_image(frame.image, *size), frame.camera.resized(*size)
        )
        return Output(depth, labels)


def judge(checkpoint: Path, test: StreetSource, scaling: str = 'median') -> Records:
    """Score every frame of a street.

    :param scaling: ``median``, or ``none`` for errors in metres
    """
    model = CheckpointModel(checkpoint)
    protocol = make_protocol('dense', 'none' if scaling == 'none' else 'median')
    sources = (FolderSource(clip) for clip in test.folders())
    return [
        score_frame(frame, [model], protocol)['models'][model.name]
        for source in sources
        for frame in source.frames(source.names())
    ]


def error(records: Records) -> float:
    """Average AbsRel over frames."""
    return float(np.nanmean([record['all']['abs_rel'] for record in records]))


def part_error(records: Records, part: str) -> float:
    """Average AbsRel of a part, ``edges`` or ``dynamic``, over the frames that have it."""
    found = [r['parts'][part]['abs_rel'] for r in records if part in r['parts']]
    return float(np.mean(found)) if found else float('nan')


def class_errors(records: Records) -> dict[str, float]:
    """Average AbsRel by class over the frames that have it."""
    names = sorted({name for record in records for name in record['classes']} & set(ID))
    return {
        name: float(
            np.mean([r['classes'][name]['abs_rel'] for r in records if name in r['classes']])
        )
        for name in names
    }


def score(checkpoint: Path, test: StreetSource) -> dict[str, Any]:
    """Give AbsRel with and without median scaling, and the scale between."""
    metric, scaled = judge(checkpoint, test, 'none'), judge(checkpoint, test)
    return {
        'abs_rel': error(scaled),
        'abs_rel_without_scaling': error(metric),
        'true_to_predicted_scale': float(
            np.median([record['all']['median_ratio'] for record in metric])
        ),
        'frames': len(metric),
    }
