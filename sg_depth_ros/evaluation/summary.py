# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From the records of all frames to the figures of a run (``metrics.json``)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from sg_depth_ros.evaluation.confidence import LEVEL, bootstrap_mean, paired_bootstrap
from sg_depth_ros.evaluation.frames import EvaluationError
from sg_depth_ros.evaluation.protocols import Protocol
from sg_depth_ros.evaluation.scoring import CLASS_NAMES, PART_METRICS
from sg_depth_ros.files import atomic_path

FORMAT = 1
SUMMARY = 'metrics.json'
HIGHER_IS_BETTER = ('delta1', 'delta2', 'delta3', 'coverage')
ERRORS = ('abs_rel', 'sq_rel', 'rmse', 'rmse_log', 'silog', 'delta1', 'delta2', 'delta3')
SHOWN_FRAMES = 3
"""Number of best and of worst frames."""

Records = Sequence[Mapping[str, Any]]


def summarise(
    records: Records,
    settings: Mapping[str, Any],
    protocol: Protocol,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Average the records of :func:`runner.run` and compare the first model with the others.

    Raises EvaluationError if there is no frame with truth, or the first model has depth in none.
    """
    names = list(settings['models'])
    # Coverage is the share of the true pixels: NaN where there are none.
    usable = [r for r in records if not math.isnan(_value(r, names[0], 'coverage'))]
    if not usable:
        raise EvaluationError(
            f'no frame of {settings["dataset"]} has truth under the protocol {protocol.name}; '
            'check the truth or choose another --protocol'
        )
    errors = [_value(record, names[0], 'abs_rel') for record in usable]
    answered = [index for index, error in enumerate(errors) if not math.isnan(error)]
    if not answered:
        raise EvaluationError(
            f'{names[0]} gives no depth where truth is, in all {len(usable)} frames; look at what '
            'it predicts (with --camera-height it needs a road in sight)'
        )
    notes = list(notes)
    if len(usable) < settings['frames']:
        notes.append(f'{settings["frames"] - len(usable)} frames gave nothing to compare')
    for name in names:
        if silent := sum(math.isnan(value) for value in _column(usable, name, 'abs_rel')):
            notes.append(f'{name} has no depth in {silent} frames: only its coverage counts them')
    ranked = sorted(answered, key=lambda index: errors[index])
    best = _apart(ranked, (len(ranked) + 1) // 2)
    worst = _apart(ranked[::-1], len(ranked) // 2)
    origins = sorted({record['labels'] for record in usable if record['labels']})
    return {
        'format': FORMAT,
        'dataset': settings['dataset'],
        'frames': len(usable),
        'protocol': {
            'name': protocol.name,
            'description': protocol.description,
            **asdict(protocol),
        },
        'labels': origins,
        'notes': notes,
        'interval': f'{LEVEL:.0%}, circular block bootstrap over frames',
        'models': {
            name: {'identity': settings['models'][name], **_summarise_model(usable, name)}
            for name in names
        },
        'differences': [
            {
                'model': names[0],
                'against': other,
                **{
                    metric: asdict(_difference(usable, names[0], other, metric))
                    for metric in ERRORS
                },
            }
            for other in names[1:]
        ],
        'best': [usable[index]['name'] for index in best],
        'worst': [usable[index]['name'] for index in worst],
    }


def _apart(ranked: Sequence[int], among: int) -> list[int]:
    """Choose ``SHOWN_FRAMES`` of the first ``among``, none in the neighbourhood of another.

    Frames that follow each other look alike; a twentieth of all is a neighbourhood.
    """
    chosen: list[int] = []
    for index in ranked[:among]:
        if all(20 * abs(index - other) >= len(ranked) for other in chosen):
            chosen.append(index)
    return chosen[:SHOWN_FRAMES]


def _value(record: Mapping[str, Any], model: str, metric: str) -> float:
    value = record['models'][model]['all'][metric]
    return float('nan') if value is None else float(value)


def _column(records: Records, model: str, metric: str) -> list[float]:
    return [_value(record, model, metric) for record in records]


def _difference(records: Records, model: str, other: str, metric: str) -> Any:
    return paired_bootstrap(_column(records, model, metric), _column(records, other, metric))


def _summarise_model(records: Records, name: str) -> dict[str, Any]:
    scores = [record['models'][name] for record in records]
    classes = {
        label: values
        for label in CLASS_NAMES.values()
        if (values := _mean_parts(score['classes'].get(label) for score in scores))
    }
    bins = sorted({key for score in scores for key in score['distances']}, key=low_edge)
    return {
        'mean': {
            metric: asdict(bootstrap_mean(_column(records, name, metric)))
            for metric in (*ERRORS, 'coverage')
        },
        'scale': _summarise_scale(records, name),
        'class_mean': {
            metric: float(np.mean([values[metric] for values in classes.values()]))
            for metric in PART_METRICS[:-1]
            if classes
        },
        'classes': classes,
        'distances': {
            key: _mean_parts(score['distances'].get(key) for score in scores) for key in bins
        },
        'parts': {
            key: values
            for key in ('dynamic', 'edges')
            if (values := _mean_parts(score['parts'].get(key) for score in scores))
        },
        'latency': _summarise_latency([score['seconds'] for score in scores]),
    }


def low_edge(key: str) -> float:
    """Give the lower edge in metres of a distance bin, by which they are in order."""
    return float(key.partition('-')[0])


def _mean_parts(parts: Any) -> dict[str, float]:
    """Average the errors of a part over the frames that have it, each with equal weight."""
    known = [part for part in parts if part is not None]
    if not known:
        return {}
    return {
        **{m: float(np.mean([part[m] for part in known])) for m in PART_METRICS[:-1]},
        'pixels': float(np.sum([part['pixels'] for part in known])),
        'frames': len(known),
    }


def _summarise_scale(records: Records, name: str) -> dict[str, float]:
    """Tell how metric a model is: the ratio truth / prediction of the medians over the frames.

    ``error`` is the mean of abs(prediction / truth - 1); ``spread`` the ratio's standard
    deviation relative to its median, which is what drifts from frame to frame.
    """
    ratios = np.array(_column(records, name, 'median_ratio'))
    ratios = ratios[np.isfinite(ratios) & (ratios > 0)]
    if not ratios.size:
        return {'median_ratio': math.nan, 'spread': math.nan, 'error': math.nan}
    median = float(np.median(ratios))
    return {
        'median_ratio': median,
        'spread': float(np.std(ratios / median)),
        'error': float(np.mean(np.abs(1 / ratios - 1))),
    }


def _summarise_latency(seconds: Sequence[float | None]) -> dict[str, float]:
    known = [value * 1e3 for value in seconds if value is not None]
    if not known:
        return {}
    p50, p95 = np.percentile(known, [50, 95])
    return {
        'p50_ms': float(p50),
        'p95_ms': float(p95),
        'max_ms': max(known),
        'images_per_second': 1e3 / float(np.mean(known)),
    }


def write_json(values: Mapping[str, Any], path: Path) -> None:
    """Write JSON with null in place of NaN, which JSON does not know."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(_finite(values), indent=1) + '\n')


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def parse_limits(limits: Sequence[str]) -> dict[str, float]:
    """Read limits such as ``abs_rel=0.2``; raises EvaluationError for an unknown metric."""
    parsed = {}
    for limit in limits:
        metric, _, number = limit.partition('=')
        try:
            parsed[metric] = float(number)
        except ValueError:
            metric = ''
        if metric not in (*ERRORS, 'coverage') or math.isnan(parsed[metric]):
            raise EvaluationError(
                f'found the limit {limit!r}, expected METRIC=NUMBER with one of '
                f'{", ".join((*ERRORS, "coverage"))}'
            )
    return parsed


def broken_limits(summary: Mapping[str, Any], limits: Mapping[str, float]) -> list[str]:
    """Say which limits the first model breaks, a sentence each.

    A limit is the highest error allowed, for the deltas and coverage the lowest share.
    """
    name, model = next(iter(summary['models'].items()))
    broken = []
    for metric, limit in limits.items():
        mean = model['mean'][metric]['mean']
        bad = mean < limit if metric in HIGHER_IS_BETTER else mean > limit
        if bad or math.isnan(mean):
            wanted = 'at least' if metric in HIGHER_IS_BETTER else 'at most'
            broken.append(f'{name} has {metric} {mean:.4f}, {wanted} {limit:g} was asked for')
    return broken
