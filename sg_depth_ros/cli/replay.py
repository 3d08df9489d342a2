# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sg_depth replay``: plays a bag through the running node."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sg_depth_ros.cli.shared import (
    DEFAULT_BUNDLE,
    BundleOption,
    EngineOption,
    OutOption,
    print_summary,
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
    record_inputs: Annotated[
        bool,
        typer.Option(
            '--record-inputs',
            help='Keep images, camera_info and tf in it too: viewers then need no other.',
        ),
    ] = False,
    image_topic: Annotated[
        str | None, typer.Option(help='Which images, where the bag has several cameras.')
    ] = None,
    info_topic: Annotated[
        str | None, typer.Option(help='Their camera_info, where the bag has several.')
    ] = None,
    scale: Annotated[
        str, typer.Option(help='The parameter scale.mode: none, camera_height or odometry.')
    ] = 'none',
    camera_height: Annotated[
        float, typer.Option(min=0, help='Metres over the road, for --scale camera_height.')
    ] = 0.0,
    speed_topic: Annotated[
        str | None,
        typer.Option(help='Odometry or TwistStamped for --scale odometry, where it has several.'),
    ] = None,
) -> None:
    """Play a bag through the running node over DDS.

    Writes summary.json, depth.mp4, depth.png, cloud.ply, cloud.png, scale.png and node.log.
    """
    if record_inputs and record is None:
        raise typer.BadParameter('found no --record; name the new bag with it')
    from sg_depth_ros.replay.inputs import Choice
    from sg_depth_ros.replay.player import ReplayOptions
    from sg_depth_ros.replay.report import replay_into

    choice = Choice(image_topic, info_topic, speed_topic, scale, camera_height)
    with progress_bar() as bar:
        task = bar.add_task('replay', total=None, note='')
        summary = replay_into(
            bag,
            out,
            ReplayOptions(bundle, engine, rate, choice),
            record,
            lambda done, total, note: bar.update(task, completed=done, total=total, note=note),
            record_inputs=record_inputs,
        )
    print_summary(summary)
