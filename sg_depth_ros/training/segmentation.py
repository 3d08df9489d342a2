# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training of the segmentation network on labelled images."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchmetrics.classification import MulticlassJaccardIndex

from sg_depth_ros.labels import VOID
from sg_depth_ros.networks.checkpoint import save_networks
from sg_depth_ros.networks.segmentation import SegmentationConfig, SegmentationNet
from sg_depth_ros.training.data.augmentation import JitterConfig
from sg_depth_ros.training.data.labelled import LabelledSource
from sg_depth_ros.training.data.segmentation import SegmentationDataset


class SegmentationSettings(BaseModel):
    """All that a segmentation training is set by."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    network: SegmentationConfig = SegmentationConfig()
    pretrained: bool = True
    train: list[LabelledSource]
    validation: list[LabelledSource] = []
    size: tuple[int, int] = (640, 192)
    crop: tuple[int, int] = (640, 192)
    scale: tuple[float, float] = (0.7, 1.3)
    stretch: float = Field(default=0.5, ge=0, le=1)
    jitter: JitterConfig = JitterConfig()
    steps: int = 48000
    batch: int = 8
    optimizer: Literal['sgd', 'adamw'] = 'sgd'
    learning_rate: float = 0.01
    weight_decay: float = 1e-4
    workers: int = 2
    seed: int = 0
    validate_every: int = 1000
    precision: str = '32-true'
    provenance: dict[str, Any] = {}


class SegmentationTraining(L.LightningModule):
    """Cross-entropy on train ids, void left out; polynomial decay of the learning rate."""

    def __init__(self, settings: SegmentationSettings) -> None:
        super().__init__()
        self.settings = settings
        network = SegmentationNet(settings.network, settings.pretrained)
        # Depthwise convolutions train several times faster on a CPU in this layout.
        self.network = network.to(memory_format=torch.channels_last)
        self.iou = MulticlassJaccardIndex(settings.network.classes, ignore_index=VOID)

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Give the loss of a batch of images (B, 3, H, W) and labels (B, H, W)."""
        image, labels = batch
        _, logits = self.network(image.contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(logits, labels, ignore_index=VOID)
        self.log('train/loss', loss, prog_bar=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """Add a batch to the mean intersection over union."""
        image, labels = batch
        _, logits = self.network(image.contiguous(memory_format=torch.channels_last))
        self.iou(logits.argmax(1), labels)
        self.log('val/miou', self.iou, prog_bar=True)

    def configure_optimizers(self) -> dict[str, Any]:
        """Give the optimiser and its schedule by step."""
        s = self.settings
        groups = self.network.parameters()
        optimizer: torch.optim.Optimizer
        if s.optimizer == 'sgd':
            optimizer = torch.optim.SGD(
                groups, s.learning_rate, momentum=0.9, weight_decay=s.weight_decay
            )
        else:
            optimizer = torch.optim.AdamW(groups, s.learning_rate, weight_decay=s.weight_decay)
        schedule = torch.optim.lr_scheduler.PolynomialLR(optimizer, s.steps, power=0.9)
        return {
            'optimizer': optimizer,
            'lr_scheduler': {'scheduler': schedule, 'interval': 'step'},
        }


def train_segmentation(settings: SegmentationSettings, out: Path) -> Path:
    """Train in the folder ``out``, resuming what is there; gives the final checkpoint."""
    L.seed_everything(settings.seed, workers=True)
    data = SegmentationDataset(
        settings.train,
        settings.crop,
        network_size=settings.size,
        scale=settings.scale,
        stretch=settings.stretch,
        jitter=settings.jitter,
    )
    train = DataLoader(
        data,
        settings.batch,
        shuffle=True,
        drop_last=True,
        num_workers=settings.workers,
        persistent_workers=settings.workers > 0,
    )
    validation = None
    if settings.validation:
        whole = SegmentationDataset(
            settings.validation,
            settings.size,
            network_size=settings.size,
            scale=(1, 1),
            stretch=1,
            jitter=JitterConfig(probability=0),
        )
        validation = DataLoader(whole, settings.batch, num_workers=0)
    module = SegmentationTraining(settings)
    last = ModelCheckpoint(out, save_last=True, every_n_train_steps=settings.validate_every)
    trainer = L.Trainer(
        max_steps=settings.steps,
        precision=settings.precision,  # type: ignore[arg-type]
        default_root_dir=out,
        logger=TensorBoardLogger(out, name='', version=''),
        callbacks=[last, LearningRateMonitor()],
        val_check_interval=settings.validate_every if validation else None,
        check_val_every_n_epoch=None,
        log_every_n_steps=20,
    )
    resume = out / 'last.ckpt'
    trainer.fit(module, train, validation, ckpt_path=resume if resume.exists() else None)
    final = out / 'segmentation.pt'
    save_networks(
        final,
        module.network,
        None,
        {
            'input_width': settings.size[0],
            'input_height': settings.size[1],
            'provenance': {'segmentation': settings.provenance, 'steps': trainer.global_step},
        },
    )
    return final
