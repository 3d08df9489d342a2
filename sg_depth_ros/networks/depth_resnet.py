# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The depth network in its ResNet style: any encoder, a skip decoder, guidance by PAC."""

from __future__ import annotations

import math
from typing import Literal, cast

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn
from torch.nn import functional as F

from sg_depth_ros.networks.encoder import Encoder
from sg_depth_ros.networks.guidance import (
    GuidanceConfig,
    Guide,
    GuidedConv2d,
    guidance_at,
)
from sg_depth_ros.networks.padding import Padding

LEVEL_STRIDES = (32, 16, 8, 4, 2)
"""Strides at which the decoder's levels begin; each ends at half of its stride."""


class DepthResNetConfig(BaseModel):
    """What a depth network in the ResNet style is made of."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    family: Literal['resnet'] = 'resnet'
    encoder: str = 'tf_efficientnet_lite0'
    """A timm model with features at strides 4 to 32, or 2 to 32."""
    mean: tuple[float, float, float] | None = None
    """Of RGB in 0..1, which the encoder takes off; by default that of its ImageNet weights."""
    std: tuple[float, float, float] | None = None
    """By which the encoder then divides."""
    padding: Padding = 'zeros'
    """What the decoder sees outside the image; ``reflect`` as published, exported as slices."""
    decoder_channels: tuple[int, int, int, int, int] = (256, 128, 64, 32, 16)
    """Of the decoder, from stride 16 to 1."""
    min_depth: float = 0.1
    """Nearest depth, in metres (or in the unit of relative depth)."""
    max_depth: float = 100.0
    """Farthest depth."""
    guidance: GuidanceConfig | None = GuidanceConfig()


class DepthResNet(nn.Module):
    """Inverse depth at four scales from an image and frozen semantic features.

    :param config: sizes; ``guidance: None`` gives the same network with plain convolutions
    :param pretrained: start the encoder from ImageNet weights
    """

    def __init__(self, config: DepthResNetConfig, pretrained: bool = False) -> None:
        super().__init__()
        self.config = config
        self.min_depth, self.max_depth = config.min_depth, config.max_depth
        self.encoder = Encoder(config.encoder, pretrained, mean=config.mean, std=config.std)
        self.guide = Guide(config.guidance, LEVEL_STRIDES) if config.guidance else None
        self.guidance_strides = self.guide.source_strides if self.guide else ()
        self.reduce, self.fuse, self.heads = nn.ModuleList(), nn.ModuleList(), nn.ModuleDict()
        channels = self.encoder.channels[32]
        for stride, width in zip(LEVEL_STRIDES, config.decoder_channels, strict=True):
            # The narrow first convolution is the guided one: a tap costs by its channels.
            guidance = guidance_at(config.guidance, stride)
            self.reduce.append(GuidedConv2d(channels, width, guidance, config.padding))
            skip = self.encoder.channels.get(stride // 2, 0)
            self.fuse.append(_conv(width + skip, width, config.padding))
            if stride <= 16:
                self.heads[str(stride // 2)] = _conv(width, 1, config.padding)
            channels = width

    def forward(self, image_bchw: Tensor, features: dict[int, Tensor] | None) -> list[Tensor]:
        """Give inverse depth (B, 1, H/s, W/s) for s = 1, 2, 4, 8, the finest first.

        :param image_bchw: RGB in [0, 1]; height and width are multiples of 32
        :param features: the segmentation network's, at least at :attr:`guidance_strides`
        """
        return self.decode(self.encoder(image_bchw), features)

    def decode(
        self, encoded: dict[int, Tensor], features: dict[int, Tensor] | None
    ) -> list[Tensor]:
        """Give the inverse depths from the encoder's features and the segmentation network's."""
        x = encoded[32]
        guidance = self.guide(features) if self.guide is not None else {}
        inverse_depths: list[Tensor] = []
        for stride, reduce, fuse in zip(LEVEL_STRIDES, self.reduce, self.fuse, strict=True):
            x = F.elu(reduce(x, guidance.get(stride)))
            x = F.interpolate(x, scale_factor=2, mode='nearest')
            finer = stride // 2
            if finer in encoded:
                x = torch.cat([x, encoded[finer]], 1)
            x = F.elu(fuse(x))
            if str(finer) in self.heads:
                inverse_depths.append(self._inverse_depth(self.heads[str(finer)](x)))
        return inverse_depths[::-1]

    @torch.no_grad()
    def begin_in_the_middle(self) -> None:
        """Let untrained heads begin in the geometric middle of the range, a few metres.

        A fresh sigmoid gives a fifth of a metre. On the long way from there, training by exact
        depth can run on to the far end, where the sigmoid has no gradient to come back by. View
        synthesis needs that way: from further out it ends in shapes that only fit the colours.
        """
        low, high = 1 / self.max_depth, 1 / self.min_depth
        share = (math.sqrt(low * high) - low) / (high - low)
        for head in self.heads.values():
            cast(Tensor, head.bias).fill_(math.log(share / (1 - share)))

    def _inverse_depth(self, logits: Tensor) -> Tensor:
        """Map to inverse depth between 1 / max_depth and 1 / min_depth."""
        low, high = 1 / self.max_depth, 1 / self.min_depth
        return low + (high - low) * logits.sigmoid()


def _conv(in_channels: int, out_channels: int, padding: Padding) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 3, padding=1, padding_mode=padding)
