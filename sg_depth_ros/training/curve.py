# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the errors of the validations fell: a table and a picture in the folder of a training."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import lightning as L

from sg_depth_ros.files import atomic_path

STEP = 'step'
Row = Mapping[str, float]
_PREFIX = 'val/'
_TABLE = 'validation.csv'


class ValidationCurve(L.Callback):
    """Writes ``validation.csv``, a row a validation, and ``validation.png`` after each.

    :param metric: what the picture shows, by the name that it is logged by
    """

    def __init__(self, folder: Path, metric: str) -> None:
        self._folder, self._metric = folder, metric.removeprefix(_PREFIX)
        self._rows: list[Row] = []

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Go on from what was measured before a resumed training was cut off."""
        # Not from the checkpoint, which was written before the validation of its step.
        rows = read_curve(self._folder)
        self._rows = [row for row in rows if row[STEP] <= trainer.global_step]

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Add what was measured."""
        measured = {
            name.removeprefix(_PREFIX): float(value)
            for name, value in trainer.callback_metrics.items()
            if name.startswith(_PREFIX)
        }
        if trainer.is_global_zero and not trainer.sanity_checking:
            self._rows.append({STEP: trainer.global_step, **measured})
            write_curve(self._rows, self._metric, self._folder)


def read_curve(folder: Path) -> list[Row]:
    """Read the rows of ``validation.csv``, of which there are none where there is no such file."""
    path = folder / _TABLE
    if not path.exists():
        return []
    with path.open(newline='') as file:
        return [{name: float(x) for name, x in row.items()} for row in csv.DictReader(file)]


def write_curve(rows: Sequence[Row], metric: str, folder: Path) -> None:
    """Write ``validation.csv`` of all, and ``validation.png`` of one metric over the steps."""
    with atomic_path(folder / _TABLE) as temporary, temporary.open('w') as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)
    # Slow to import, and not before the first validation.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3), layout='constrained')
    axes = figure.add_subplot(xlabel=STEP, ylabel=metric)
    axes.plot([row[STEP] for row in rows], [row[metric] for row in rows], marker='.')
    axes.grid(alpha=0.3)
    with atomic_path(folder / 'validation.png') as temporary:
        figure.savefig(temporary, dpi=150)
