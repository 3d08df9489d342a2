# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training of the segmentation network on labelled images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchmetrics.classification import MulticlassJaccardIndex

from sg_depth_ros.bundle.labels import VOID
from sg_depth_ros.networks.checkpoint import load_networks, save_networks
from sg_depth_ros.networks.segmentation import SegmentationNet
from sg_depth_ros.training.callbacks import WriteNetworks
from sg_depth_ros.training.curve import ValidationCurve
from sg_depth_ros.training.data.augmentation import JitterConfig
from sg_depth_ros.training.data.order import Draw, OrderedData
from sg_depth_ros.training.data.segmentation import SegmentationDataset
from sg_depth_ros.training.schedule import steps
from sg_depth_ros.training.segmentation_settings import SegmentationSettings
from sg_depth_ros.training.trainer import claim_folder, fit, planned
from sg_depth_ros.training.warm_start import find_networks, licence_of, take_fitting


class SegmentationTraining(L.LightningModule):
    """Cross-entropy on train ids, void left out; polynomial decay of the learning rate."""

    def __init__(self, settings: SegmentationSettings) -> None:
        super().__init__()
        self.settings = settings
        network = SegmentationNet(settings.network, settings.pretrained)
        self.licence = None
        if settings.initial is not None:
            path = find_networks(settings.initial)
            found, _, meta = load_networks(path)
            take_fitting(network, found, path)
            self.licence = licence_of(path, meta)
        # Depthwise convolutions train several times faster on a CPU in this layout.
        self.network = network.to(memory_format=torch.channels_last)
        self.iou = MulticlassJaccardIndex(settings.network.classes, ignore_index=VOID)

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Give the loss of a batch of images (B, 3, H, W) and labels (B, H, W)."""
        image, labels = batch
        _, logits = self.network(image.contiguous(memory_format=torch.channels_last))
        # The sum over none is zero, where the mean over none is not a number.
        loss = F.cross_entropy(logits.float(), labels, ignore_index=VOID, reduction='sum')
        loss = loss / (labels != VOID).sum().clamp(min=1)
        self.log('train/cross_entropy', loss)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """Add a batch to the mean intersection over union, where there is a validation."""
        if not self.settings.validation:
            return
        image, labels = batch
        _, logits = self.network(image.contiguous(memory_format=torch.channels_last))
        self.iou(logits.argmax(1), labels)
        self.log('val/miou', self.iou)

    def configure_optimizers(self) -> OptimizerLRScheduler:
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
        schedule = torch.optim.lr_scheduler.PolynomialLR(optimizer, steps(s.steps), power=0.9)
        return {
            'optimizer': optimizer,
            'lr_scheduler': {'scheduler': schedule, 'interval': 'step'},
        }


class SegmentationData(OrderedData):
    """The views to train on, and the whole images of the validation."""

    def __init__(self, settings: SegmentationSettings, data: SegmentationDataset) -> None:
        super().__init__(
            data,
            [len(data)],
            [1.0],
            steps=steps(settings.steps),
            batch=settings.batch,
            workers=settings.workers,
            seed=settings.seed,
        )
        self._whole: SegmentationDataset | None = None
        if settings.validation:
            self._whole = SegmentationDataset(
                settings.validation,
                settings.size,
                network_size=settings.size,
                scale=(1, 1),
                stretch=1,
                flip=False,
                jitter=JitterConfig(probability=0),
            )

    def val_dataloader(self) -> DataLoader[Any]:
        """Give the validation's images; none make a validation that only writes networks."""
        if self._whole is None:
            return super().val_dataloader()
        draws = [Draw(index, 0) for index in range(len(self._whole))]
        return DataLoader(self._whole, self.batch, sampler=_Fixed(draws))


class _Fixed(torch.utils.data.Sampler[Draw]):
    def __init__(self, draws: list[Draw]) -> None:
        self._draws = draws

    def __len__(self) -> int:
        return len(self._draws)

    def __iter__(self) -> Iterator[Draw]:
        return iter(self._draws)


def train_segmentation(settings: SegmentationSettings, out: Path) -> Path:
    """Train in the folder ``out``, resuming what is there; gives the final checkpoint."""
    claim_folder(settings, out)
    L.seed_everything(settings.seed, verbose=False)
    views = SegmentationDataset(
        settings.train,
        settings.crop,
        network_size=settings.size,
        scale=settings.scale,
        stretch=settings.stretch,
        jitter=settings.jitter,
    )
    settings = planned(settings, len(views))
    data = SegmentationData(settings, views)
    module = SegmentationTraining(settings)
    final = out / 'networks.pt'

    def write(path: Path, steps: int) -> None:
        meta = {
            'input_width': settings.size[0],
            'input_height': settings.size[1],
            'licence': module.licence,
            'provenance': {
                'segmentation': settings.provenance,
                'segmentation_steps': steps,
                'segmentation_begun_from': str(settings.initial or module.network.encoder.weights),
            },
        }
        save_networks(path, module.network, None, meta)

    metric = 'val/miou' if settings.validation else None
    callbacks = [
        WriteNetworks(out, write, metric, sign=-1),
        *([ValidationCurve(out, metric)] if metric else []),
    ]
    trainer = fit(settings, out, module, data, callbacks)
    if trainer.is_global_zero:
        write(final, trainer.global_step)
    return final
