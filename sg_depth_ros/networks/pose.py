# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pose networks, which training alone needs."""

from __future__ import annotations

from typing import Literal, cast

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from sg_depth_ros.networks.encoder import Encoder
from sg_depth_ros.networks.rotations import euler_of_rotation, rotation_of_axis_angle


class PoseNetConfig(BaseModel):
    """What a pose network is made of that looks at all images at once."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    family: Literal['stack'] = 'stack'
    channels: tuple[int, ...] = (16, 32, 64, 128, 256, 256, 256)
    """Of its convolutions, each of stride 2."""
    neighbours: int = 2
    """Images beside the target."""
    scale: float = 0.01
    """Factor of the output: poses of neighbouring frames are small."""
    begin_still: bool = False
    """Begin at no motion; where ``scale`` is large, depth flees to infinity from a wrong one."""


class PoseNet(nn.Module):
    """Motion from the target frame to each neighbour (METHOD: pose network)."""

    def __init__(self, config: PoseNetConfig) -> None:
        super().__init__()
        self.config = config
        layers: list[nn.Module] = []
        channels = 3 * (1 + config.neighbours)
        for index, width in enumerate(config.channels):
            kernel = {0: 7, 1: 5}.get(index, 3)
            layers += [
                nn.Conv2d(channels, width, kernel, stride=2, padding=kernel // 2),
                nn.GroupNorm(16, width),
                nn.ReLU(inplace=True),
            ]
            channels = width
        last = nn.Conv2d(channels, 6 * config.neighbours, 1)
        if config.begin_still:
            nn.init.zeros_(last.weight)
            nn.init.zeros_(cast(Tensor, last.bias))
        self.body = nn.Sequential(*layers, last)

    def forward(self, target_bchw: Tensor, neighbours_bnchw: Tensor) -> Tensor:
        """Give (B, N, 6): Euler angles x, y, z in radians and a translation for each neighbour."""
        stacked = torch.cat([target_bchw[:, None], neighbours_bnchw], 1).flatten(1, 2)
        mean = self.body(stacked).mean((2, 3))
        return self.config.scale * mean.unflatten(1, (self.config.neighbours, 6))


class PoseResNetConfig(BaseModel):
    """What a pose network is made of that looks at the target with one neighbour at a time."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    family: Literal['resnet'] = 'resnet'
    encoder: str = 'resnet18'
    """A timm model with features at stride 32."""
    mean: tuple[float, float, float] | None = None
    """Of RGB in 0..1, which the encoder takes off; by default that of its ImageNet weights."""
    std: tuple[float, float, float] | None = None
    """By which the encoder then divides."""
    neighbours: int = 2
    """Images beside the target that poses are asked of."""
    scale: float = 0.01
    """Factor of the output: poses of neighbouring frames are small."""
    rotation: Literal['euler', 'axis_angle'] = 'euler'
    """What the network's first three values are: packnet-sfm's, or monodepth2's."""
    in_time: bool = False
    """Show each pair in the order of time, the first neighbour before the target and the others
    behind it, and invert what is said of the first: monodepth2's way. Else the target comes first.
    """


class PoseResNet(nn.Module):
    """Motion from the target frame to each neighbour, pair by pair.

    :param pretrained: start the encoder from ImageNet weights
    """

    def __init__(self, config: PoseResNetConfig, pretrained: bool = False) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(
            config.encoder, pretrained, mean=config.mean, std=config.std, images=2
        )
        self.squeeze = nn.Conv2d(self.encoder.channels[32], 256, 1)
        # As published, for two motions, of which the second is not used.
        self.convs = nn.ModuleList(
            [
                nn.Conv2d(256, 256, 3, padding=1),
                nn.Conv2d(256, 256, 3, padding=1),
                nn.Conv2d(256, 12, 1),
            ]
        )

    def forward(self, target_bchw: Tensor, neighbours_bnchw: Tensor) -> Tensor:
        """Give (B, N, 6): Euler angles x, y, z in radians and a translation for each neighbour."""
        poses = []
        for index, neighbour in enumerate(neighbours_bnchw.unbind(1)):
            behind = self.config.in_time and index == 0
            pair = [neighbour, target_bchw] if behind else [target_bchw, neighbour]
            poses.append(self._as_euler(self._motion(torch.cat(pair, 1)), behind))
        return torch.stack(poses, 1)

    def _motion(self, pair_bchw: Tensor) -> Tensor:
        """Give (B, 6), the rotation first, from the first to the second image of a pair."""
        x = self.squeeze(self.encoder(pair_bchw)[32]).relu()
        first, second, last = self.convs
        x = last(second(first(x).relu()).relu())
        return self.config.scale * x.mean((2, 3))[:, :6]

    def _as_euler(self, motion_b6: Tensor, inverted: bool) -> Tensor:
        """Give (B, 6) with Euler angles, of the inverse motion where that is wanted."""
        if self.config.rotation == 'euler' and not inverted:
            return motion_b6
        motion = motion_b6.float()
        rotation = self._rotation(motion[:, :3])
        translation = motion[:, 3:, None]
        if inverted:
            rotation = rotation.mT
            translation = -rotation @ translation
        return torch.cat([euler_of_rotation(rotation), translation[..., 0]], 1)

    def _rotation(self, vector_b3: Tensor) -> Tensor:
        """Give (B, 3, 3) rotations of the network's first three values."""
        if self.config.rotation == 'axis_angle':
            return rotation_of_axis_angle(vector_b3)
        about = torch.eye(3, device=vector_b3.device)
        x, y, z = (rotation_of_axis_angle(vector_b3[:, i, None] * about[i]) for i in range(3))
        return x @ y @ z
