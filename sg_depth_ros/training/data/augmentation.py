# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Changes of an image's look that leave its geometry alone."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

_GRAY = np.array([0.2989, 0.587, 0.114], np.float32)
"""Weights of red, green and blue in brightness, as torchvision has them."""


class JitterConfig(BaseModel):
    """Half widths of the random changes, as torchvision names them, and what a bad camera adds."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    brightness: float = Field(default=0.2, ge=0, lt=1)
    """Half width of the random factor on brightness."""
    contrast: float = Field(default=0.2, ge=0, lt=1)
    """Half width of that on contrast."""
    saturation: float = Field(default=0.2, ge=0, lt=1)
    """Half width of that on saturation."""
    hue: float = Field(default=0.05, ge=0, le=0.5)
    """Half width of the random turn of the hue, in circles."""
    gray: float = Field(default=0.0, ge=0, le=1)
    """Share of samples without colour."""
    probability: float = Field(default=0.5, ge=0, le=1)
    """Share of samples whose brightness, contrast, saturation and hue are changed."""
    blur: float = Field(default=0.0, ge=0)
    """How far the standard deviation of a Gaussian blur may exceed a tenth of a pixel."""
    noise: float = Field(default=0.0, ge=0, lt=1)
    """Largest standard deviation of Gaussian noise, of the full range."""
    night: float = Field(default=0.0, ge=0, le=1)
    """Share of samples that are darkened to a tenth to a half, with noise to match."""


class ColorJitter:
    """Draws one change of colour and applies it alike to all images of a sample.

    The changes are those of torchvision, whose hue takes nine times as long on a CPU.
    """

    def __init__(self, config: JitterConfig) -> None:
        self.config = config

    def __call__(
        self, images_nhw3: NDArray[np.float32], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Change RGB images (N, H, W, 3) in [0, 1]; gives new arrays or the same, unchanged."""
        c = self.config
        if rng.random() < c.probability:
            images_nhw3 = adjust(
                images_nhw3,
                brightness=rng.uniform(1 - c.brightness, 1 + c.brightness),
                contrast=rng.uniform(1 - c.contrast, 1 + c.contrast),
                saturation=rng.uniform(1 - c.saturation, 1 + c.saturation),
                hue=rng.uniform(-c.hue, c.hue),
            )
        if rng.random() < c.gray:
            gray = images_nhw3 @ _GRAY
            images_nhw3 = np.repeat(gray[..., None], 3, axis=3)
        noise = rng.uniform(0, c.noise) if c.noise else 0.0
        if c.night and rng.random() < c.night:
            images_nhw3 = images_nhw3 * np.float32(rng.uniform(0.1, 0.5))
            noise += 0.02
        if c.blur:
            sigma = rng.uniform(0.1, 0.1 + c.blur)
            images_nhw3 = np.stack([cv2.GaussianBlur(i, (0, 0), sigma) for i in images_nhw3])
        if noise:
            grain = rng.standard_normal(images_nhw3.shape, np.float32) * np.float32(noise)
            images_nhw3 = np.clip(images_nhw3 + grain, 0, 1)
        return images_nhw3


def adjust(
    images_nhw3: NDArray[np.float32],
    *,
    brightness: float = 1.0,
    contrast: float = 1.0,
    saturation: float = 1.0,
    hue: float = 0.0,
) -> NDArray[np.float32]:
    """Change RGB images (N, H, W, 3) in [0, 1] by factors, and turn the hue by a part of a circle.

    Brightness comes first, then contrast about each image's mean gray, saturation, hue.
    """
    images = np.clip(images_nhw3 * np.float32(brightness), 0, 1)
    means = (images @ _GRAY).mean((1, 2), keepdims=True)[..., None]
    images = np.clip(means + np.float32(contrast) * (images - means), 0, 1)
    gray = (images @ _GRAY)[..., None]
    images = np.clip(gray + np.float32(saturation) * (images - gray), 0, 1)
    if hue:
        flat = np.ascontiguousarray(images).reshape(-1, images.shape[2], 3)
        hsv = cv2.cvtColor(flat, cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0] + np.float32(360 * hue)) % 360
        images = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB).reshape(images.shape)
    return np.asarray(images, np.float32)
