# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What happens around the steps of a training: networks written, pictures, progress, alarm."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from sg_depth_ros.bundle.labels import palette
from sg_depth_ros.images.visualise import colorize_depth, colorize_labels, depth_range
from sg_depth_ros.training.data.order import Draw
from sg_depth_ros.training.data.triplets import Sample, TripletDataset
from sg_depth_ros.training.progress import say

LOG_EVERY = 20
"""Steps between values of losses and rates in TensorBoard."""

_log = logging.getLogger(__name__)


class WriteNetworks(L.Callback):
    """Writes the networks, ready for export, at every validation, and the best ones besides.

    :param write: writes the networks of a module to a path
    :param metric: what the best ones have most or least of
    :param sign: 1 if less is better, -1 if more is
    """

    def __init__(
        self, folder: Path, write: Callable[[Path, int], None], metric: str | None, sign: int = 1
    ) -> None:
        self.folder, self.write, self.metric, self.sign = folder, write, metric, sign
        self.best = float('inf')

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write both files where they are due."""
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        self.write(self.folder / 'networks.pt', trainer.global_step)
        value = trainer.callback_metrics.get(self.metric or '')
        if value is not None and self.sign * float(value) < self.best:
            self.best = self.sign * float(value)
            self.write(self.folder / 'best.pt', trainer.global_step)

    def state_dict(self) -> dict[str, Any]:
        """Give what a resumed training must know."""
        return {'best': self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take it from a checkpoint."""
        self.best = state_dict['best']


class AveragedWeights(EMAWeightAveraging):
    """Keeps the mean of the weights in the module until the whole validation is over.

    Lightning's own takes it out before the module measures and the networks are written.
    """

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leave the mean where it is."""

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Bring back the weights that are trained."""
        super().on_validation_epoch_end(trainer, pl_module)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Put the mean into the module; one that had finished before ends without a step."""
        self._copy_average_to_current(pl_module)


class StopAtNonFinite(L.Callback):
    """Stops a training whose loss is no number any more, before it writes a checkpoint of it."""

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, *_: Any
    ) -> None:
        """Look at the loss.

        :raises ValueError: if it is not finite
        """
        loss = outputs['loss'] if isinstance(outputs, dict) else outputs
        if not bool(torch.isfinite(loss)):
            raise ValueError(
                f'the loss is {float(loss)} at step {trainer.global_step}; lower the learning '
                'rate or look for broken truth, then start again: the training goes on from its '
                'last checkpoint'
            )


class SayFinished(L.Callback):
    """Says so where a training had made all of its steps before, and ends without one.

    :param checkpoint: from which it goes on
    """

    def __init__(self, checkpoint: Path) -> None:
        self._checkpoint, self._begun = checkpoint, False

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Note that there are steps to make."""
        self._begun = True

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Say the line."""
        if not self._begun and trainer.is_global_zero:
            say(
                f'{self._checkpoint} has made all of the {trainer.max_steps} steps; to train on '
                'give more steps, to train anew another folder'
            )


class LogRates(L.Callback):
    """Writes the learning rates to TensorBoard by the names of the optimiser's groups."""

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any
    ) -> None:
        """Write them where Lightning writes the losses."""
        if trainer.logger is not None and trainer.global_step % LOG_EVERY == 0:
            rates = {
                f'learning_rate/{group.get("name", "all")}': group['lr']
                for optimizer in trainer.optimizers
                for group in optimizer.param_groups
            }
            trainer.logger.log_metrics(rates, trainer.global_step)


class DepthPictures(L.Callback):
    """Shows a few samples in TensorBoard: image, depth, labels, warped neighbours, auto-mask."""

    def __init__(self, dataset: TripletDataset, count: int = 3) -> None:
        self._dataset = dataset
        indices = np.linspace(0, len(dataset) - 1, min(count, len(dataset))).astype(int)
        self._draws = [Draw(int(index), 0) for index in dict.fromkeys(indices.tolist())]

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Draw the samples as the networks see them now."""
        logger = trainer.logger
        if not trainer.is_global_zero or not isinstance(logger, TensorBoardLogger):
            return
        for draw in self._draws:
            sample = self._dataset[draw]
            batch = Sample(*(value[None].to(pl_module.device) for value in sample))
            for name, picture in depth_pictures(batch, pl_module).items():
                logger.experiment.add_image(
                    f'{self._dataset.name(draw.sample)}/{name}',
                    picture,
                    trainer.global_step,
                    dataformats='HWC',
                )


def depth_pictures(batch: Sample, module: Any) -> dict[str, np.ndarray]:
    """Draw a batch of one sample: RGB uint8 pictures (H, W, 3) by name."""
    explained = module.explain(batch)
    depth = explained.depth[0, 0].cpu().numpy()
    rebuilt = explained.reconstruction
    labels = explained.labels[0].cpu().numpy()
    pictures = {
        'target': _as_picture(batch.images[0, 0]),
        'depth': colorize_depth(depth, *depth_range([depth])),
        'labels': colorize_labels(labels, palette()),
        'learned_from': _as_picture((rebuilt.moving & batch.mask)[0].float().expand(3, -1, -1)),
    }
    for index, warped in enumerate(rebuilt.warped[0]):
        name = ('previous', 'next')[index]
        pictures[f'target_rebuilt_from_{name}'] = _as_picture(warped)
    truth = batch.truth[0, 0].cpu().numpy()
    if np.isfinite(truth).any():
        pictures['true_depth'] = colorize_depth(truth, *depth_range([truth]))
    given = batch.labels[0].cpu().numpy()
    if (given != 255).any():
        pictures['given_labels'] = colorize_labels(given, palette())
    return pictures


def _as_picture(image_chw: Tensor) -> np.ndarray:
    scaled = image_chw.clamp(0, 1).mul(255).round().byte()
    return np.asarray(scaled.permute(1, 2, 0).cpu().numpy())
