# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Changes of an image's look that leave its geometry alone."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

GRAY = np.array([0.2989, 0.587, 0.114], np.float32)
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


class Change(NamedTuple):
    """What chance makes of all images of a sample alike.

    :ivar colours: factors on brightness, contrast and saturation, and the turn of the hue in
        circles; None where they stay
    :ivar gray: take the colours away
    :ivar light: factor on all
    :ivar sigma: of a Gaussian blur, in pixels; 0 for none
    :ivar grain: (N, H, W, 3) that is added, or None
    """

    colours: tuple[float, float, float, float] | None
    gray: bool
    light: float
    sigma: float
    grain: NDArray[np.float32] | None


class ColorJitter:
    """Draws the changes of a sample.

    They are those of torchvision, whose hue takes nine times as long on a CPU.
    """

    def __init__(self, config: JitterConfig) -> None:
        self.config = config

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Change:
        """Draw the change of images of a shape (N, H, W, 3)."""
        c, colours = self.config, None
        if rng.random() < c.probability:
            colours = (
                rng.uniform(1 - c.brightness, 1 + c.brightness),
                rng.uniform(1 - c.contrast, 1 + c.contrast),
                rng.uniform(1 - c.saturation, 1 + c.saturation),
                rng.uniform(-c.hue, c.hue),
            )
        gray = bool(rng.random() < c.gray)
        noise, light = rng.uniform(0, c.noise) if c.noise else 0.0, 1.0
        if c.night and rng.random() < c.night:
            light = rng.uniform(0.1, 0.5)
            noise += 0.02
        sigma = rng.uniform(0.1, 0.1 + c.blur) if c.blur else 0.0
        grain = rng.standard_normal(shape, np.float32) * np.float32(noise) if noise else None
        return Change(colours, gray, light, sigma, grain)

    def __call__(
        self, images_nhw3: NDArray[np.float32], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Change RGB images (N, H, W, 3) in [0, 1]; gives new arrays or the same, unchanged."""
        return change_images(images_nhw3, self.draw(images_nhw3.shape, rng))


def change_images(images_nhw3: NDArray[np.float32], change: Change) -> NDArray[np.float32]:
    """Change RGB images (N, H, W, 3) in [0, 1]; gives new arrays or the same, unchanged."""
    if change.colours is not None:
        brightness, contrast, saturation, hue = change.colours
        images_nhw3 = adjust(
            images_nhw3, brightness=brightness, contrast=contrast, saturation=saturation, hue=hue
        )
    if change.gray:
        images_nhw3 = np.repeat((images_nhw3 @ GRAY)[..., None], 3, axis=3)
    if change.light != 1:
        images_nhw3 = images_nhw3 * np.float32(change.light)
    if change.sigma:
        blurred = [cv2.GaussianBlur(image, (0, 0), change.sigma) for image in images_nhw3]
        images_nhw3 = np.asarray(np.stack(blurred), np.float32)
    if change.grain is not None:
        images_nhw3 = np.clip(images_nhw3 + change.grain, 0, 1)
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
    means = (images @ GRAY).mean((1, 2), keepdims=True)[..., None]
    images = np.clip(means + np.float32(contrast) * (images - means), 0, 1)
    gray = (images @ GRAY)[..., None]
    images = np.clip(gray + np.float32(saturation) * (images - gray), 0, 1)
    if hue:
        flat = np.ascontiguousarray(images).reshape(-1, images.shape[2], 3)
        hsv = cv2.cvtColor(flat, cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0] + np.float32(360 * hue)) % 360
        images = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB).reshape(images.shape)
    return np.asarray(images, np.float32)
