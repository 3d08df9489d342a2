# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The segmentation network whose frozen features guide depth: an encoder and a feature pyramid."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import Self

from sg_depth_ros.networks.encoder import Encoder

PYRAMID_STRIDES = (4, 8, 16, 32)


class SegmentationConfig(BaseModel):
    """What a segmentation network is made of."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    encoder: str = 'tf_efficientnet_lite0'
    """A timm model with features at strides 4 to 32."""
    pyramid_channels: int = 64
    """Of the feature pyramid."""
    classes: int = 19
    """Of the label set."""


class SegmentationNet(nn.Module):
    """Encoder, feature pyramid and classifier (METHOD: frozen segmentation network).

    :param config: sizes
    :param pretrained: start the encoder from ImageNet weights
    """

    def __init__(self, config: SegmentationConfig, pretrained: bool = False) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.encoder, pretrained)
        channels = config.pyramid_channels
        self.lateral = nn.ModuleDict(
            {str(s): nn.Conv2d(self.encoder.channels[s], channels, 1) for s in PYRAMID_STRIDES}
        )
        self.smooth = nn.ModuleDict({str(s): _smoothing(channels) for s in PYRAMID_STRIDES})
        self.classifier = nn.Conv2d(channels, config.classes, 1)
        self.frozen = False

    def forward(self, image_bchw: Tensor) -> tuple[dict[int, Tensor], Tensor]:
        """Segment RGB images in [0, 1] (B, 3, H, W).

        :return: pyramid features (B, D, H/s, W/s) by stride s, and logits (B, classes, H, W)
        """
        features = self.features(image_bchw)
        size = features[PYRAMID_STRIDES[0]].shape[-2:]
        summed = features[PYRAMID_STRIDES[0]]
        for stride in PYRAMID_STRIDES[1:]:
            summed = summed + F.interpolate(features[stride], size, mode='bilinear')
        logits = F.interpolate(self.classifier(summed), image_bchw.shape[-2:], mode='bilinear')
        return features, logits

    def features(self, image_bchw: Tensor) -> dict[int, Tensor]:
        """Give the pyramid features alone, which are all that guidance needs."""
        encoded = self.encoder(image_bchw)
        features: dict[int, Tensor] = {}
        coarser: Tensor | None = None
        for stride in reversed(PYRAMID_STRIDES):
            level = self.lateral[str(stride)](encoded[stride])
            if coarser is not None:
                level = level + F.interpolate(coarser, level.shape[-2:], mode='nearest')
            coarser = level
            features[stride] = self.smooth[str(stride)](level)
        return features

    def freeze(self) -> Self:
        """Fix every parameter and statistic; :meth:`train` no longer changes the mode."""
        self.frozen = True
        self.requires_grad_(False)
        return self.eval()

    def train(self, mode: bool = True) -> Self:
        """Set training mode, which a frozen network refuses silently, as its owner sets it."""
        return super().train(mode and not self.frozen)


def _smoothing(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )
