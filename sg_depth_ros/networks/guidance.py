# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How frozen semantic features reach the levels of a depth decoder."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor, nn
from torch.nn import functional as F

from sg_depth_ros.networks.pac import PacConv2d
from sg_depth_ros.networks.padding import Padding, reflect


class GuidanceConfig(BaseModel):
    """Where and how a decoder is guided."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    strides: tuple[int, ...] = (2, 4, 8, 16)
    """Levels that are guided: of 32, 16, 8, 4, 2 in the ResNet style, of 16, 8, 4, 2, 1 in
    PackNet."""
    feature_channels: int = 64
    """Channels of the segmentation network's pyramid."""
    channels: int = 16
    """Channels of f, to which the features are projected."""
    kernel_size: int = Field(default=3, ge=1)
    """Window of a guided convolution, in pixels; odd."""
    sigma: float = Field(default=1.0, gt=0)
    """Width of the kernel K that training starts from, in units of f."""
    normalize: bool = False
    """Divide by the sum of K over the taps inside the image."""

    @field_validator('kernel_size')
    @classmethod
    def _is_odd(cls, size: int) -> int:
        if size % 2 == 0:
            raise ValueError(f'a window has an odd size, found {size}')
        return size


class Guide(nn.Module):
    """Projects the pyramid features to f, once for every guided stride, and resizes them.

    A stride finer than the pyramid's finest takes its features from there.

    :param decoder_strides: those at which the decoder can be guided
    :raises ValueError: if others are to be
    """

    def __init__(self, config: GuidanceConfig, decoder_strides: tuple[int, ...]) -> None:
        super().__init__()
        if unknown := sorted(set(config.strides) - set(decoder_strides)):
            raise ValueError(
                f'guidance at strides {unknown} has no place in this decoder, whose strides are '
                f'{sorted(decoder_strides)}; take those out of guidance.strides'
            )
        self.sources = {stride: max(stride, 4) for stride in config.strides}
        self.source_strides = tuple(sorted(set(self.sources.values())))
        self.project = nn.ModuleDict(
            {str(s): nn.Conv2d(config.feature_channels, config.channels, 1) for s in self.sources}
        )

    def forward(self, features: dict[int, Tensor] | None) -> dict[int, Tensor]:
        """Give f (B, D, H/s, W/s) by guided stride s.

        :raises ValueError: if features of a needed stride are missing
        """
        missing = [s for s in self.source_strides if s not in (features or {})]
        if features is None or missing:
            raise ValueError(
                f'a guided network needs the segmentation features of strides '
                f'{list(self.source_strides)}, missing are {missing}'
            )
        guidance = {}
        for stride, source in self.sources.items():
            f = self.project[str(stride)](features[source])
            if source != stride:
                f = F.interpolate(f, scale_factor=source // stride, mode='bilinear')
            guidance[stride] = f
        return guidance


def guidance_at(config: GuidanceConfig | None, stride: int) -> GuidanceConfig | None:
    """Give the guidance of a decoder's level, None where it has none."""
    return config if config is not None and stride in config.strides else None


class GuidedConv2d(nn.Module):
    """A convolution that is pixel-adaptive where it is guided, and plain and 3x3 where not.

    :param config: of the guidance; None for the plain one
    :param padding: what it sees outside the image; under ``reflect`` features are mirrored too
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        config: GuidanceConfig | None,
        padding: Padding = 'zeros',
    ) -> None:
        super().__init__()
        self.out_channels, self.guided = out_channels, config is not None
        self.margin = config.kernel_size // 2 if config and padding == 'reflect' else 0
        self.conv = (
            nn.Conv2d(in_channels, out_channels, 3, padding=1, padding_mode=padding)
            if config is None
            else PacConv2d(
                in_channels,
                out_channels,
                config.kernel_size,
                sigma=config.sigma,
                normalize=config.normalize,
            )
        )

    def forward(self, x_bchw: Tensor, guidance_bdhw: Tensor | None) -> Tensor:
        """Convolve x (B, C, H, W), under guidance (B, D, H, W) if this layer is guided."""
        if not self.guided:
            plain: Tensor = self.conv(x_bchw)
            return plain
        assert guidance_bdhw is not None
        margin = self.margin
        if not margin:
            out: Tensor = self.conv(x_bchw, guidance_bdhw)
            return out
        # What the frame itself answers is cut off again.
        framed: Tensor = self.conv(reflect(x_bchw, margin), reflect(guidance_bdhw, margin))
        return framed[..., margin:-margin, margin:-margin]
