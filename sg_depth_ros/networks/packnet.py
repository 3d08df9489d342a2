# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PackNet (Guizilini et al., CVPR 2020), which the paper guides by semantics.

It keeps detail by packing pixels into channels where others pool, and needs no ImageNet weights.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn
from torch.nn import functional as F

from sg_depth_ros.networks.guidance import (
    GuidanceConfig,
    Guide,
    GuidedConv2d,
    guidance_at,
)
from sg_depth_ros.networks.pac import PacConv2d
from sg_depth_ros.networks.packing import Pack, Unpack

DECODER_STRIDES = (16, 8, 4, 2, 1)
HEAD_STRIDES = (8, 4, 2, 1)


class PackNetConfig(BaseModel):
    """What a PackNet is made of; the defaults are the published sizes."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    family: Literal['packnet'] = 'packnet'
    stem_channels: int = 64
    """Of the first convolution."""
    channels: tuple[int, int, int, int, int] = (64, 64, 128, 256, 512)
    """At strides 1 to 16; with 8 channels of 3D convolution, multiples of twice the groups."""
    blocks: tuple[int, int, int, int] = (2, 2, 3, 3)
    """Residual blocks at strides 2 to 16."""
    pack_kernels: tuple[int, int, int, int, int] = (5, 3, 3, 3, 3)
    """Kernel sizes of the packs, from stride 2 to 32."""
    conv3d_channels: int = 8
    """Of the 3D convolutions of packs and unpacks."""
    groups: int = 16
    """Of the group normalisations."""
    min_depth: float = 0.5
    """Nearest depth, in metres (or in the unit of relative depth)."""
    max_depth: float = 100.0
    """Farthest depth given; the sigmoid alone would reach infinity."""
    guidance: GuidanceConfig | None = GuidanceConfig()


class PackNet(nn.Module):
    """Inverse depth at four scales from an image and frozen semantic features.

    Guidance makes the decoder's convolutions at its strides pixel-adaptive. It adds projections
    of the features and widths of the kernels, so a network trained without serves as a start.

    :param config: sizes; ``guidance: None`` gives the published network
    """

    def __init__(self, config: PackNetConfig) -> None:
        super().__init__()
        self.config = config
        self.min_depth, self.max_depth = config.min_depth, config.max_depth
        self.guide = Guide(config.guidance, DECODER_STRIDES) if config.guidance else None
        self.guidance_strides = self.guide.source_strides if self.guide else ()
        groups, depth, widths = config.groups, config.conv3d_channels, config.channels
        self.stem = _Block(nn.Conv2d(3, config.stem_channels, 5, padding=2), groups)
        first = nn.Conv2d(config.stem_channels, widths[0], 7, padding=3)
        self.stages = nn.ModuleList([_Block(first, groups)])
        for (before, width), blocks in zip(pairwise(widths), config.blocks, strict=True):
            sizes = [before] + [width] * blocks
            self.stages.append(
                nn.Sequential(*(_Residual(a, b, groups) for a, b in pairwise(sizes)))
            )
        self.packs, self.unpacks = nn.ModuleList(), nn.ModuleList()
        self.fuse, self.heads = nn.ModuleList(), nn.ModuleDict()
        for width, kernel in zip(widths, config.pack_kernels, strict=True):
            self.packs.append(_Block(Pack(width, kernel, depth), groups))
        skips = (config.stem_channels, *widths[:-1])
        coarser = widths[-1]
        for stride, width, skip in zip(DECODER_STRIDES, widths[::-1], skips[::-1], strict=True):
            unpacked = nn.Conv2d(coarser, 4 * width // depth, 3, padding=1)
            self.unpacks.append(nn.Sequential(_Block(unpacked, groups), Unpack(depth)))
            channels = width + skip + (2 * stride in HEAD_STRIDES)
            conv = GuidedConv2d(channels, width, guidance_at(config.guidance, stride))
            self.fuse.append(_Block(conv, groups))
            if stride in HEAD_STRIDES:
                self.heads[str(stride)] = nn.Conv2d(width, 1, 3, padding=1)
            coarser = width
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Conv3d | PacConv2d):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, image_bchw: Tensor, features: dict[int, Tensor] | None) -> list[Tensor]:
        """Give inverse depth (B, 1, H/s, W/s) for s = 1, 2, 4, 8, the finest first.

        :param image_bchw: RGB in [0, 1]; height and width are multiples of 32
        :param features: the segmentation network's, at least at :attr:`guidance_strides`
        """
        guidance = self.guide(features) if self.guide is not None else {}
        x = self.stem(image_bchw)
        skips = []
        for stage, pack in zip(self.stages, self.packs, strict=True):
            skips.append(x)
            x = pack(stage(x))
        inverse_depths: list[Tensor] = []
        for stride, unpack, fuse in zip(DECODER_STRIDES, self.unpacks, self.fuse, strict=True):
            parts = [unpack(x), skips.pop()]
            if inverse_depths:
                parts.append(F.interpolate(inverse_depths[-1], scale_factor=2, mode='nearest'))
            x = fuse(torch.cat(parts, 1), guidance.get(stride))
            if stride in HEAD_STRIDES:
                inverse_depths.append(self._inverse_depth(self.heads[str(stride)](x)))
        return inverse_depths[::-1]

    def _inverse_depth(self, logits: Tensor) -> Tensor:
        """Map to inverse depth between 0 and 1 / min_depth, stopped at 1 / max_depth."""
        return (logits.sigmoid() / self.min_depth).clamp(min=1 / self.max_depth)


class _Block(nn.Module):
    """A convolution, group normalisation and ELU."""

    def __init__(self, conv: nn.Conv2d | GuidedConv2d | Pack, groups: int) -> None:
        super().__init__()
        self.conv = conv
        self.norm = nn.GroupNorm(groups, conv.out_channels)

    def forward(self, x_bchw: Tensor, *guidance: Tensor | None) -> Tensor:
        return F.elu(self.norm(self.conv(x_bchw, *guidance)), inplace=True)


class _Residual(nn.Module):
    """Two blocks beside a 1x1 convolution."""

    def __init__(self, in_channels: int, out_channels: int, groups: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            _Block(nn.Conv2d(in_channels, out_channels, 3, padding=1), groups),
            _Block(nn.Conv2d(out_channels, out_channels, 3, padding=1), groups),
        )
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1)
        self.norm = nn.GroupNorm(groups, out_channels)

    def forward(self, x_bchw: Tensor) -> Tensor:
        return F.elu(self.norm(self.blocks(x_bchw) + self.shortcut(x_bchw)), inplace=True)
