# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sg_depth import``: a published network becomes a bundle, and weights to train on from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from sg_depth_ros.cli.shared import DEFAULT_BUNDLE, parse_size


def import_published(
    checkpoint: Annotated[
        Path,
        typer.Argument(help='As published: a .ckpt of packnet-sfm, a folder of monodepth2.'),
    ],
    out: Annotated[Path, typer.Option(help='The new bundle, such as models/NAME.')],
    segmentation: Annotated[
        str, typer.Option(help='Gives the labels: a checkpoint, or the name of a shipped one.')
    ] = DEFAULT_BUNDLE,
    size: Annotated[
        str | None, typer.Option(help='WIDTHxHEIGHT of its training, where it does not say.')
    ] = None,
    focal_length: Annotated[
        float | None,
        typer.Option(min=1, help='Of its training camera, in pixels at the width of the size.'),
    ] = None,
    metric: Annotated[
        bool, typer.Option('--metric', help='Its depth is in metres, though it does not say so.')
    ] = False,
    licence: Annotated[
        str | None, typer.Option(help='Of its weights (SPDX), where none is known.')
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help='The weights, to train on from.  [OUT.pt]')
    ] = None,
) -> None:
    """Make a bundle of a published depth network; nothing in its files is run as code."""
    from sg_depth_ros.imports.kind import ImportOptions
    from sg_depth_ros.imports.table import import_network

    options = ImportOptions(
        segmentation,
        parse_size(size) if size else None,
        focal_length,
        metric,
        licence,
        weights,
    )
    bundle, notes = import_network(checkpoint, out, options)
    console = Console(markup=False)
    unit = 'metres' if bundle.manifest.depth.scale == 'metric' else 'a unit that nobody knows'
    console.print(
        f'{bundle.path} is written and answers as torch does; its depth is in {unit}, its licence '
        f'{bundle.manifest.licence}',
        highlight=False,
        soft_wrap=True,
    )
    for note in notes:
        console.print(note, highlight=False, soft_wrap=True)
