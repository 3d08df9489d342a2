# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sg_depth demo``: the whole way on one machine, measured against exact depth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from sg_depth_ros.cli.shared import (
    DEFAULT_BUNDLE,
    BundleOption,
    EngineOption,
    OutOption,
    plain_console,
    print_summary,
    progress_bar,
)


def demo(
    out: OutOption = Path('out/demo'),
    bundle: BundleOption = DEFAULT_BUNDLE,
    engine: EngineOption = 'auto',
    frames: Annotated[int, typer.Option(min=2, help='How many frames to drive.')] = 60,
    seed: Annotated[int, typer.Option(help='Another seed is another street.')] = 0,
) -> None:
    """Drive through a synthetic street, replay it, and measure depth against the exact truth.

    Writes what replay writes, the bag, and errors.json. Without ROS 2 the estimator works alone.
    """
    from sg_depth_ros.ros.presence import ros_problem

    if problem := ros_problem():
        from sg_depth_ros.demos.without_node import run_without_node as run
    else:
        from sg_depth_ros.demos.demo import run_demo as run

    with progress_bar() as bar:
        task = bar.add_task('demo', total=None, note='')
        summary, errors = run(
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
    cloud = 'cloud.ply' if problem else 'cloud.png'
    console = plain_console()
    console.print(table)
    console.print(f'Look at {out}/depth.png, {out}/{cloud} and {out}/depth.mp4')
    if problem:
        console.print(f'There is no ROS 2 here, so the estimator worked alone: {problem}')
