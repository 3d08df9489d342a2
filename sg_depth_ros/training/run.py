# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run a depth training from its settings: data, trainer, networks, learned intrinsics."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.utilities import rank_zero_only

from sg_depth_ros.files import atomic_path
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.networks.checkpoint import save_networks
from sg_depth_ros.training.callbacks import DepthPictures, WriteNetworks
from sg_depth_ros.training.curve import ValidationCurve
from sg_depth_ros.training.data.drives import Drives
from sg_depth_ros.training.data.frame_memory import FrameMemory
from sg_depth_ros.training.data.order import OrderedData, OrderedSampler
from sg_depth_ros.training.data.resident import ResidentBatches
from sg_depth_ros.training.data.triplets import TripletDataset, guessed_camera
from sg_depth_ros.training.depth import DepthTraining
from sg_depth_ros.training.depth_settings import DepthSettings
from sg_depth_ros.training.frame_list import read_frame_list
from sg_depth_ros.training.progress import say
from sg_depth_ros.training.schedule import steps
from sg_depth_ros.training.trainer import claim_folder, fit, planned
from sg_depth_ros.training.two_stage import filter_frames

_log = logging.getLogger(__name__)


def train_depth(settings: DepthSettings, out: Path) -> Path:
    """Train in the folder ``out``, resuming what is there; gives the networks' checkpoint.

    With ``two_stage`` the folder gets ``stage_1``, ``filter`` and ``stage_2``.
    """
    claim_folder(settings, out)
    if not settings.two_stage:
        return _train_once(settings, out)
    first = settings.model_copy(update={'two_stage': False})
    kept = out / 'filter' / 'kept.txt'
    if not kept.exists():
        checkpoint = _train_once(first, out / 'stage_1')
        _filter_once(settings, checkpoint, kept)
    # The other processes wait for the list, which is written last. Not at a barrier: those give up
    # long before many frames are judged.
    while not kept.exists():
        time.sleep(1)
    return _train_once(first.model_copy(update={'kept': kept}), out / 'stage_2')


@rank_zero_only
def _filter_once(settings: DepthSettings, checkpoint: Path, kept: Path) -> None:
    filter_frames(checkpoint, settings.sources, settings.filter, kept, kept.parent)


def _train_once(settings: DepthSettings, out: Path) -> Path:
    L.seed_everything(settings.seed, verbose=False)
    limits = None if settings.kept is None else read_frame_list(settings.kept)
    dataset = TripletDataset(
        settings.sources, settings.size, settings.jitter, limits, settings.zoom
    )
    write_data_report(dataset.drives, out / 'data.json')
    settings = planned(settings, len(dataset))
    module = DepthTraining(settings, dataset.drives.cameras)
    final = out / 'networks.pt'

    def write(path: Path, steps: int) -> None:
        write_networks(module, dataset.drives, path, steps)

    def resident(
        sampler: OrderedSampler, device: torch.device, processes: int
    ) -> ResidentBatches | None:
        memory = FrameMemory.that_fits(dataset.frames(), dataset.size, device, processes)
        if memory is None:
            return None
        return ResidentBatches(dataset, memory, sampler, settings.batch, device, settings.workers)

    metric = 'val/abs_rel' if settings.validation else None
    trainer = fit(
        settings,
        out,
        module,
        OrderedData(
            dataset,
            dataset.drives.counts,
            [source.weight for source in settings.sources],
            steps=steps(settings.steps),
            batch=settings.batch,
            workers=settings.workers,
            seed=settings.seed,
            resident=resident if settings.keep_frames and dataset.can_be_kept else None,
        ),
        [
            WriteNetworks(out, write, metric),
            DepthPictures(dataset),
            *([ValidationCurve(out, metric)] if metric else []),
        ],
        settings.clip_gradients,
    )
    if trainer.is_global_zero:
        write(final, trainer.global_step)
        write_intrinsics(module, dataset.drives, out / 'intrinsics.json')
        if module.replaced:
            _log.warning('%d broken samples were replaced by others', module.replaced)
    return final


def write_networks(module: DepthTraining, drives: Drives, path: Path, steps: int) -> None:
    """Write the networks with what export must know of them."""
    settings = module.settings
    meta = {
        'input_width': settings.size[0],
        'input_height': settings.size[1],
        'training_focal_length': settings.focal_length,
        'scale': 'metric' if is_metric(settings, drives) else 'relative',
        'licence': module.licence,
        'cameras': {name: vars(seen) for name, seen in learned_cameras(module, drives).items()},
        'provenance': {
            **module.segmentation_meta['provenance'],
            'depth': settings.provenance,
            'depth_steps': steps,
            'depth_begun_from': str(settings.initial or module.depth_weights),
        },
    }
    save_networks(path, module.segmentation, module.depth, meta, pose=module.pose)


def is_metric(settings: DepthSettings, drives: Drives) -> bool:
    """Tell if every sequence with samples shows the network metres, by truth or by speed."""
    loss = settings.loss
    return all(
        (clip.sequence.depth is not None and clip.sequence.metric and loss.supervision > 0)
        or (clip.sequence.tells_speed and not clip.source.stills and loss.velocity > 0)
        for clip in drives.clips
        if len(clip.selection.targets)
    )


def learned_cameras(module: DepthTraining, drives: Drives) -> dict[str, PinholeCamera]:
    """Give the learned intrinsics by source, for the images as they are stored."""
    cameras: dict[str, PinholeCamera] = {}
    for clip in drives.clips:
        if clip.camera < 0 or not len(clip.selection.targets):
            continue
        image = clip.sequence.frames[int(clip.selection.targets[0])]
        height, width = image.shape[:2]
        x, y, *size = clip.box(image)
        guess = guessed_camera(width, height).cropped(x, y, *size).resized(*module.settings.size)
        matrix = module.intrinsics.matrix(guess.matrix, clip.camera)
        seen = PinholeCamera.from_matrix(matrix, *module.settings.size)
        name = drives.cameras[clip.camera]
        cameras[name] = seen.resized(*size).cropped(-x, -y, width, height)
    return cameras


def write_intrinsics(module: DepthTraining, drives: Drives, path: Path) -> None:
    """Report the learned intrinsics in the log and in a file; nothing where all are known."""
    cameras = learned_cameras(module, drives)
    if not cameras:
        return
    report = {name: vars(camera) for name, camera in cameras.items()}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(report, indent=1) + '\n')
    for name, camera in cameras.items():
        text = f'fx {camera.fx:.1f}, fy {camera.fy:.1f}, cx {camera.cx:.1f}, cy {camera.cy:.1f}'
        say(f'{name}: learned {text} at {camera.width}x{camera.height}')


@rank_zero_only
def write_data_report(drives: Drives, path: Path) -> None:
    """Write what was read and what was left out, and say it in short."""
    with atomic_path(path) as temporary:
        content = {'sequences': drives.summary(), 'notes': drives.notes}
        temporary.write_text(json.dumps(content, indent=1) + '\n')
    say(drives.headline())
