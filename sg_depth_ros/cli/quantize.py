# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sg_depth quantize``: a bundle in eight bits, as far as depth and labels bear it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from sg_depth_ros.cli.shared import progress_bar

if TYPE_CHECKING:
    from sg_depth_ros.quantization.search import Choice


def quantize(
    bundle: Annotated[str, typer.Argument(help='A float32 bundle: a folder or a name.')],
    calibrate: Annotated[
        Path, typer.Option(help='Frames like those to come: a bag, a folder of images, a video.')
    ],
    out: Annotated[
        Path | None, typer.Option(help='The new bundle; NAME_int8 if not given.')
    ] = None,
    frames: Annotated[int, typer.Option(min=4, help='Frames to calibrate and measure with.')] = 48,
    evaluate: Annotated[
        Path | None, typer.Option(help='A folder with truth, as for "evaluate folder".')
    ] = None,
    max_loss: Annotated[
        float, typer.Option(min=0, help='Largest loss, as a share, that is written.')
    ] = 0.03,
    force: Annotated[bool, typer.Option('--force', help='Write past it as well.')] = False,
) -> None:
    """Turn a bundle into eight bits; what costs too much depth or labels stays in float32."""
    from sg_depth_ros.bundle import load_bundle, manifest_values, require_free, write_bundle
    from sg_depth_ros.evaluation.sources.folder import FolderSource
    from sg_depth_ros.files import atomic_path
    from sg_depth_ros.quantization.calibration import (
        QuantizationError,
        read_frames,
        split_frames,
    )
    from sg_depth_ros.quantization.measure import change_of_abs_rel, speed_ratio
    from sg_depth_ros.quantization.search import Quantizer

    exact = load_bundle(bundle)
    manifest = exact.manifest
    if manifest.precision != 'fp32':
        raise QuantizationError(
            f'{exact.path} is in {manifest.precision}; give the fp32 bundle that it was made of'
        )
    out = out or Path(f'{manifest.name}_int8')
    require_free(out)
    truth = FolderSource(evaluate) if evaluate is not None else None
    images = read_frames(calibrate, frames, manifest.input.width, manifest.input.height)
    calibration, measured = split_frames(images)
    console = Console(markup=False)
    with progress_bar() as bar:
        task = bar.add_task('calibrate', total=2 * len(calibration), note='')
        quantizer = Quantizer(exact, calibration, measured, lambda: bar.advance(task))
        task = bar.add_task('measure parts', total=len(quantizer.parts), note='')
        choice = quantizer.search(max_loss, lambda: bar.advance(task))
    fields = {
        **manifest_values(manifest),
        'name': out.resolve().name,
        'precision': 'int8',
        # They were measured in float32.
        'metrics': [],
        'provenance': {
            **manifest.provenance,
            'quantised_from': f'{manifest.name} ({exact.digest[:12]})',
            'calibrated_with': f'{len(calibration)} frames of {calibrate.resolve().name}',
            'kept_in_fp32': choice.held,
        },
    }
    graphs = quantizer.graphs(choice.held)
    with atomic_path(out) as temporary:
        write_bundle(temporary, fields, *graphs)
        _print_parts(console, choice)
        console.print(
            f'against fp32 on {len(measured)} other frames: depth {choice.loss.depth:.2%}, labels '
            f'{1 - choice.loss.labels:.2%} equal',
            f'files: {_megabytes(temporary):.1f} MB, fp32 {_megabytes(exact.path):.1f} MB',
            f'speed on ONNX Runtime: {speed_ratio(exact.path, temporary, measured):.2f} of fp32',
            sep='\n',
            highlight=False,
        )
        loss, what = choice.loss.worst, 'depth or labels against fp32'
        if truth is not None:
            before, after = change_of_abs_rel(exact.path, temporary, truth)
            loss, what = after / before - 1, f'AbsRel on {truth.path.name}'
            console.print(f'{what}: fp32 {before:.4f}, int8 {after:.4f} ({loss:+.2%})')
        # Written so that a NaN is refused as well.
        if not loss <= max_loss and not force:
            raise QuantizationError(
                f'eight bits change {what} by {loss:.2%}, allowed are {max_loss:.2%}; nothing was '
                f'written: calibrate with more frames that are like those to come, allow more '
                f'with --max-loss, or write it all the same with --force'
            )
    console.print(f'{out} is written', highlight=False)


def _print_parts(console: Console, choice: Choice) -> None:
    table = Table(title='each part alone in eight bits, against fp32')
    table.add_column('part')
    for title in ('depth', 'labels', 'kept in'):
        table.add_column(title, justify='right')
    for part, loss in choice.alone.items():
        kept = 'fp32' if part in choice.held else 'int8'
        table.add_row(part, f'{loss.depth:.2%}', f'{loss.labels:.2%}', kept)
    console.print(table)


def _megabytes(bundle: Path) -> float:
    return sum(file.stat().st_size for file in bundle.glob('*.onnx')) / 1e6
