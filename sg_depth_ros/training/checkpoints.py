# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The checkpoint that a training goes on from, written often enough to lose little."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint

from sg_depth_ros.training.stopping import Stopped, StopRequest

LAST = 'last.ckpt'
"""The checkpoint from which a training goes on."""
_LOOK = 10
"""Steps between looks at the clock, which several processes have to agree about."""


class WriteCheckpoint(Checkpoint):
    """Writes ``last.ckpt`` after validations, by the minute, when asked to end and at the end.

    After a validation, so that what was made of it (the best networks, a halved rate) is in it.

    :param every: steps between validations
    :param request: by which a training is asked to end
    """

    def __init__(self, folder: Path, minutes: float, every: int, request: StopRequest) -> None:
        self._request = request
        self.path, self._seconds, self._every = folder / LAST, minutes * 60, every
        self._written, self._step = 0.0, 0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock, and listen to signals, after Lightning has begun to."""
        self._written, self._step = time.monotonic(), trainer.global_step
        self._request.listen()

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Write it where it is time, or the process is asked to end."""
        step = trainer.global_step
        alone = trainer.world_size == 1
        if step % self._every == 0 or not (alone or step % _LOOK == 0):
            return
        # All processes write and end together: by the clock of one, and if any is asked to.
        asked = trainer.strategy.reduce_boolean_decision(self._request.asked, all=False)
        late = trainer.strategy.broadcast(time.monotonic() - self._written > self._seconds)
        if late or asked:
            self._write(trainer)
        if asked:
            self._stop()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write it."""
        self._write(trainer)
        if trainer.strategy.reduce_boolean_decision(self._request.asked, all=False):
            self._stop()

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the last step, where no validation did."""
        if trainer.global_step != self._step:
            self._write(trainer)

    def _stop(self) -> None:
        raise Stopped(f'stopped at step {self._step}; the same command goes on from there')

    def _write(self, trainer: L.Trainer) -> None:
        part = self.path.with_name(f'{LAST}.part')
        trainer.save_checkpoint(part)
        if trainer.is_global_zero:
            os.replace(part, self.path)
        self._written, self._step = time.monotonic(), trainer.global_step
