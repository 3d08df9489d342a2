# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sun, sky, haze and exposure of a clip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.synthetic.options import Light, StreetOptions
from sg_depth_ros.synthetic.textures import noise

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Lighting:
    """Light and weather; radiances are linear, 1 is what the exposure maps to white."""

    kind: Light
    sun: Array
    """(3,) unit vector in the world frame that points to the sun."""
    sun_color: Array
    """(3,) irradiance on a surface that faces the sun."""
    ambient: Array
    """(3,) irradiance from the whole sky."""
    zenith: Array
    """(3,) radiance of the sky overhead."""
    horizon: Array
    """(3,) radiance of the sky at the horizon and of the haze."""
    haze: float
    """Metres after which 63 % of a colour is haze."""
    clouds: float
    """0 is a clear sky, 1 a covered one."""
    exposure: float
    wetness: float
    seed: float

    @property
    def night(self) -> bool:
        """Whether lamps are lit and the ego's headlights matter."""
        return self.kind == 'night'

    def sky(self, directions_n3: Array) -> Array:
        """Give the radiance (N, 3) of the sky in world directions (N, 3), not normalised."""
        d = directions_n3 / np.linalg.norm(directions_n3, axis=1, keepdims=True)
        up = np.maximum(d[:, 2], 0)
        rise = (1 - np.exp(-3.5 * up))[:, None]
        color = self.horizon * (1 - rise) + self.zenith * rise
        if not self.night:
            glow = np.clip(d @ self.sun, 0, 1)[:, None]
            color = color + self.sun_color * (0.10 * glow**8 + 0.4 * glow**60)
        if self.clouds <= 0:
            return color
        # Clouds lie on a flat layer; towards the horizon they shrink and fade into the haze.
        height = up + 0.12
        u, v = d[:, 0] / height, d[:, 1] / height
        foot = (0.004 / height**2).astype(np.float32)
        wave = noise(u, v, foot, 1.6, 5, np.full_like(u, self.seed))
        cover = np.clip((wave + 3.2 * self.clouds - 1.6) * 0.9, 0, 1)
        shade = 1.0 - 0.16 * np.clip(wave, 0, 2)
        white = (self.horizon * 0.55 + self.ambient * 0.55) * shade[:, None]
        fade = (cover * np.clip(up * 9, 0, 1))[:, None]
        return color * (1 - fade) + white * fade


_SUN_STRENGTH: dict[Light, tuple[float, float]] = {
    'sunny': (2.2, 4.5),
    'overcast': (0.0, 0.25),
    'hazy': (0.6, 1.6),
    'dusk': (0.35, 0.8),
    'rain': (0.0, 0.05),
    'night': (0.0, 0.0),
}


def draw_lighting(rng: np.random.Generator, options: StreetOptions) -> Lighting:
    """Draw the light of a clip."""
    kinds = list(options.lights)
    weights = np.array([options.lights[k] for k in kinds], float)
    kind = kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))]
    azimuth = rng.uniform(0, 2 * np.pi)
    elevation = np.radians(rng.uniform(7, 16) if kind == 'dusk' else rng.uniform(24, 62))
    sun = np.array(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth),
         np.sin(elevation)], np.float32,
    )  # fmt: skip
    strength = rng.uniform(*_SUN_STRENGTH[kind])
    warm = np.array([1.0, 0.62, 0.34] if kind == 'dusk' else [1.0, 0.93, 0.82], np.float32)
    grey = {'sunny': 0.1, 'hazy': 0.6, 'dusk': 0.35}.get(kind, 0.9)
    blue = np.array([0.33, 0.52, 0.95], np.float32)
    tint = blue * (1 - grey) + np.array([0.82, 0.87, 0.92], np.float32) * grey
    level = {'night': 0.012, 'dusk': 0.4, 'rain': 0.6}.get(kind, 1.0)
    ambient = level * rng.uniform(0.4, 0.8) * (tint * 0.4 + 0.6)
    zenith = level * tint * rng.uniform(0.7, 1.6)
    horizon = level * (tint * 0.3 + 0.7) * rng.uniform(1.2, 2.2)
    if kind == 'dusk':
        horizon = horizon * np.array([1.25, 0.95, 0.75], np.float32)
    clouds = {
        'sunny': rng.choice([0.0, rng.uniform(0.1, 0.6)]),
        'overcast': rng.uniform(0.75, 1.0),
        'rain': 1.0,
        'night': 0.0,
    }.get(kind, rng.uniform(0.1, 0.7))
    haze = {'hazy': rng.uniform(90, 280), 'rain': rng.uniform(120, 350)}.get(
        kind, rng.uniform(700, 4000)
    )
    total = float(np.mean(ambient)) + 0.5 * strength
    exposure = 1.15 * rng.uniform(0.75, 1.4) / (total if kind != 'night' else 0.45)
    return Lighting(
        kind,
        sun,
        (strength * warm).astype(np.float32),
        ambient.astype(np.float32),
        zenith.astype(np.float32),
        horizon.astype(np.float32),
        float(haze),
        float(clouds),
        float(exposure),
        float(rng.uniform(0.5, 1.0)) if kind == 'rain' else 0.0,
        float(rng.uniform(0, 100)),
    )
