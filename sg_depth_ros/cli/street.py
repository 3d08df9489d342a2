# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sg_depth street``: writes a synthetic drive."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from sg_depth_ros.cli.shared import OutOption, parse_size, progress_bar


class Storage(str, Enum):
    """How a bag is stored, or ``folder`` for images and files."""

    FOLDER = 'folder'
    MCAP = 'mcap'
    SQLITE3 = 'sqlite3'


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
