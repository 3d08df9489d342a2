# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From radiance to the camera's 8-bit picture: lens, exposure, tone, noise."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.synthetic.options import StreetOptions

_STEPS = 4096


class Optics:
    """A camera's lens and sensor, fixed for a clip."""

    def __init__(
        self, rng: np.random.Generator, width: int, height: int, exposure: float,
        options: StreetOptions,
    ) -> None:  # fmt: skip
        y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        corner = rng.uniform(0, options.vignetting)
        balance = 1 + rng.uniform(-0.05, 0.05, 3)
        gain = exposure * (1 - corner * (x**2 + y**2) / 2)
        self._gain = (gain[..., None] * balance).astype(np.float32)
        self._blur = options.blur * rng.uniform(0.7, 1.3)
        self._noise = options.sensor_noise * rng.uniform(0.5, 1.5)
        linear = np.arange(_STEPS) / (_STEPS - 1)
        # A soft shoulder, as cameras have, then the display's gamma.
        shoulder = rng.uniform(0.0, 0.6)
        toned = linear * (1 + shoulder) / (1 + shoulder * linear)
        self._tone = (255 * toned ** (1 / rng.uniform(2.0, 2.4))).astype(np.float32)
        self._grain = rng.standard_normal((height + 64, width + 64, 3)).astype(np.float32)

    def expose(self, radiance: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.uint8]:
        """Turn linear radiance (H, W, 3) into an RGB picture (H, W, 3) uint8."""
        image = radiance * self._gain
        # Light beyond white does not bleed as far in a real lens as in a linear blur.
        image = np.minimum(image, 1.6)
        if self._blur > 0.1:
            image = cv2.GaussianBlur(image, (0, 0), self._blur)
        step = np.clip(image * (_STEPS - 1), 0, _STEPS - 1).astype(np.int16)
        toned = np.take(self._tone, step)
        if self._noise > 0:
            # One field of noise, shifted at random, is cheaper than new noise for every frame.
            dy, dx = rng.integers(0, 64, 2)
            height, width = toned.shape[:2]
            toned += 255 * self._noise * self._grain[dy : dy + height, dx : dx + width]
        return np.clip(toned + 0.5, 0, 255).astype(np.uint8)
