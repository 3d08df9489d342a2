# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sg_depth predict``: depth of files, without ROS."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from sg_depth_ros.cli.shared import (
    DEFAULT_BUNDLE,
    BundleOption,
    EngineOption,
    OutOption,
    progress_bar,
)


class DepthFormat(str, Enum):
    """How depth is written."""

    PNG16 = 'png16'
    NPY = 'npy'
    PLY = 'ply'


def predict(
    path: Annotated[Path, typer.Argument(help='An image, a folder of images, or a video.')],
    out: OutOption,
    bundle: BundleOption = DEFAULT_BUNDLE,
    engine: EngineOption = 'auto',
    camera: Annotated[
        Path | None,
        typer.Option(
            help='Intrinsics of the upright image: JSON with width, height, fx, fy, cx, cy.'
        ),
    ] = None,
    depth_format: Annotated[
        DepthFormat,
        typer.Option('--format', help='png16: depth * 256; npy: float32; ply: points.'),
    ] = DepthFormat.PNG16,
) -> None:
    """Estimate depth without ROS: depth at image size and a colour picture of each image."""
    from sg_depth_ros.estimator import Estimator
    from sg_depth_ros.geometry.camera import PinholeCamera
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
    for note in report.notes:
        console.print(note, highlight=False, soft_wrap=True)
    if report.skipped:
        reasons = f'{len(report.skipped)} skipped:', *report.skipped
        console.print(*reasons, sep='\n  ', highlight=False, soft_wrap=True)
        raise typer.Exit(1)
