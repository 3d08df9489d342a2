# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The report: one HTML file that holds all it shows and opens from disk."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from sg_depth_ros import __version__
from sg_depth_ros.evaluation.frames import EvaluationError
from sg_depth_ros.evaluation.pictures import WORST_ERROR, jpeg
from sg_depth_ros.evaluation.summary import HIGHER_IS_BETTER
from sg_depth_ros.files import atomic_path
from sg_depth_ros.images.visualise import Rgb

REPORT = 'report.html'
COLUMNS = {
    'abs_rel': ('AbsRel', '', '↓'),
    'sq_rel': ('SqRel', ', m', '↓'),
    'rmse': ('RMSE', ', m', '↓'),
    'rmse_log': ('RMSElog', '', '↓'),
    'silog': ('SILog', '', '↓'),
    'delta1': ('δ<1.25', '', '↑'),
    'delta2': ('δ<1.25²', '', '↑'),
    'delta3': ('δ<1.25³', '', '↑'),
    'coverage': ('coverage', '', '↑'),
}
"""Title, unit and direction of each column."""


def write_report(
    path: Path,
    summary: Mapping[str, Any],
    records: Sequence[Mapping[str, Any]],
    pictures: Mapping[str, Mapping[str, Rgb]],
) -> None:
    """Write ``report.html``.

    :param summary: of :func:`summary.summarise`.
    :param records: of :func:`runner.run`.
    :param pictures: by title, by frame name; empty for a report without pictures.
    :raises EvaluationError: when jinja2 or matplotlib is not installed.
    """
    try:
        from jinja2 import Environment, StrictUndefined

        from sg_depth_ros.evaluation.charts import make_charts

        charts = make_charts(summary, records)
    except ModuleNotFoundError as error:
        raise EvaluationError(
            f'the report needs {error.name}: pip install "sg_depth_ros[report]"; the figures '
            'themselves are written'
        ) from error
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters.update(figure=format_figure, signed=format_signed, verdict=verdict)
    template = files(__package__).joinpath('templates/report.html.j2').read_text('utf-8')
    first = next(iter(summary['models']))
    html = environment.from_string(template).render(
        title=f'Depth errors on {summary["dataset"]}',
        version=__version__,
        summary=_with_empty_parts(summary),
        columns=COLUMNS,
        charts=charts,
        pictures={
            name: {title: _data_uri(picture) for title, picture in found.items()}
            for name, found in pictures.items()
        },
        worst_error=WORST_ERROR,
        frame_errors={r['name']: r['models'][first]['all']['abs_rel'] for r in records},
    )
    with atomic_path(path) as temporary:
        temporary.write_text(html, encoding='utf-8')


def _data_uri(picture: Rgb) -> str:
    return 'data:image/jpeg;base64,' + base64.b64encode(jpeg(picture)).decode('ascii')


def format_figure(value: float | None, digits: int = 3) -> str:
    """Write a figure; a dash where there is none."""
    return '–' if value is None or not math.isfinite(value) else f'{value:.{digits}f}'


def format_signed(value: float | None) -> str:
    """Write a difference with its sign."""
    return '–' if value is None or not math.isfinite(value) else f'{value:+.3f}'.replace('-', '−')


def verdict(interval: Mapping[str, float], metric: str) -> str:
    """Tell whether a difference is ``good`` or ``bad``, '' where its interval holds 0."""
    if interval['low'] <= 0 <= interval['high'] or math.isnan(interval['mean']):
        return ''
    return 'good' if (interval['mean'] > 0) == (metric in HIGHER_IS_BETTER) else 'bad'


def _with_empty_parts(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Let every model have all the parts that the table has columns for."""
    none = {'abs_rel': None}
    no_latency = dict.fromkeys(('p50_ms', 'p95_ms', 'images_per_second'))
    models = {
        name: {
            **model,
            'class_mean': model['class_mean'] or none,
            'parts': {'dynamic': none, 'edges': none, **model['parts']},
            'latency': model['latency'] or no_latency,
        }
        for name, model in summary['models'].items()
    }
    return {**summary, 'models': models}
