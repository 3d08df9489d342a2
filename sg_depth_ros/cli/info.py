# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sg_depth info``: checks a model bundle and shows it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table


def info(
    bundle: Annotated[str, typer.Argument(help='A folder, or the name of an installed bundle.')],
) -> None:
    """Check a model bundle (manifest and file hashes) and show what it holds."""
    from sg_depth_ros.bundle import load_bundle

    loaded = load_bundle(bundle)
    manifest = loaded.manifest
    unit = 'm' if manifest.depth.scale == 'metric' else 'relative units'
    table = Table(title=f'{manifest.name}: {manifest.description}', show_header=False)
    for row in (
        ('path', str(loaded.path)),
        ('licence', manifest.licence),
        ('input', f'{manifest.input.width} x {manifest.input.height} RGB'),
        ('labels', ', '.join(label.name for label in manifest.labels)),
        ('depth', f'{manifest.depth.min:g} to {manifest.depth.max:g} {unit}'),
        ('training focal length', f'{manifest.depth.training_focal_length:g} px'),
        ('precision', manifest.precision),
        *((f'provenance: {key}', str(value)) for key, value in manifest.provenance.items()),
        *(
            (
                f'{metric.dataset} ({metric.protocol}, {metric.scaling} scaling)',
                ', '.join(f'{name} {value:.3f}' for name, value in metric.values.items()),
            )
            for metric in manifest.metrics
        ),
        ('files', 'hashes are right'),
    ):
        table.add_row(*row)
    Console(markup=False).print(table)
