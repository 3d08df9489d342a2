# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sg_depth filter``: two-stage training's list of images without infinite depth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sg_depth_ros.cli.shared import training_output


@training_output()
def filter_data(
    checkpoint: Annotated[Path, typer.Option(help='Networks of the first stage (.pt).')],
    data: Annotated[
        str,
        typer.Option(help='Configuration of a depth training, a bag, a video or a folder.'),
    ],
    out: Annotated[Path, typer.Option(help='Where to write the list of kept frames.')],
    report: Annotated[Path, typer.Option(help='Folder for verdicts and pictures.')],
    pixels: Annotated[
        int | None, typer.Option(help='More pixels under the ground drop an image.  [10]')
    ] = None,
    metres: Annotated[
        float | None, typer.Option(help='How far under the ground they are.  [3.3]')
    ] = None,
    camera_height: Annotated[
        float | None, typer.Option(help='Metres, to compare relative depth with.  [1.65]')
    ] = None,
    max_distance: Annotated[
        float | None, typer.Option(help='Metres beyond which nothing is counted.  [40]')
    ] = None,
) -> None:
    """Drop images whose depth is infinite somewhere under the horizon (two-stage training)."""
    from sg_depth_ros.training.data.union import source_of_path
    from sg_depth_ros.training.depth_settings import DepthSettings, FilterSettings
    from sg_depth_ros.training.settings import load_settings
    from sg_depth_ros.training.two_stage import filter_frames

    settings = FilterSettings()
    if data.endswith(('.yaml', '.yml')):
        loaded = load_settings(DepthSettings, data)
        sources, settings = loaded.sources, loaded.filter
    else:
        sources = [source_of_path(Path(data))]
    given = {
        'pixels': pixels,
        'metres': metres,
        'camera_height': camera_height,
        'max_distance': max_distance,
    }
    changes = {key: value for key, value in given.items() if value is not None}
    settings = FilterSettings(**{**settings.model_dump(), **changes})
    counts = filter_frames(checkpoint, sources, settings, out, report)
    for reason, count in counts.most_common():
        typer.echo(f'{count:6d} {reason}')
    typer.echo(f'kept frames: {out}; verdicts and pictures: {report}')
