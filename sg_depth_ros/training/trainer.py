# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The Lightning trainer that both trainings run in: device, precision, checkpoints, resume."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import lightning as L
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from sg_depth_ros.files import atomic_path
from sg_depth_ros.training.callbacks import (
    LOG_EVERY,
    AveragedWeights,
    LogRates,
    SayFinished,
    StopAtNonFinite,
)
from sg_depth_ros.training.checkpoints import LAST, WriteCheckpoint
from sg_depth_ros.training.data.order import OrderedData
from sg_depth_ros.training.pace import ShowPace
from sg_depth_ros.training.progress import say
from sg_depth_ros.training.schedule import in_steps, steps
from sg_depth_ros.training.settings import RunSettings
from sg_depth_ros.training.stopping import Stopped, StopRequest

SETTINGS = 'settings.json'
_MAY_CHANGE = {
    'steps', 'workers', 'devices', 'accelerator', 'precision', 'validate_every', 'validation',
    'provenance', 'checkpoint_minutes', 'line_seconds',
    'keep_frames',
}  # fmt: skip
"""Settings with which a training may go on that has begun with others."""

_KNOWN_WARNINGS = (
    # The order of the data starts at the step of the checkpoint by itself.
    '.*your dataloader is not resumable.*',
    # That is where a training goes on.
    '.*Checkpoint directory .* exists and is not empty.*',
    # The frozen segmentation network.
    '.*in eval mode at the start of training.*',
    '.*does not have many workers.*',
    '.*smaller than the logging interval.*',
    '.*isinstance\\(treespec, LeafSpec\\).*',
)


Run = TypeVar('Run', bound=RunSettings)


def claim_folder(settings: RunSettings, out: Path) -> None:
    """Write the settings into the folder of a training, and refuse one that began with others.

    :raises ValueError: that names what differs; nothing is touched
    """
    file = out / SETTINGS
    values = settings.model_dump(mode='json', exclude=_MAY_CHANGE)
    if file.exists() and next(out.rglob(LAST), None):
        now, before = _leaves(values), _leaves(json.loads(file.read_text()))
        keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
        if keys:
            changes = [f'{key} from {before.get(key)!r} to {now.get(key)!r}' for key in keys[:3]]
            more = f' and {len(keys) - 3} more' if len(keys) > 3 else ''
            raise ValueError(
                f'{out} holds a training with other settings, which changed {", ".join(changes)}'
                f'{more}; give another folder with --out, or remove {file} to go on all the same'
            )
    _write_settings(values, file)


@rank_zero_only
def _write_settings(values: dict[str, Any], file: Path) -> None:
    with atomic_path(file) as temporary:
        temporary.write_text(json.dumps(values, indent=1) + '\n')


def _leaves(value: Any, key: str = '') -> dict[str, Any]:
    """Give the single values of nested ones by their dotted key."""
    if isinstance(value, list):
        value = dict(enumerate(value))
    if not isinstance(value, dict):
        return {key: value}
    inner = [_leaves(v, f'{key}.{k}' if key else str(k)) for k, v in value.items()]
    return {k: v for leaves in inner for k, v in leaves.items()}


def fit(
    settings: RunSettings,
    out: Path,
    module: L.LightningModule,
    data: OrderedData,
    callbacks: Sequence[L.Callback],
    clip_gradients: float = 0.0,
) -> L.Trainer:
    """Train to the last step, from the checkpoint in ``out`` if there is one.

    :param settings: with all lengths in steps
    :raises KeyboardInterrupt: if the process was asked to end, after a step and its checkpoint;
        the message says how to go on
    """
    request = StopRequest()
    gpu = _has_gpu(settings)
    if gpu:
        torch.set_float32_matmul_precision('high')
    validate_every = min(steps(settings.validate_every), steps(settings.steps))
    trainer = L.Trainer(
        max_steps=steps(settings.steps),
        **_devices(settings),
        strategy='auto',
        sync_batchnorm=gpu,
        use_distributed_sampler=False,
        precision=choose_precision(settings.precision, gpu),
        default_root_dir=out,
        logger=TensorBoardLogger(out, name='', version=''),
        callbacks=[
            # First: what is not finite must not be written.
            StopAtNonFinite(),
            *callbacks,
            # Last: the others see the mean.
            *([AveragedWeights(decay=settings.average)] if settings.average else []),
            LogRates(),
            SayFinished(out / LAST),
            ShowPace(
                settings.batch * world_size(settings),
                settings.line_seconds,
                f'to look at it: tensorboard --logdir {out}',
            ),
            # Lightning brings it to the end of all.
            WriteCheckpoint(out, settings.checkpoint_minutes, validate_every, request),
        ],
        enable_progress_bar=False,
        enable_model_summary=False,
        val_check_interval=validate_every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        gradient_clip_val=clip_gradients or None,
        log_every_n_steps=LOG_EVERY,
    )
    resume = out / LAST
    try:
        with warnings.catch_warnings(), request.restored():
            for message in _KNOWN_WARNINGS:
                warnings.filterwarnings('ignore', message)
            trainer.fit(
                module,
                datamodule=data,
                ckpt_path=resume if resume.exists() else None,
                weights_only=True,
            )
    except Stopped as stopped:
        request.end(str(stopped))
    return trainer


def planned(settings: Run, samples: int) -> Run:
    """Give the settings with all lengths in steps, and say how long the training is.

    :param samples: that were found, which are an epoch
    """
    world = world_size(settings)
    whole = in_steps(settings, samples, settings.batch * world)
    epoch = samples / (settings.batch * world)
    processes = f' in each of {world} processes' if world > 1 else ''
    _say_once(
        f'{whole.steps} steps of {settings.batch} samples{processes} are '
        f'{steps(whole.steps) / epoch:.3g} epochs; validated every {whole.validate_every} steps'
    )
    return whole


_say_once = rank_zero_only(say)


def world_size(settings: RunSettings) -> int:
    """Tell how many processes train together."""
    _quieten()
    return L.Trainer(**_devices(settings), logger=False, enable_checkpointing=False).world_size


def _devices(settings: RunSettings) -> dict[str, Any]:
    # Every core is one CPU "device" to Lightning; torch uses them all in one process.
    alone = settings.devices == 'auto' and not _has_gpu(settings)
    return {
        'accelerator': settings.accelerator,
        'devices': 1 if alone else settings.devices,
    }


def _has_gpu(settings: RunSettings) -> bool:
    return torch.cuda.is_available() and settings.accelerator != 'cpu'


def _quieten() -> None:
    """Keep Lightning's log to what is wrong, once."""
    for name in ('lightning.pytorch', 'lightning.fabric'):
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING)
        logger.handlers.clear()


def choose_precision(wanted: str, gpu: bool) -> Any:
    """Resolve ``auto``: bfloat16 on a GPU that has it, else float16; float32 on a CPU."""
    if wanted != 'auto':
        return wanted
    if not gpu:
        return '32-true'
    return 'bf16-mixed' if torch.cuda.is_bf16_supported() else '16-mixed'
