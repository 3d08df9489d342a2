# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Folders of monodepth2: ``encoder.pth`` and ``depth.pth``, ``pose_encoder.pth`` and ``pose.pth``.

The encoder's file tells the size, and whether stereo pairs were seen in training. Of those the
network takes the cameras to be 0.1 apart, which on KITTI are 0.54 m.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sg_depth_ros.imports.kind import ForeignNetworkError, FoundNetworks
from sg_depth_ros.imports.unpickling import read_checkpoint
from sg_depth_ros.imports.weights import (
    PUBLISHED_MEAN,
    PUBLISHED_STD,
    depth_decoder_modules,
    pose_decoder_modules,
    resnet_name,
    take_weights,
)
from sg_depth_ros.networks.depth_resnet import DepthResNet, DepthResNetConfig
from sg_depth_ros.networks.pose import PoseResNet, PoseResNetConfig

ENCODER, DECODER = 'encoder.pth', 'depth.pth'
POSE_ENCODER, POSE = 'pose_encoder.pth', 'pose.pth'
STEREO_METRES = 5.4
"""Metres per unit of networks that were trained with KITTI's stereo pairs."""
LICENCE = 'LicenseRef-Monodepth2'
"""The authors' own, for research that is not commercial."""


def is_monodepth2(path: Path) -> bool:
    """Tell if this is a folder with the files of a network."""
    return (path / ENCODER).is_file() and (path / DECODER).is_file()


def read_monodepth2(path: Path) -> FoundNetworks:
    """Read a folder.

    :raises ForeignNetworkError: if its files are damaged or of networks that are not known here
    """
    encoder = read_checkpoint(path / ENCODER)
    said: dict[str, Any] = {key: encoder.pop(key, None) for key in ('width', 'height')}
    stereo = encoder.pop('use_stereo', False) is True
    name = resnet_name(encoder, 'encoder.')
    unit = STEREO_METRES if stereo else 1.0
    config = DepthResNetConfig(
        encoder=name,
        mean=PUBLISHED_MEAN,
        std=PUBLISHED_STD,
        padding='reflect',
        min_depth=0.1 * unit,
        max_depth=100 * unit,
        guidance=None,
    )
    depth = DepthResNet(config)
    modules = {'encoder.body': 'encoder', **depth_decoder_modules('decoder.')}
    state = {**encoder, **read_checkpoint(path / DECODER)}
    take_weights(depth, state, modules, ['encoder.fc'], 'network of monodepth2')
    pose, notes = _pose(path)
    return FoundNetworks(
        depth,
        pose,
        size=_size(path, said),
        focal_length=None,
        metric=stereo,
        origin={
            'network': f'{name} of monodepth2',
            'pose_network': pose.config.encoder if pose else 'none',
            'trained_as': 'with stereo pairs' if stereo else 'from video alone',
            'trained_on': 'not stated',
        },
        licence=LICENCE,
        notes=notes,
    )


def _pose(path: Path) -> tuple[PoseResNet | None, list[str]]:
    """Give the pose network, or why there is none."""
    if not (path / POSE).is_file():
        return None, []
    if not (path / POSE_ENCODER).is_file():
        return None, [
            f'{path / POSE} comes without {POSE_ENCODER}, as of a pose network of another kind, '
            'and is left out; a training begins with a fresh pose network'
        ]
    encoder = read_checkpoint(path / POSE_ENCODER)
    name = resnet_name(encoder, 'encoder.')
    config = PoseResNetConfig(
        encoder=name,
        mean=PUBLISHED_MEAN,
        std=PUBLISHED_STD,
        rotation='axis_angle',
        in_time=True,
    )
    pose = PoseResNet(config)
    modules = {'encoder.body': 'encoder', **pose_decoder_modules('net.')}
    state = {**encoder, **read_checkpoint(path / POSE)}
    take_weights(pose, state, modules, ['encoder.fc'], 'pose network of monodepth2')
    return pose, []


def _size(path: Path, said: dict[str, Any]) -> tuple[int, int] | None:
    width, height = said['width'], said['height']
    if width is None and height is None:
        return None
    if not all(isinstance(side, int) and side > 0 for side in (width, height)):
        raise ForeignNetworkError(
            f'{path / ENCODER} says {width!r} x {height!r} for the size of its images, expected '
            'two numbers; download it again'
        )
    return width, height
