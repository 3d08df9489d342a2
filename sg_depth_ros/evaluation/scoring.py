# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""All errors of one frame, as the plain values that a line of JSON holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.bundle.labels import CITYSCAPES, ids_with
from sg_depth_ros.evaluation.frames import Frame, Model
from sg_depth_ros.evaluation.metrics import (
    Compared,
    DepthErrors,
    depth_edges,
    errors_by_distance,
    errors_by_label,
)
from sg_depth_ros.evaluation.protocols import Protocol, compare, predict, true_depth
from sg_depth_ros.images.resize import resize_labels

CLASS_NAMES = {label.id: label.name for label in CITYSCAPES if 'sky' not in label.roles}
"""Sky has no depth: returns that are labelled so lie at the edge of something else."""
DYNAMIC_IDS = ids_with('dynamic')
PART_METRICS = ('abs_rel', 'rmse', 'delta1', 'pixels')
"""What is kept of the errors of a part of the image."""


def score_frame(frame: Frame, models: Sequence[Model], protocol: Protocol) -> dict[str, Any]:
    """Predict a frame with every model and compare with its truth.

    Gives ``name``, ``stamp``, ``labels`` (where the classes come from: ``truth``, the name of a
    model, or None) and, by name in ``models``, the errors of the whole image (``all``), of its
    ``classes``, ``distances`` and ``parts`` (``dynamic``, ``edges``), and ``seconds``.
    """
    truth = true_depth(frame, protocol)
    outputs = {model.name: predict(model, frame, protocol) for model in models}
    labels, origin = frame.labels, 'truth' if frame.labels is not None else None
    for name, output in outputs.items():
        if labels is None and output.labels is not None:
            height, width = truth.shape
            labels, origin = resize_labels(output.labels, width, height), name
    edges = depth_edges(truth)
    return {
        'name': frame.name,
        'stamp': frame.stamp,
        'labels': origin,
        'models': {
            name: {
                **_scores(compare(truth, output.depth, protocol), labels, edges),
                'seconds': output.seconds,
            }
            for name, output in outputs.items()
        },
    }


def _scores(
    compared: Compared, labels_hw: NDArray[np.uint8] | None, edges_hw: NDArray[np.bool_]
) -> dict[str, Any]:
    parts = {'edges': compared.errors(edges_hw[compared.where_hw])}
    classes = {}
    if labels_hw is not None:
        classes = errors_by_label(compared, labels_hw, CLASS_NAMES)
        dynamic_hw = np.isin(labels_hw, DYNAMIC_IDS)
        parts['dynamic'] = compared.errors(dynamic_hw[compared.where_hw])
    return {
        'all': asdict(compared.errors()),
        'classes': {key: _part(errors) for key, errors in classes.items()},
        'distances': {key: _part(errors) for key, errors in errors_by_distance(compared).items()},
        'parts': {key: _part(errors) for key, errors in parts.items() if errors.pixels},
    }


def _part(errors: DepthErrors) -> dict[str, float]:
    return {name: getattr(errors, name) for name in PART_METRICS}
