# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Changes of an image's look that leave its geometry alone."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torchvision.transforms.v2 import functional as T


class JitterConfig(BaseModel):
    """Half widths of the random changes, as torchvision names them, and the share of gray."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    brightness: float = Field(default=0.2, ge=0, lt=1)
    contrast: float = Field(default=0.2, ge=0, lt=1)
    saturation: float = Field(default=0.2, ge=0, lt=1)
    hue: float = Field(default=0.05, ge=0, le=0.5)
    gray: float = Field(default=0.0, ge=0, le=1)
    probability: float = Field(default=0.5, ge=0, le=1)


class ColorJitter:
    """Draws one change of colour and applies it alike to all images of a sample."""

    def __init__(self, config: JitterConfig) -> None:
        self.config = config

    def __call__(self, images_bchw: Tensor, rng: np.random.Generator) -> Tensor:
        """Change RGB images (..., 3, H, W) in [0, 1]."""
        c = self.config
        if rng.random() < c.probability:
            images_bchw = T.adjust_brightness(images_bchw, self._factor(rng, c.brightness))
            images_bchw = T.adjust_contrast(images_bchw, self._factor(rng, c.contrast))
            images_bchw = T.adjust_saturation(images_bchw, self._factor(rng, c.saturation))
            if c.hue:
                images_bchw = T.adjust_hue(images_bchw, rng.uniform(-c.hue, c.hue))
        if rng.random() < c.gray:
            images_bchw = T.rgb_to_grayscale(images_bchw, num_output_channels=3)
        return images_bchw

    @staticmethod
    def _factor(rng: np.random.Generator, half_width: float) -> float:
        return float(rng.uniform(1 - half_width, 1 + half_width))
