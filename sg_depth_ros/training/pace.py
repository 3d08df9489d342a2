# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How far a training is, how fast, and how long it takes: a bar, or lines without a terminal."""

from __future__ import annotations

import time
from typing import Any

import lightning as L
import torch
from torch import Tensor

from sg_depth_ros.training.progress import Bar, open_bar, say

_SETTLED = 3
"""Steps that are left out of the first estimate: memory is found and the data's workers start."""
_ESTIMATED_AFTER = 20.0
"""Seconds after which the whole time is estimated."""


def duration(seconds: float) -> str:
    """Write a time such as ``2 d 03:05`` (days, hours and minutes) or ``04:31:08``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f'{hours:02}:{minutes:02}:{rest:02}'
    return f'{hours // 24} d {hours % 24:02}:{minutes:02}'


class ShowPace(L.Callback):
    """Shows step, loss, images a second, the data's share of the time, and the time left.

    The data's share is how long the steps have waited for their samples. It goes to TensorBoard
    too. What validations take counts in the time left alone.

    :param batch: samples of a step, in all processes together
    :param every: seconds between lines, where there is no bar
    :param where: what the first estimate adds: where to look
    """

    def __init__(self, batch: int, every: float, where: str) -> None:
        self._batch, self._every, self._where = batch, every, where
        self._bar: Bar | None = None
        self._loss: Tensor = torch.zeros(())

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock and the bar."""
        self._begun, self._first = time.monotonic(), trainer.global_step
        self._ended: float | None = None
        self._estimated = False
        self._pace: list[float] = []
        self._clear(self._begun)
        if trainer.is_global_zero and trainer.global_step < trainer.max_steps:
            self._bar = open_bar('Training', trainer.max_steps, trainer.global_step)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Take the time that the data took."""
        self._started = time.monotonic()
        if self._ended is not None:
            self._waited += self._started - self._ended

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Count the step, and say a line now and then."""
        now = time.monotonic()
        before = self._started if self._ended is None else self._ended
        self._busy += now - before
        if not self._estimated:
            self._pace.append(now - before)
        self._ended = now
        loss = outputs['loss'] if isinstance(outputs, dict) else outputs
        self._steps += 1
        # Not as a number yet, for which a GPU would have to be waited for.
        self._loss = self._loss + loss.detach()
        if not trainer.is_global_zero:
            return
        self._estimate(trainer, now)
        first = trainer.global_step - self._first == 1
        last = trainer.global_step >= trainer.max_steps
        every = 1.0 if self._bar else self._every
        if first or last or now - self._said >= every:
            self._say(trainer, now)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leave the validation out of the pace."""
        self._ended = None

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Leave the writing out of the pace."""
        self._ended = None

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Take the bar away."""
        self._close()

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        """Take the bar away."""
        self._close()

    def _clear(self, now: float) -> None:
        self._said, self._steps = now, 0
        self._waited = self._busy = 0.0
        self._loss = torch.zeros(())

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _estimate(self, trainer: L.Trainer, now: float) -> None:
        """Say once how long it will all take."""
        settled = self._pace[_SETTLED:]
        if self._estimated or not settled or sum(settled) < _ESTIMATED_AFTER:
            return
        self._estimated = True
        pace, left = sum(settled) / len(settled), trainer.max_steps - trainer.global_step
        say(
            f'at {pace:.2g} s a step on this machine the {left} steps that are left take about '
            f'{pace * left / 3600:.2g} hours, validations not counted; {self._where}'
        )

    def _say(self, trainer: L.Trainer, now: float) -> None:
        step, steps = trainer.global_step, trainer.max_steps
        loss, busy = float(self._loss) / self._steps, max(self._busy, 1e-9)
        images, waited = self._batch * self._steps / busy, self._waited / busy
        left = duration((now - self._begun) / (step - self._first) * (steps - step))
        if self._bar is not None:
            self._bar.update(step, f'loss {loss:.4f}, {images:.3g} images/s, data {waited:.0%}')
        else:
            say(
                f'step {step}/{steps} ({step / steps:.1%}), loss {loss:.4f}, {images:.3g} '
                f'images/s, data {waited:.0%} of the time, {left} left'
            )
        if trainer.logger is not None:
            trainer.logger.log_metrics(
                {'speed/images_per_second': images, 'speed/share_of_time_for_data': waited}, step
            )
        self._clear(now)
