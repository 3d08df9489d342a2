# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ground of a stretch of street: carriageway, kerbs, pavements, verges and fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.bundle.labels import ID
from sg_depth_ros.synthetic.centreline import Centreline
from sg_depth_ros.synthetic.mesh import Look, Material, Mesh, concatenate, polygons
from sg_depth_ros.synthetic.styles import Style

if TYPE_CHECKING:
    from typing_extensions import Unpack

STEP = 4.0
"""Metres between the cross-sections that the ground is made of."""
KERB = 0.12
FIELD = 90.0
"""How far the fields reach to either side."""
_WRAP = 6144.0
"""Texture coordinates along the road start again after this, to stay exact in 32 bits."""


@dataclass(frozen=True)
class GroundColors:
    """Linear colours and texture settings of the ground of one clip."""

    asphalt: NDArray[np.float64]
    paving: NDArray[np.float64]
    slab: tuple[float, float]
    grass: NDArray[np.float64]
    bare: float


def draw_ground_colors(rng: np.random.Generator, randomness: float) -> GroundColors:
    """Draw the colours of a clip."""

    def tone(low: float, high: float, tint: tuple[float, float, float]) -> NDArray[np.float64]:
        if rng.uniform() < randomness:
            return rng.uniform(0.06, 0.4) * rng.uniform(0.7, 1.3, 3)
        return rng.uniform(low, high) * np.array(tint)

    slab = float(rng.choice([0.12, 0.3, 0.5, 1.0]))
    return GroundColors(
        rng.uniform(0.07, 0.22) * rng.uniform(0.93, 1.07, 3),
        tone(0.16, 0.40, (1.0, 0.95, 0.88)),
        (slab * 1.5, slab),
        tone(0.10, 0.24, (0.75, 1.0, 0.35)),
        rng.uniform(0.1, 0.6),
    )


def make_ground(
    line: Centreline, style: Style, colors: GroundColors, s0: float, s1: float,
    side_street: tuple[float, float] | None, crossing: float | None, seed: float,
) -> Mesh:  # fmt: skip
    """Make the ground from s0 to s1.

    :param side_street: range of s in which a street opens to both sides, where there is one.
    :param crossing: s at which a zebra crossing starts, if any; it is one step long.
    """
    count = round((s1 - s0) / STEP)
    s = np.linspace(s0, s1, count + 1)
    middle = (s[:-1] + s[1:]) / 2
    crossed = np.zeros(count)
    if crossing is not None:
        crossed[(middle > crossing) & (middle < crossing + STEP)] = 1
    opened = np.zeros(count, bool)
    if side_street is not None:
        opened = (middle > side_street[0]) & (middle < side_street[1])
    right, left = style.half_width(-1), style.half_width(1)
    road = np.zeros((count, 6))
    road[:] = (style.lane, style.lanes, style.dash, style.edge, style.wear, 0)
    road[:, 5] = crossed
    road[opened, 2:4] = 0
    asphalt: Look = {'color': colors.asphalt, 'material': Material.ROAD, 'params': road}
    blank: Look = {**asphalt, 'params': (style.lane, 0, 0, 0, 1, 0)}
    parts = [
        _strip(line, s, (-right, 0), (0, 0), ID['road'], **asphalt),
        _strip(line, s, (0, left), (0, 0), ID['road'], **asphalt),
    ]
    bends = line.sharpest_near((s0 + s1) / 2, 60.0)
    for side in (-1, 1):
        edge = style.half_width(side)
        field = min(FIELD, 0.7 / max(bends[0 if side < 0 else 1], 1e-6))
        kerb = KERB if style.pavement > 0 else 0.0
        inner = edge + style.pavement
        if kerb:
            grey: Look = {
                'color': colors.paving * 0.8 + 0.08,
                'params': (0.4, 0.15, 2, 1.0, 1.0, seed),
            }
            stone = _strip(line, s, (side * edge, side * edge), (0, kerb), ID['sidewalk'],
                           skip=opened, flip=side < 0, **grey)  # fmt: skip
            top = _strip(line, s, (side * edge, side * (edge + 0.15)), (kerb, kerb),
                         ID['sidewalk'], skip=opened, **grey)  # fmt: skip
            paving = (*colors.slab, 0.4, 0.25, 0, seed)
            parts += [
                stone,
                top,
                _strip(line, s, (side * (edge + 0.15), side * inner), (kerb, kerb),
                       ID['sidewalk'], skip=opened, color=colors.paving,
                       material=Material.PAVING, params=paving),
                _strip(line, s, (side * edge, side * field), (0, 0), ID['road'],
                       skip=~opened, **blank),
            ]  # fmt: skip
        grass: Look = {'color': colors.grass, 'material': Material.TERRAIN,
                 'params': (colors.bare, 3.0, 0, 0, 0, seed)}  # fmt: skip
        outer = max(inner + 6.0, inner + style.setback)
        for d0, d1, h0, h1 in (
            (inner, outer, kerb, kerb + 0.1),
            (outer, max(field, outer + 1), kerb + 0.1, kerb + 0.8),
        ):
            parts.append(
                _strip(line, s, (side * d0, side * d1), (h0, h1), ID['terrain'],
                       skip=opened & (kerb > 0), **grass)
            )  # fmt: skip
    return concatenate(parts)


def _strip(
    line: Centreline, s: NDArray[np.float64], d: tuple[float, float], h: tuple[float, float],
    label: int, skip: NDArray[np.bool_] | None = None, flip: bool = False, **look: Unpack[Look],
) -> Mesh:  # fmt: skip
    """Make a strip along the road between two offsets and heights, two triangles a step."""
    # From right to left, so that the upper side is the outside.
    if d[0] > d[1] or flip:
        d, h = d[::-1], h[::-1]
    a, b = line.place(s, d[0], h[0]), line.place(s, d[1], h[1])
    wrapped = np.mod(s[:-1], _WRAP)
    across = (d[0], d[1]) if d[0] != d[1] else (0.0, abs(h[1] - h[0]))
    corners = np.stack([a[:-1], a[1:], b[1:], b[:-1]], 1)
    uv = np.empty((len(wrapped), 4, 2))
    uv[:, (0, 3), 0], uv[:, (1, 2), 0] = wrapped[:, None], (wrapped + np.diff(s))[:, None]
    uv[:, :2, 1], uv[:, 2:, 1] = across
    order = np.array([[0, 1, 2, 2], [0, 2, 3, 3]])
    kept = np.repeat(~skip if skip is not None else np.ones(len(wrapped), bool), 2)
    params = np.broadcast_to(np.asarray(look['params'], float), (len(wrapped), 6))
    look['params'] = np.repeat(params, 2, axis=0)[kept]
    look['uv'] = uv[:, order].reshape(-1, 4, 2)[kept]
    return polygons(corners[:, order].reshape(-1, 4, 3)[kept], label, **look)
