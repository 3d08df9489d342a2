# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of networks: what export and later trainings start from.

A checkpoint is one ``torch.save`` file of plain containers and tensors, so that it is read with
``weights_only`` and runs no code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from sg_depth_ros.files import atomic_path
from sg_depth_ros.networks.depth_resnet import DepthResNet
from sg_depth_ros.networks.families import build_depth
from sg_depth_ros.networks.packnet import PackNet
from sg_depth_ros.networks.pose import PoseNet, PoseResNet
from sg_depth_ros.networks.segmentation import SegmentationConfig, SegmentationNet

FORMAT = 1


def save_networks(
    path: str | Path,
    segmentation: SegmentationNet,
    depth: DepthResNet | PackNet | None,
    meta: dict[str, Any],
    pose: PoseNet | PoseResNet | None = None,
) -> None:
    """Write the networks with what a user must know of them.

    :param depth: None for a checkpoint of the segmentation network alone
    :param meta: plain values: input_width, input_height, training_focal_length (pixels at that
        width), scale (``relative`` or ``metric``), licence, provenance, and cameras, the learned
        intrinsics by source
    :param pose: kept for a training that goes on from here; export leaves it
    """
    content: dict[str, Any] = {'format': FORMAT, 'meta': meta}
    if pose is not None:
        content['pose'] = {k: v.detach().cpu() for k, v in pose.state_dict().items()}
        content['pose_config'] = pose.config.model_dump(mode='json')
    for name, network in (('segmentation', segmentation), ('depth', depth)):
        if network is not None:
            content[name] = {
                'config': network.config.model_dump(mode='json'),
                'state_dict': {k: v.detach().cpu() for k, v in network.state_dict().items()},
            }
    with atomic_path(path) as temporary:
        torch.save(content, temporary)


def save_half(checkpoint: str | Path, path: str | Path, licence: str) -> None:
    """Write a checkpoint again in half the size, which is enough to train further from.

    What multiplies becomes float16; statistics and biases stay as they are.

    :param licence: of the weights, which is written with them
    """

    def halve(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: halve(inner) for key, inner in value.items()}
        multiplies = isinstance(value, torch.Tensor) and value.ndim > 1
        return value.half() if multiplies and value.is_floating_point() else value

    content = halve(torch.load(checkpoint, map_location='cpu', weights_only=True))
    content['meta']['licence'] = licence
    with atomic_path(path) as temporary:
        torch.save(content, temporary)


def load_networks(
    path: str | Path,
) -> tuple[SegmentationNet, DepthResNet | PackNet | None, dict[str, Any]]:
    """Read the frozen segmentation network, the depth network or None, and the meta values.

    :raises FileNotFoundError: if there is no file
    :raises ValueError: if the file is no checkpoint of this package, or one of another version
    """
    try:
        content = torch.load(path, map_location='cpu', weights_only=True)
        if not isinstance(content, dict):
            raise TypeError(f'it holds a {type(content).__name__}')
        version = content['format']
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f'{path} does not exist; give a .pt file that `sg_depth train` has written'
        ) from error
    except Exception as error:  # torch.load raises unrelated types on foreign files
        raise ValueError(
            f'{path} is not a network checkpoint ({type(error).__name__}); give a .pt file that '
            '`sg_depth train` has written'
        ) from error
    if version != FORMAT:
        raise ValueError(
            f'{path} has checkpoint format {version}, this version reads {FORMAT}; update '
            'sg_depth_ros or train again'
        )
    try:
        segmentation = SegmentationNet(SegmentationConfig(**content['segmentation']['config']))
        segmentation.load_state_dict(content['segmentation']['state_dict'])
        depth = None
        if 'depth' in content:
            depth = build_depth(content['depth']['config'])
            depth.load_state_dict(content['depth']['state_dict'])
            depth.eval()
        return segmentation.freeze(), depth, content['meta']
    except (KeyError, RuntimeError, ValidationError) as error:
        raise ValueError(
            f'{path} holds networks that this version does not build ({error}); take the version '
            'of sg_depth_ros (and timm) that it was trained with, or train again'
        ) from error


def load_pose(path: str | Path, pose: PoseNet | PoseResNet) -> None:
    """Give a pose network the weights that a checkpoint has for one; nothing where it has none.

    :param path: of a checkpoint that :func:`load_networks` has read
    :raises ValueError: if they are those of another pose network
    """
    content = torch.load(path, map_location='cpu', weights_only=True)
    if 'pose' not in content:
        return
    own = pose.config.model_dump(mode='json')
    # Files from before there were other kinds do not say theirs.
    found = content.get('pose_config', own)
    state, expected = content['pose'], pose.state_dict()
    fits = {k: v.shape for k, v in state.items()} == {k: v.shape for k, v in expected.items()}
    if found['family'] != own['family'] or not fits:
        raise ValueError(
            f'{path} has a pose network of another kind than this training; take its settings, '
            f'pose: {found}'
        )
    pose.load_state_dict(state)


def save_unguided(path: str | Path, out: str | Path) -> None:
    """Write a checkpoint's networks with plain convolutions in place of the guided ones.

    The weights stay, so the cost is that of a network without guidance, and the answers are of no
    use: it is there to be measured beside the guided one.

    :raises ValueError: see :func:`load_networks`; if there is no guided depth network
    """
    segmentation, depth, meta = load_networks(path)
    if depth is None or depth.config.guidance is None:
        raise ValueError(
            f'{path} holds no guided depth network, so there is nothing to compare; give a '
            f'checkpoint of one, or export this one and give the bundle'
        )
    plain = build_depth(depth.config.model_copy(update={'guidance': None}))
    unused = plain.load_state_dict(depth.state_dict(), strict=False)
    assert not unused.missing_keys
    save_networks(out, segmentation, plain, meta)
