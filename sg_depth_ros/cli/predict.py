# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Commands of ``sg_depth`` that need no ROS; each imports what it works with when it runs."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

BundleOption = Annotated[
    str, typer.Option(help='Model bundle: a folder, or the name of an installed one.')
]
EngineOption = Annotated[
    str, typer.Option(help='auto, tensorrt, tensorrt_rtx, openvino or onnxruntime.')
]
OutOption = Annotated[Path, typer.Option(help='Where to write.')]
DEFAULT_BUNDLE = 'sg_depth_small'


class DepthFormat(str, Enum):
    """How depth is written."""

    PNG16 = 'png16'
    NPY = 'npy'
    PLY = 'ply'


class PrecisionChoice(str, Enum):
    """What networks compute in."""

    FP32 = 'fp32'
    FP16 = 'fp16'
    INT8 = 'int8'


class Storage(str, Enum):
    """How a bag is stored, or ``folder`` for images and files."""

    FOLDER = 'folder'
    MCAP = 'mcap'
    SQLITE3 = 'sqlite3'


def progress_bar() -> Progress:
    """Give a bar with counts and the time that is left."""
    return Progress(
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn('{task.fields[note]}'),
        # Bound to this output, the bar stays where a library's printing is turned away.
        console=Console(file=sys.stdout),
    )


def parse_size(text: str) -> tuple[int, int]:
    """Read a size such as ``640x192`` (width x height); raises ValueError."""
    try:
        width, height = (int(part) for part in text.lower().split('x'))
    except ValueError:
        raise ValueError(f'a size is WIDTHxHEIGHT such as 640x192, found {text!r}') from None
    if width < 1 or height < 1:
        raise ValueError(f'a size must be positive, found {text!r}')
    return width, height


def predict(
    path: Annotated[Path, typer.Argument(help='An image, a folder of images, or a video.')],
    out: OutOption,
    bundle: BundleOption = DEFAULT_BUNDLE,
    engine: EngineOption = 'auto',
    camera: Annotated[
        Path | None,
        typer.Option(help='Intrinsics: JSON with width, height, fx, fy, cx, cy.'),
    ] = None,
    depth_format: Annotated[
        DepthFormat,
        typer.Option('--format', help='png16: depth * 256; npy: float32; ply: points.'),
    ] = DepthFormat.PNG16,
) -> None:
    """Estimate depth without ROS: depth at image size and a colour picture of each image."""
    from sg_depth_ros.geometry.camera import PinholeCamera
    from sg_depth_ros.estimator import Estimator
    from sg_depth_ros.predict import predict_path

    intrinsics = PinholeCamera.from_json(camera) if camera else None
    estimator = Estimator.load(bundle, engine)
    with progress_bar() as bar:
        task = bar.add_task('predict', total=None, note='')
        report = predict_path(
            path,
            out,
            estimator,
            intrinsics,
            depth_format.value,
            lambda done, total: bar.update(task, completed=done, total=total or None),
        )
    estimator.close()
    console = Console(markup=False)
    console.print(f'{report.written} images written to {out}', highlight=False)
    if report.skipped:
        console.print(f'{len(report.skipped)} skipped:', *report.skipped, sep='\n  ')


def street(
    out: OutOption,
    frames: Annotated[int, typer.Option(min=1, help='How many frames.')] = 100,
    size: Annotated[str, typer.Option(help='WIDTHxHEIGHT in pixels.')] = '640x192',
    fps: Annotated[float, typer.Option(min=0.1, help='Frames in a second.')] = 10.0,
    seed: Annotated[int, typer.Option(help='Another seed is another street.')] = 0,
    storage: Annotated[
        Storage, typer.Option('--as', help='A folder of images, or a bag.')
    ] = Storage.FOLDER,
) -> None:
    """Write a drive through a synthetic street with exact depth, labels and motion."""
    from sg_depth_ros.synthetic import drive, street_camera, write_bag, write_folder

    camera = street_camera(*parse_size(size))
    with progress_bar() as bar:
        task = bar.add_task('street', total=frames, note='')
        drawn = bar.track(drive(camera, frames, seed, fps=fps), frames, task_id=task)
        if storage is Storage.FOLDER:
            write_folder(out, drawn)
        else:
            write_bag(out, drawn, storage.value)


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
