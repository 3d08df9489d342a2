# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What commands share: options, sizes, the progress bar and the table of a replay."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    track,
)
from rich.table import Table

BundleOption = Annotated[
    str, typer.Option(help='Model bundle: a folder, or the name of an installed one.')
]
EngineOption = Annotated[
    str, typer.Option(help='auto, tensorrt, tensorrt_rtx, openvino or onnxruntime.')
]
OutOption = Annotated[Path, typer.Option(help='Where to write.')]
DEFAULT_BUNDLE = 'sg_depth_small'


class PrecisionChoice(str, Enum):
    """What networks compute in."""

    FP32 = 'fp32'
    FP16 = 'fp16'
    INT8 = 'int8'


def progress_bar() -> Progress:
    """Give a bar with counts and the time that is left."""
    return Progress(
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn('{task.fields[note]}', markup=False),
        # Bound to this output, the bar stays where a library's printing is turned away.
        console=Console(file=sys.stdout),
    )


@contextmanager
def training_output() -> Iterator[None]:
    """Show here how far the training's long work is, and what it has to say."""
    from sg_depth_ros.training.progress import shown_by

    def say(line: str) -> None:
        print(line, flush=True)

    def open_bar(title: str, total: int, done: int) -> _TerminalBar | None:
        return _TerminalBar(title, total, done) if sys.stdout.isatty() else None

    with shown_by(lambda items, title: track(items, title, transient=True), say, open_bar):
        yield


class _TerminalBar:
    """A bar in a terminal; what is printed meanwhile appears above it."""

    def __init__(self, title: str, total: int, done: int) -> None:
        self._progress = progress_bar()
        self._task = self._progress.add_task(title, total=total, completed=done, note='')
        self._progress.start()

    def update(self, done: int, note: str) -> None:
        self._progress.update(self._task, completed=done, note=note)

    def close(self) -> None:
        self._progress.stop()


def parse_size(text: str) -> tuple[int, int]:
    """Read a size such as ``640x192`` (width x height); raises ValueError."""
    try:
        width, height = (int(part) for part in text.lower().split('x'))
    except ValueError:
        raise ValueError(f'a size is WIDTHxHEIGHT such as 640x192, found {text!r}') from None
    if width < 1 or height < 1:
        raise ValueError(f'a size must be positive, found {text!r}')
    return width, height


def print_summary(summary: dict[str, Any]) -> None:
    """Show the numbers of a replay as a table; reasons and notes come below it."""
    table = Table(show_header=False)
    console = plain_console()
    for name, value in summary.items():
        if name in ('lost', 'notes') or value in (None, False, ''):
            continue
        if isinstance(value, dict):
            value = ', '.join(f'{key} {number}' for key, number in value.items())
        table.add_row(name, str(value))
    console.print(table)
    lost = summary['lost']
    if lost:
        console.print(f'{sum(lost.values())} of {summary["frames"]} frames have no depth:')
        console.print(*(f'  {count} {reason}' for reason, count in lost.items()), sep='\n')
    for note in summary['notes']:
        console.print(f'warning: {note}')


def plain_console() -> Console:
    """Give a console that shows text as it is: paths and names may hold brackets."""
    return Console(markup=False, highlight=False)
