# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run a depth training from its settings: data, trainer, checkpoints, resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.data import DataLoader, WeightedRandomSampler

from sg_depth_ros.networks.checkpoint import save_networks
from sg_depth_ros.training.data.triplets import TripletDataset
from sg_depth_ros.training.depth import DepthTraining
from sg_depth_ros.training.depth_settings import DepthSettings


class _SaveNetworks(L.Callback):
    """Writes the networks beside Lightning's own checkpoints, ready for export."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_validation_end(self, trainer: L.Trainer, module: Any) -> None:
        if not trainer.sanity_checking and trainer.is_global_zero:
            save(module, self.path, trainer.global_step)


def train_depth(settings: DepthSettings, out: Path) -> Path:
    """Train in the folder ``out``, resuming what is there; gives the networks' checkpoint."""
    L.seed_everything(settings.seed, workers=True)
    data = TripletDataset(settings.sources, settings.size, settings.jitter)
    samples = settings.steps * settings.batch
    sampler = WeightedRandomSampler(torch.from_numpy(data.weights), samples)
    loader = DataLoader(
        data,
        settings.batch,
        sampler=sampler,
        num_workers=settings.workers,
        persistent_workers=settings.workers > 0,
    )
    module = DepthTraining(settings, data.cameras)
    final = out / 'networks.pt'
    trainer = L.Trainer(
        max_steps=settings.steps,
        precision=settings.precision,  # type: ignore[arg-type]
        default_root_dir=out,
        logger=TensorBoardLogger(out, name='', version=''),
        callbacks=[
            ModelCheckpoint(out, save_last=True, every_n_train_steps=settings.validate_every),
            LearningRateMonitor(),
            _SaveNetworks(final),
        ],
        val_check_interval=settings.validate_every,
        check_val_every_n_epoch=None,
        gradient_clip_val=1.0,
        num_sanity_val_steps=0,
        log_every_n_steps=20,
    )
    resume = out / 'last.ckpt'
    # The folder's frames are read by the module itself; Lightning wants a loader to validate at.
    validation = DataLoader([0], 1)
    trainer.fit(module, loader, validation, ckpt_path=resume if resume.exists() else None)
    save(module, final, trainer.global_step)
    return final


def save(module: DepthTraining, path: Path, steps: int) -> None:
    """Write the networks with what export must know of them."""
    settings = module.settings
    meta = {
        'input_width': settings.size[0],
        'input_height': settings.size[1],
        'training_focal_length': settings.focal_length,
        'scale': 'relative',
        'provenance': {
            **module.segmentation_meta['provenance'],
            'depth': settings.provenance,
            'depth_steps': steps,
        },
    }
    save_networks(path, module.segmentation, module.depth, meta, pose=module.pose)
