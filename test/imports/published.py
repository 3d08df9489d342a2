# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints as packnet-sfm and monodepth2 write them, by the names and shapes that they publish.

Values are random, but the same for a name on every machine, so that what the authors' own code
answers with them can be held fast in a test.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import torch

KEYS = Path(__file__).parent / 'state_keys'
SIZE = (64, 128)
"""Height and width of the image that is answered."""


def published_state(network: str) -> dict[str, torch.Tensor]:
    """Give a state of packnet-sfm's network with its names under ``depth_net`` or ``pose_net``."""
    lines = (KEYS / f'{network}.txt').read_text().splitlines()
    return {name: _values(name, shape) for name, shape in map(str.split, lines)}


def published_checkpoint(depth: str, pose: str | None = None) -> dict[str, torch.Tensor]:
    """Give the ``state_dict`` of a checkpoint of packnet-sfm."""
    state = published_state(depth) | (published_state(pose) if pose else {})
    return {f'model.{name}': value for name, value in state.items()}


def write_monodepth2(folder: Path, layers: int, **said: object) -> Path:
    """Write a folder of monodepth2, whose networks packnet-sfm has under other names.

    :param said: what the encoder's file says besides
    """
    folder.mkdir(parents=True)
    files: dict[str, dict[str, object]] = {
        name: {} for name in ('encoder', 'depth', 'pose_encoder', 'pose')
    }
    for network in (f'DepthResNet{layers}', 'PoseResNet18'):
        pose = network.startswith('Pose')
        for name, value in published_state(network).items():
            _, part, own = name.split('.', 2)
            file = ('pose_' if pose else '') + 'encoder' if part == 'encoder' else None
            files[file or ('pose' if pose else 'depth')][own] = value
    files['encoder'].update(said)
    for name, state in files.items():
        # The authors' versions of torch wrote no zip files.
        torch.save(state, folder / f'{name}.pth', _use_new_zipfile_serialization=False)
    return folder


def images(count: int) -> torch.Tensor:
    """Give images (count, 3, H, W) in 0..1."""
    generator = np.random.default_rng(5)
    return torch.from_numpy(generator.random((count, 3, *SIZE), np.float32))


def _values(name: str, shape: str) -> torch.Tensor:
    if shape == 'scalar':
        return torch.tensor(0)
    sizes = tuple(map(int, shape.split('x')))
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    values = generator.standard_normal(sizes, np.float32)
    if len(sizes) > 1:
        # So that sigmoids use their range and poses can be told. A ResNet's batch statistics
        # do not hold random weights back.
        resnet = 'encoder' in name or 'decoder' in name
        gain = 0.8 if resnet else 1.4
        gain *= 30 if 'net.3.' in name else 6 if 'disp' in name or 'pose_pred' in name else 1
        values *= gain / np.sqrt(np.prod(sizes[1:]))
    elif name.endswith('running_var'):
        values = 1 + 0.3 * np.tanh(values)
    elif name.endswith('weight'):
        values = 1 + 0.1 * values
    else:
        values *= 0.1
    return torch.from_numpy(values)
