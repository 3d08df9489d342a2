# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pose network, which training alone needs."""

from __future__ import annotations

from typing import cast

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn


class PoseNetConfig(BaseModel):
    """What a pose network is made of."""

    model_config = ConfigDict(extra='forbid', frozen=True)

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
