# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The model card of a bundle, written from its manifest so that the two cannot disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

_CARD = """\
# {name}

{description}

Licence: {licence}. Precision: {precision}.

## What it computes

From one RGB image, stretched to {width}x{height} pixels: depth along the optical axis in
{unit}, between {depth_min:g} and {depth_max:g}, and one of {count} labels for each pixel.
Depth holds for a camera with a focal length of {focal:.1f} pixels at a width of {width}; for other
cameras the estimator corrects it by the focal length.

{labels}

## How it was made

{provenance}

## Measured errors

{metrics}
{failures}
## Limits

- {scale_limit}
- Made for rectified images of a forward-looking camera on a road vehicle; other views, lenses
  without rectification, night, rain and snow are outside of what it was measured on.
- Glass, mirrors, wet roads, thin structures and the edges of objects get wrong depth; objects that
  move as fast as the camera may look too far away.
- Not for use as the only sensor where people could come to harm.
"""

_LIMITS = {
    'relative': 'Depth is known up to one factor: it is not in metres until a scale is applied.',
    'metric': 'Metres are those of the training data; check them on the camera in use.',
}


_FAILURES = """
## Where it fails

![Images with the greatest errors]({file})

The images of the street with the greatest errors. Depth: red is near, blue far; error: blue is
none, red half of the true depth and more.
"""


def render_card(manifest: Mapping[str, Any], failures: str | None = None) -> str:
    """Give the Markdown text for a manifest of plain values (see ``sg_depth_ros.bundle``).

    :param failures: file beside the card with pictures of images with great errors
    """
    depth, size = manifest['depth'], manifest['input']
    metric = depth['scale'] == 'metric'
    labels = ', '.join(label['name'] for label in manifest['labels'])
    return _CARD.format(
        name=manifest['name'],
        description=manifest['description'],
        licence=manifest['licence'],
        precision=manifest['precision'],
        width=size['width'],
        height=size['height'],
        unit='metres' if metric else 'relative units',
        depth_min=depth['min'],
        depth_max=depth['max'],
        count=len(manifest['labels']),
        labels=fill(f'Labels: {labels}.', 99),
        focal=depth['training_focal_length'],
        provenance=_provenance(manifest['provenance']),
        metrics=_metrics(manifest['metrics']),
        failures=_FAILURES.format(file=failures) if failures else '',
        scale_limit=_LIMITS[depth['scale']],
    )


def _provenance(provenance: Mapping[str, Any]) -> str:
    lines = []
    for key, value in provenance.items():
        text = ', '.join(str(item) for item in value) if isinstance(value, list) else str(value)
        lines.append(f'- {key.replace("_", " ")}: {text}')
    return '\n'.join(lines) or 'No record was kept.'


def _metrics(metrics: Sequence[Mapping[str, Any]]) -> str:
    """One table: a row for each measurement, a column for each value that any of them has."""
    if not metrics:
        return 'None yet.'
    names = list(dict.fromkeys(name for metric in metrics for name in metric['values']))
    rows = [['dataset', 'protocol', 'scaling', *names], ['---'] * (3 + len(names))]
    for metric in metrics:
        values = [f'{metric["values"][n]:.4g}' if n in metric['values'] else '' for n in names]
        rows.append([metric['dataset'], metric['protocol'], metric['scaling'], *values])
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)
