# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sg_depth export``: a checkpoint becomes a model bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from sg_depth_ros.cli.shared import parse_size


def export(
    checkpoint: Annotated[Path, typer.Argument(help='A checkpoint that training has written.')],
    out: Annotated[Path, typer.Option(help='The new bundle, such as models/NAME.')],
    size: Annotated[
        str | None, typer.Option(help='WIDTHxHEIGHT of the network; else that of the training.')
    ] = None,
    precision: Annotated[
        Literal['fp32', 'fp16'], typer.Option(help='fp16 halves the files; for GPUs.')
    ] = 'fp32',
    licence: Annotated[
        str | None,
        typer.Option(help='Of the weights (SPDX); else that of those which training began from.'),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help='Also write its networks here, halved, to train on from.')
    ] = None,
) -> None:
    """Export a checkpoint as a model bundle; fails where its graphs do not answer as torch."""
    from sg_depth_ros.export import export_checkpoint

    pixels = parse_size(size) if size else None
    bundle = export_checkpoint(
        checkpoint, out, size=pixels, licence=licence, precision=precision, weights=weights
    )
    Console(markup=False).print(
        f'{bundle.path} is written and answers as torch does', highlight=False
    )
    if weights is not None:
        Console(markup=False).print(f'{weights} is written', highlight=False)
