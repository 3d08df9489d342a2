# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of packnet-sfm: PackNet01, PackNetSlim01 and DepthResNet with their pose networks.

They hold ``state_dict``, with the depth network under ``model.depth_net`` and the pose network
under ``model.pose_net``, and most times ``config``, which tells size, data and supervision.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from sg_depth_ros.imports.kind import ForeignNetworkError, FoundNetworks
from sg_depth_ros.imports.unpickling import read_checkpoint
from sg_depth_ros.imports.weights import (
    PUBLISHED_MEAN,
    PUBLISHED_STD,
    depth_decoder_modules,
    pose_decoder_modules,
    resnet_name,
    rotation_first,
    take_weights,
)
from sg_depth_ros.networks.depth_resnet import DepthResNet, DepthResNetConfig
from sg_depth_ros.networks.packnet import DECODER_STRIDES, HEAD_STRIDES, PackNet, PackNetConfig
from sg_depth_ros.networks.pose import PoseNet, PoseNetConfig, PoseResNet, PoseResNetConfig

KITTI_FOCAL_LENGTH = 371.8 / 640
"""In widths of the image."""
METRIC_MODELS = ('VelSupModel', 'SemiSupModel', 'SemiSupCompletionModel')
"""Those that are shown metres in training: by the velocity or by LiDAR."""
FARTHEST = 1000.0
"""Where PackNet's depth is stopped, which as published reaches infinity; a unit may be 30 m."""
_DEPTH_PREFIXES = ('depth_net.', 'disp_network.')
_POSE_PREFIXES = ('pose_net.', 'pose_network.')
"""Now and in older files."""


def is_packnet_sfm(path: Path) -> bool:
    """Tell if this is a file as checkpoints of torch are named."""
    return path.is_file() and path.suffix in ('.ckpt', '.tar', '.pt', '.pth')


def read_packnet_sfm(path: Path) -> FoundNetworks:
    """Read a checkpoint.

    :raises ForeignNetworkError: if it is none, or of networks that are not known here
    """
    content = read_checkpoint(path)
    state = content.get('state_dict')
    if not isinstance(state, Mapping):
        raise ForeignNetworkError(
            f'{path} has no state_dict as checkpoints of packnet-sfm have, but '
            f'{", ".join(map(str, list(content)[:5])) or "nothing"}; for one of this package take '
            'sg_depth export'
        )
    depth_state = _part(state, _DEPTH_PREFIXES)
    if not depth_state:
        raise ForeignNetworkError(f'{path} holds no depth network: no name contains "depth_net"')
    network, depth = _depth(depth_state)
    pose_state = _part(state, _POSE_PREFIXES)
    pose_name, pose = _pose(pose_state) if pose_state else ('none', None)
    config = content.get('config')
    model = _inside(config, 'model', 'name')
    datasets = _inside(config, 'datasets', 'train', 'dataset')
    listed = [str(name) for name in datasets] if isinstance(datasets, list | tuple) else []
    on_kitti = bool(listed) and set(listed) == {'KITTI'}
    origin = {
        'network': f'{network} of packnet-sfm',
        'pose_network': pose_name,
        'trained_as': str(model or 'not stated'),
        'trained_on': ', '.join(listed) or 'not stated',
    }
    return FoundNetworks(
        depth,
        pose,
        size=_size(_inside(config, 'datasets', 'augmentation', 'image_shape')),
        focal_length=KITTI_FOCAL_LENGTH if on_kitti else None,
        metric=model in METRIC_MODELS,
        origin=origin,
    )


def _part(state: Mapping[str, Any], prefixes: tuple[str, ...]) -> dict[str, Tensor]:
    """Give what lies under a network's name, wherever in the model that is."""
    part = {}
    for key, value in state.items():
        for prefix in prefixes:
            _, found, name = str(key).partition(prefix)
            if found:
                # A dropout behind the shortcut's convolution, which has no weights, renames it.
                part[name.replace('.conv3.0.', '.conv3.')] = value
    return part


def _depth(state: dict[str, Tensor]) -> tuple[str, DepthResNet | PackNet]:
    if 'pre_calc.conv_base.weight' in state:
        return _packnet(state)
    name = resnet_name(state, 'encoder.encoder.')
    config = DepthResNetConfig(
        encoder=name,
        mean=PUBLISHED_MEAN,
        std=PUBLISHED_STD,
        padding='reflect',
        guidance=None,
    )
    resnet = DepthResNet(config)
    modules = {'encoder.body': 'encoder.encoder', **depth_decoder_modules('decoder.decoder.')}
    take_weights(resnet, state, modules, ['encoder.encoder.fc'], 'DepthResNet')
    return f'DepthResNet {name.removeprefix("resnet")}', resnet


