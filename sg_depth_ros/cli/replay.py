# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Commands of ``sg_depth`` that run the node; each imports what it works with when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from sg_depth_ros.cli.shared import (
    DEFAULT_BUNDLE,
    BundleOption,
    EngineOption,
    OutOption,
    progress_bar,
)


def replay(
    bag: Annotated[Path, typer.Argument(help='A rosbag2 folder, or an .mcap or .db3 file.')],
    out: OutOption,
    bundle: BundleOption = DEFAULT_BUNDLE,
    engine: EngineOption = 'auto',
    rate: Annotated[
        float, typer.Option(min=0, help='Speed; 0 sends one frame when the last is done.')
    ] = 1.0,
    record: Annotated[
        Path | None, typer.Option(help='Keep all that the node publishes as this new bag.')
    ] = None,
    image_topic: Annotated[
        str | None, typer.Option(help='Which images, where the bag has several cameras.')
    ] = None,
    scale: Annotated[
        str, typer.Option(help='The parameter scale.mode: none, camera_height or odometry.')
    ] = 'none',
    camera_height: Annotated[
        float, typer.Option(min=0, help='Metres over the road, for --scale camera_height.')
    ] = 0.0,
) -> None:
    """Play a bag through the running node over DDS.

    Writes summary.json, depth.mp4, depth.png, cloud.ply, cloud.png and node.log.
    """
    from sg_depth_ros.replay.player import ReplayOptions
    from sg_depth_ros.replay.report import replay_into

    with progress_bar() as bar:
        task = bar.add_task('replay', total=None, note='')
        summary = replay_into(
            bag,
            out,
            ReplayOptions(bundle, engine, rate, image_topic, scale, camera_height),
            record,
            lambda done, total, note: bar.update(task, completed=done, total=total, note=note),
        )
    print_summary(summary)


def demo(
    out: OutOption = Path('out/demo'),
    bundle: BundleOption = DEFAULT_BUNDLE,
    engine: EngineOption = 'auto',
    frames: Annotated[int, typer.Option(min=2, help='How many frames to drive.')] = 60,
    seed: Annotated[int, typer.Option(help='Another seed is another street.')] = 0,
) -> None:
    """Drive through a synthetic street, replay it, and measure depth against the exact truth.

    Writes what replay writes, the bag, and errors.json.
    """
    from sg_depth_ros.demos.demo import run_demo

    with progress_bar() as bar:
        task = bar.add_task('demo', total=None, note='')
        summary, errors = run_demo(
            out,
            bundle,
            engine,
            frames,
            seed,
            lambda done, total, note: bar.update(task, completed=done, total=total, note=note),
        )
    print_summary(summary)
    table = Table(title='Errors against exact depth (median scaling)')
    for name in errors:
        table.add_column(name, justify='right')
    table.add_row(*(f'{value:.3f}' for value in errors.values()))
    Console().print(table)
    Console().print(f'Look at {out}/depth.png, {out}/cloud.png and {out}/depth.mp4')


def print_summary(summary: dict[str, Any]) -> None:
    """Show the numbers of a replay as a table."""
    table = Table(show_header=False)
    for name, value in summary.items():
        if isinstance(value, dict):
            value = ', '.join(f'{key} {number}' for key, number in value.items())
        table.add_row(name, str(value))
    Console().print(table)
