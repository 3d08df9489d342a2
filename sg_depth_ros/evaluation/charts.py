# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Charts of a run as SVG text that fits a light and a dark page."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from itertools import cycle, pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sg_depth_ros.evaluation.summary import low_edge

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TEXT_COLOR = '#010203'
"""Replaced by the colour of the page's text in the SVG."""
COLORS = (
    *('#3b82c4', '#e08a2e', '#7a8793', '#4f9d5d', '#b0568c', '#8a6fc4', '#c94f4f', '#2fa5a0'),
    *('#a3a336', '#8b5e3c'),
)
STYLE: dict[str, Any] = {
    'font.family': 'sans-serif',
    'font.size': 9,
    'svg.fonttype': 'none',
    'svg.hashsalt': 'sg_depth',
    'text.color': TEXT_COLOR,
    'axes.edgecolor': TEXT_COLOR,
    'axes.labelcolor': TEXT_COLOR,
    'xtick.color': TEXT_COLOR,
    'ytick.color': TEXT_COLOR,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.linewidth': 0.6,
    'axes.axisbelow': True,
    'grid.alpha': 0.15,
    'grid.color': TEXT_COLOR,
    'legend.frameon': False,
}


def make_charts(
    summary: Mapping[str, Any], records: Sequence[Mapping[str, Any]]
) -> dict[str, str]:
    """Give SVG by title: error over distance, per class, over time, and scale over time."""
    import matplotlib as mpl

    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        charts = {
            'Error over distance': _over_distance(summary),
            'Error over time': _over_time(summary, records, 'abs_rel', 'AbsRel'),
            'Scale over time': _over_time(
                summary, records, 'median_ratio', 'median truth / median prediction'
            ),
        }
        if any(model['classes'] for model in summary['models'].values()):
            charts['Error per class'] = _per_class(summary)
    return charts


def _axes(height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.2, height), layout='constrained')
    return figure, figure.add_subplot()


def _svg(figure: Figure, axes: Axes, grid: Literal['x', 'y']) -> str:
    axes.grid(axis=grid)
    figure.legend(loc='outside upper center', ncols=3)
    buffer = io.StringIO()
    figure.savefig(buffer, format='svg', transparent=True, metadata={'Date': None})
    text = buffer.getvalue()
    # An XML prologue has no place inside HTML.
    return text[text.index('<svg') :].replace(TEXT_COLOR, 'currentColor')


def _plain(name: str) -> str:
    """Let matplotlib show a name as it is: neither a formula nor, with a leading _, nothing."""
    text = name.replace('$', r'\$')
    return f'\u200b{text}' if text.startswith('_') else text


def _over_distance(summary: Mapping[str, Any]) -> str:
    figure, axes = _axes(3.0)
    models = {name: model['distances'] for name, model in summary['models'].items()}
    found = {key for distances in models.values() for key in distances}
    bins = sorted(found, key=low_edge)
    for color, (name, distances) in zip(cycle(COLORS), models.items(), strict=False):
        values = [distances.get(key, {}).get('abs_rel', np.nan) for key in bins]
        axes.plot(bins, values, 'o-', color=color, label=_plain(name))
    axes.set_xlabel('true depth, m')
    axes.set_ylabel('AbsRel')
    axes.set_ylim(bottom=0)
    return _svg(figure, axes, 'y')


def _per_class(summary: Mapping[str, Any]) -> str:
    models = {name: m['classes'] for name, m in summary['models'].items()}
    labels = list(dict.fromkeys(label for classes in models.values() for label in classes))
    figure, axes = _axes(0.9 + 0.26 * len(labels))
    thickness = 0.8 / len(models)
    for i, (color, (name, classes)) in enumerate(zip(cycle(COLORS), models.items(), strict=False)):
        values = [classes.get(label, {}).get('abs_rel', np.nan) for label in labels]
        rows = np.arange(len(labels)) + (i - (len(models) - 1) / 2) * thickness
        axes.barh(rows, values, thickness, color=color, label=_plain(name))
    axes.set_yticks(np.arange(len(labels)), [_plain(label) for label in labels])
    axes.invert_yaxis()
    axes.set_xlabel('AbsRel')
    return _svg(figure, axes, 'x')


def _over_time(
    summary: Mapping[str, Any], records: Sequence[Mapping[str, Any]], metric: str, title: str
) -> str:
    figure, axes = _axes(3.0)
    stamps = [record['stamp'] for record in records]
    timed = None not in stamps and all(early < late for early, late in pairwise(stamps))
    x = [stamp - stamps[0] for stamp in stamps] if timed else range(len(records))
    for color, name in zip(cycle(COLORS), summary['models'], strict=False):
        values = [record['models'][name]['all'][metric] for record in records]
        axes.plot(x, np.array(values, float), color=color, label=_plain(name), linewidth=1.2)
    axes.set_xlabel('time, s' if timed else 'frame')
    axes.set_ylabel(title)
    axes.set_ylim(bottom=0)
    return _svg(figure, axes, 'y')