def _packnet(state: dict[str, Tensor]) -> tuple[str, PackNet]:
    stem = state['pre_calc.conv_base.weight']
    slim = isinstance(stem, Tensor) and stem.ndim > 0 and len(stem) == 32
    name = 'PackNetSlim01' if slim else 'PackNet01'
    sizes: dict[str, Any] = (
        {'stem_channels': 32, 'channels': (32, 64, 128, 256, 512), 'conv3d_channels': 4}
        if slim
        else {}
    )
    network = PackNet(PackNetConfig(guidance=None, max_depth=FARTHEST, **sizes))
    take_weights(network, state, _packnet_modules(network.config), [], f'{name} of version A')
    return name, network


def _packnet_modules(config: PackNetConfig) -> dict[str, str]:
    modules = {'stem.conv': 'pre_calc.conv_base', 'stem.norm': 'pre_calc.normalize'}
    modules |= {'stages.0.conv': 'conv1.conv_base', 'stages.0.norm': 'conv1.normalize'}
    for stage, blocks in enumerate(config.blocks, 1):
        for block in range(blocks):
            ours, theirs = f'stages.{stage}.{block}', f'conv{stage + 1}.{block}'
            for conv in range(2):
                modules[f'{ours}.blocks.{conv}.conv'] = f'{theirs}.conv{conv + 1}.conv_base'
                modules[f'{ours}.blocks.{conv}.norm'] = f'{theirs}.conv{conv + 1}.normalize'
            modules[f'{ours}.shortcut'] = f'{theirs}.conv3'
            modules[f'{ours}.norm'] = f'{theirs}.normalize'
    for level in range(5):
        ours, theirs = f'packs.{level}', f'pack{level + 1}'
        modules[f'{ours}.conv.conv3d'] = f'{theirs}.conv3d'
        modules[f'{ours}.conv.conv'] = f'{theirs}.conv.conv_base'
        modules[f'{ours}.norm'] = f'{theirs}.conv.normalize'
    for level in range(len(DECODER_STRIDES)):
        ours, theirs = f'unpacks.{level}', f'unpack{5 - level}'
        modules[f'{ours}.0.conv'] = f'{theirs}.conv.conv_base'
        modules[f'{ours}.0.norm'] = f'{theirs}.conv.normalize'
        modules[f'{ours}.1.conv3d'] = f'{theirs}.conv3d'
        modules[f'fuse.{level}.conv.conv'] = f'iconv{5 - level}.conv_base'
        modules[f'fuse.{level}.norm'] = f'iconv{5 - level}.normalize'
    for number, stride in zip((4, 3, 2, 1), HEAD_STRIDES, strict=True):
        modules[f'heads.{stride}'] = f'disp{number}_layer.conv1'
    return modules


def _pose(state: dict[str, Tensor]) -> tuple[str, PoseNet | PoseResNet]:
    if 'pose_pred.weight' in state:
        net = PoseNet(PoseNetConfig())
        modules = {'body.21': 'pose_pred'}
        for layer in range(7):
            modules[f'body.{3 * layer}'] = f'conv{layer + 1}.0'
            modules[f'body.{3 * layer + 1}'] = f'conv{layer + 1}.1'
        take_weights(net, rotation_first(state, 'pose_pred'), modules, [], 'PoseNet')
        return 'PoseNet', net
    name = resnet_name(state, 'encoder.encoder.')
    resnet = PoseResNet(PoseResNetConfig(encoder=name, mean=PUBLISHED_MEAN, std=PUBLISHED_STD))
    modules = {'encoder.body': 'encoder.encoder', **pose_decoder_modules('decoder.net.')}
    take_weights(resnet, state, modules, ['encoder.encoder.fc'], 'PoseResNet')
    return f'PoseResNet {name.removeprefix("resnet")}', resnet


def _inside(config: Any, *keys: str) -> Any:
    """Give a value of nested dictionaries, None where it is not there."""
    for key in keys:
        config = config.get(key) if isinstance(config, Mapping) else None
    return config


def _size(shape: Any) -> tuple[int, int] | None:
    """Give width and height of what should be height and width."""
    if (
        isinstance(shape, list | tuple)
        and len(shape) == 2
        and all(isinstance(side, int) and side > 0 for side in shape)
    ):
        return shape[1], shape[0]
    return None
