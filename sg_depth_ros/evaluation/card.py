# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an evaluation writes into the model card of a bundle."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_DEPTH = ('abs_rel', 'sq_rel', 'rmse', 'rmse_log', 'delta1', 'delta2', 'delta3')


def depth_metric(
    summary: Mapping[str, Any],
    model: str,
    camera_height: float | None = None,
    *,
    through_node: bool = False,
) -> dict[str, Any]:
    """Give a row of the card from the figures of a run (``metrics.json``).

    :param model: which of the run's models
    :param camera_height: metres by which depth was made metric, if it was
    :param through_node: say that the node has published what was measured
    """
    protocol = summary['protocol']
    mean = summary['models'][model]['mean']
    values = {name: mean[name]['mean'] for name in _DEPTH}
    values['abs_rel_low'], values['abs_rel_high'] = mean['abs_rel']['low'], mean['abs_rel']['high']
    if prior := summary['models'].get('row prior'):
        values['abs_rel_of_row_prior'] = prior['mean']['abs_rel']['mean']
    scaling = protocol['scaling']
    if camera_height is not None:
        scaling = f'camera_height {camera_height:g} m, then {scaling}'
    through = ', through the node' if through_node else ''
    return {
        'dataset': f'{summary["dataset"]} ({summary["frames"]} frames{through})',
        'protocol': f'{protocol["description"]}; low and high: {summary["interval"]}',
        'scaling': scaling,
        'values': _rounded(values),
    }


def segmentation_metric(scores: Mapping[str, Any], dataset: str) -> dict[str, Any]:
    """Give a row of the card from the scores of an evaluation of labels."""
    values = {'mean_iou': scores['mean_iou'], 'pixel_accuracy': scores['pixel_accuracy']}
    for name in ('road', 'sky'):
        found = [iou for title, iou in scores['iou'].items() if title.lower() == name]
        values |= {f'{name}_iou': iou for iou in found}
    return {
        'dataset': f'{dataset} ({scores["images"]} images)',
        'protocol': f'{len(scores["iou"])} classes by mapping, labels by hand',
        'scaling': 'none',
        'values': _rounded(values),
    }


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(v, 4) for name, v in values.items() if math.isfinite(v)}
