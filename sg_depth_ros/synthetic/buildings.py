# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Houses along the street: façades with windows and doors, flat or pitched roofs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.bundle.labels import ID
from sg_depth_ros.synthetic.mesh import Look, Material, Mesh, box, concatenate, hexahedra, polygons
from sg_depth_ros.synthetic.pictures import NUMBER

_WALLS = (
    (0.72, 0.70, 0.64), (0.60, 0.52, 0.38), (0.66, 0.60, 0.48), (0.32, 0.13, 0.08),
    (0.25, 0.17, 0.12), (0.42, 0.40, 0.38), (0.55, 0.36, 0.24), (0.30, 0.34, 0.38),
    (0.62, 0.48, 0.42), (0.82, 0.82, 0.80),
)  # fmt: skip
_ROOFS = ((0.30, 0.10, 0.05), (0.16, 0.07, 0.05), (0.07, 0.07, 0.08), (0.12, 0.10, 0.09))
_FOUNDATION = 1.5
"""Metres that walls reach into the ground, for slopes."""


@dataclass(frozen=True)
class Plot:
    """Where a house stands: its base, counter-clockwise from above, front edge first."""

    base: NDArray[np.float64]
    """(4, 3) corners at the height of the ground before the house."""

    @property
    def width(self) -> float:
        """Metres along the street."""
        return float(np.linalg.norm(self.base[1] - self.base[0]))

    @property
    def along(self) -> NDArray[np.float64]:
        """Unit vector along the front, from the first corner to the second."""
        edge = self.base[1] - self.base[0]
        return edge / np.linalg.norm(edge)

    @property
    def outwards(self) -> NDArray[np.float64]:
        """Unit vector from the front towards the street."""
        return np.array([self.along[1], -self.along[0], 0])


def make_building(
    rng: np.random.Generator, plot: Plot, storeys: int, pitched: bool, randomness: float
) -> Mesh:
    """Make a house on a plot."""
    storey = rng.uniform(2.7, 3.5)
    wall = np.array(_WALLS[int(rng.integers(len(_WALLS)))]) * rng.uniform(0.6, 1.1)
    if rng.uniform() < randomness:
        wall = rng.uniform(0.1, 0.7) * rng.uniform(0.45, 1.2, 3)
    seed = rng.uniform(0, 60)
    bay = rng.uniform(1.8, 3.6)
    shop = storeys > 2 and rng.uniform() < 0.4
    style = int(rng.uniform() < 0.3) + 2 * int(rng.uniform() < 0.3) + 4 * int(shop)
    wide, high = rng.uniform(0.35, 0.75), rng.uniform(0.42, 0.68)
    top = storeys * storey + rng.uniform(0.2, 0.9)
    lower = plot.base - (0, 0, _FOUNDATION)
    upper = plot.base + np.array((0, 0, top))
    upper[:, 2] = upper[:, 2].max()
    corners = np.concatenate([lower, upper])
    body = hexahedra([corners], ID['building'], color=wall, material=Material.FACADE)
    body.texture[:, 1, 3] -= _FOUNDATION
    edges = np.linalg.norm(np.roll(lower, -1, 0) - lower, axis=1)
    for face, length in enumerate(edges):
        bays = max(1, round(length / bay))
        open_share = wide if face in (0, 2) or rng.uniform() < 0.5 else 0.0
        body.params[face] = (length / bays, storey, open_share, high, style, seed + face)
    body.material[4] = Material.PLAIN
    body.params[4] = (2.0, 0.2, 0, 0, 0, seed)
    body.color[4] = (0.2, 0.19, 0.18)
    parts = [body, *_entrances(rng, plot, bay, shop)]
    if pitched:
        parts.append(_roof(rng, upper, wall, seed))
    elif rng.uniform() < 0.5:
        parts.append(_cornice(upper, wall * 0.75))
    return concatenate(parts)


def _entrances(rng: np.random.Generator, plot: Plot, bay: float, shop: bool) -> list[Mesh]:
    """Put a door, and for some houses a garage, just before the front wall."""
    parts = []
    wanted = [('door', 1.1, 2.2)]
    if not shop and plot.width > 9 and rng.uniform() < 0.3:
        wanted.append(('garage', 2.6, 2.2))
    taken = rng.uniform(0.6, max(0.7, plot.width - 5))
    for name, width, height in wanted:
        if taken + width > plot.width - 0.3:
            break
        start = plot.base[0] + plot.along * taken + plot.outwards * 0.06
        end = start + plot.along * width
        rise = np.array([0, 0, height])
        parts.append(
            polygons(
                [[start, end, end + rise, start + rise]], ID['building'],
                color=rng.uniform(0.03, 0.4) * rng.uniform(0.5, 1.2, 3), material=Material.PICTURE,
                params=(NUMBER[name], 0, 0, 0, 0, 0), uv=[(0, 1), (1, 1), (1, 0), (0, 0)],
            )
        )  # fmt: skip
        taken += width + 0.8
    return parts


def _cornice(upper: NDArray[np.float64], color: NDArray[np.float64]) -> Mesh:
    center = upper.mean(0)
    out = upper + 0.35 * (upper - center) / np.linalg.norm(upper - center, axis=1)[:, None]
    return hexahedra(
        [np.concatenate([out - (0, 0, 0.1), out + np.array((0, 0, 0.25))])], ID['building'],
        color=color, params=(1.0, 0.08, 0, 0, 0, 0),
    )  # fmt: skip


def _roof(
    rng: np.random.Generator, upper: NDArray[np.float64], wall: NDArray[np.float64], seed: float
) -> Mesh:
    """Make a tiled roof with its ridge along or across the street, and perhaps a chimney."""
    a, b, c, d = upper
    if rng.uniform() < 0.35:
        a, b, c, d = b, c, d, a
    span = np.linalg.norm(d - a)
    rise = np.array([0, 0, span * rng.uniform(0.3, 0.55)])
    e0, e1 = (a + d) / 2 + rise, (b + c) / 2 + rise
    along = (b - a) / np.linalg.norm(b - a) * 0.3
    tiles: Look = {
        'color': np.array(_ROOFS[int(rng.integers(len(_ROOFS)))]) * rng.uniform(0.7, 1.3),
        'params': (0.8, 0.12, 1, 0.3, 0.35, seed),
        'two_sided': True,
    }
    overhang = 0.08
    slopes = []
    for low0, low1, high0, high1 in ((a, b, e0, e1), (c, d, e1, e0)):
        out = along if low0 is a else -along
        eaves0, eaves1 = low0 + overhang * (low0 - high0), low1 + overhang * (low1 - high1)
        slopes.append([eaves0 - out, eaves1 + out, high1 + out, high0 - out])
    gable: Look = {'color': wall, 'params': (1.5, 0.1, 0, 0, 0, seed)}
    parts = [
        polygons(slopes, ID['building'], **tiles),
        polygons([[b, c, e1, e1], [d, a, e0, e0]], ID['building'], **gable),
    ]
    if rng.uniform() < 0.6:
        foot = e0 + (e1 - e0) * rng.uniform(0.15, 0.85)
        parts.append(
            box(foot - (0.35, 0.35, 1.0), foot + np.array((0.35, 0.35, 0.9)), ID['building'],
                color=(0.25, 0.12, 0.09), params=(0.5, 0.1, 1, 0.24, 0.08, seed))
        )  # fmt: skip
    return concatenate(parts)
