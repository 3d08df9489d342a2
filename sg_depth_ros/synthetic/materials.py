# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The look of every material: linear reflectance and emission from texture coordinates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.synthetic.mesh import Material
from sg_depth_ros.synthetic.pictures import sample_picture
from sg_depth_ros.synthetic.textures import cell_hash, cover, noise, pulses

Array = NDArray[np.floating]


@dataclass
class Surface:
    """N surface samples: what a shader sees."""

    u: Array
    v: Array
    du: Array
    """Footprint of the pixel along u."""
    dv: Array
    color: Array
    """(N, 3) base reflectance."""
    params: Array
    """(N, 6)."""
    night: bool

    @property
    def footprint(self) -> Array:
        """The footprint for patterns that look alike in all directions."""
        return 0.35 * (self.du + self.dv) + 0.3 * np.maximum(self.du, self.dv)


Shaded = tuple[Array, Array | None]
"""Reflectance (N, 3) and, where a material shines, emission (N, 3)."""


def plain(s: Surface) -> Shaded:
    """Shade painted, rendered, wooden, brick and tiled surfaces."""
    wavelength, amplitude, pattern, pu, pv, seed = s.params.T
    shade = 1 + amplitude * noise(s.u, s.v, s.footprint, wavelength, 4, seed)
    patterned = np.flatnonzero(pattern > 0)
    if len(patterned):
        u, v, du, dv = (a[patterned] for a in (s.u, s.v, s.du, s.dv))
        pu, pv, kind = pu[patterned], pv[patterned], pattern[patterned]
        row = np.floor(v / pv)
        shifted = u + np.where(kind == 1, 0.5 * pu * np.mod(row, 2), 0)
        joint_v = np.where(kind == 2, 0, pulses(v, dv, pv, 0.14 * pv))
        joint_u = np.where(kind == 3, 0, pulses(shifted, du, pu, 0.14 * np.minimum(pu, pv)))
        cell = cell_hash(np.floor(shifted / pu) * (kind != 3), row * (kind != 2), seed[patterned])
        fade = np.clip(np.where(kind == 3, pv / dv, pu / du) * 0.4 - 0.6, 0, 1)
        joints = np.clip(joint_u + joint_v, 0, 1)
        shade[patterned] *= (1 + 0.25 * (cell - 0.5) * fade) * (1 - 0.35 * joints)
    return s.color * np.clip(shade, 0.15, 2)[:, None], None


def road(s: Surface) -> Shaded:
    """Shade asphalt with wear, patches, cracks and markings; u along, v to the left."""
    lane, lanes, dash, edge, wear, crossing = s.params.T
    zero = np.zeros_like(s.u)
    foot = s.footprint
    shade = (
        1
        + 0.08 * noise(s.u, s.v, foot, 0.12, 3, zero)
        + 0.10 * noise(s.u * 0.3, s.v, foot, 2.5, 4, zero + 3)
    )
    # Wheels polish the asphalt along the lanes.
    in_lane = np.abs(np.mod(np.abs(s.v), lane) / lane - 0.5) * 2
    shade += 0.06 * np.cos(2 * np.pi * in_lane) * np.clip(lane / s.dv - 1, 0, 1)
    patch = noise(s.u * 0.5, s.v, foot, 6.0, 1, zero + 9)
    shade *= 1 - 0.16 * np.clip((patch - 1.0) * 6, 0, 1)
    crack = noise(s.u, s.v, foot, 3.0, 3, zero + 5)
    width = 0.04 + 0.3 * foot
    shade *= 1 - 0.35 * np.clip(1 - np.abs(crack) / width, 0, 1) * np.clip(0.04 / foot, 0, 1)
    color = s.color * np.clip(shade, 0.3, 2)[:, None]
    side = np.abs(s.v)
    line = np.round(side / lane)
    stripe = cover(side - line * lane, s.dv, -0.07, 0.07)
    broken = pulses(s.u, s.du, 12.0, 12.0 * np.where(line == 0, dash, 0.35))
    along = np.where(line == lanes, edge, np.where(line < lanes, broken, 0))
    zebra = pulses(s.v, s.dv, 1.0, 0.5) * np.where(crossing > 0, 1, 0) * (side < lane * lanes)
    paint = np.where(crossing > 0, zebra, stripe * along)
    worn = np.clip(0.95 - wear * (0.6 + 0.5 * noise(s.u, s.v, foot, 0.5, 3, zero + 8)), 0, 1)
    paint = (paint * worn)[:, None]
    return color * (1 - paint) + np.float32(0.62) * paint, None


def paving(s: Surface) -> Shaded:
    """Shade slabs and setts."""
    pu, pv, dark, uneven, _, seed = s.params.T
    row = np.floor(s.v / pv)
    shifted = s.u + 0.5 * pu * np.mod(row, 2)
    joint = np.clip(pulses(shifted, s.du, pu, 0.02) + pulses(s.v, s.dv, pv, 0.02), 0, 1)
    cell = cell_hash(np.floor(shifted / pu), row, seed)
    fade = np.clip(np.minimum(pu / s.du, pv / s.dv) * 0.4 - 0.6, 0, 1)
    shade = 1 + 0.12 * noise(s.u, s.v, s.footprint, 1.5, 5, seed)
    shade += uneven * (cell - 0.5) * fade
    return s.color * (np.clip(shade, 0.3, 2) * (1 - dark * joint))[:, None], None


def terrain(s: Surface) -> Shaded:
    """Shade grass, soil and fields."""
    bare, wavelength, _, _, _, seed = s.params.T
    foot = s.footprint
    blades = noise(s.u, s.v, foot, 0.15, 3, seed)
    clumps = noise(s.u, s.v, foot, wavelength, 5, seed + 1)
    soil = np.clip((bare - 0.5) * 3 + 0.8 * clumps, 0, 1)[:, None]
    earth = np.array([0.22, 0.16, 0.10], np.float32)
    color = s.color * (1 - soil) + earth * soil
    return color * np.clip(1 + 0.22 * blades + 0.28 * clumps, 0.2, 2)[:, None], None


def facade(s: Surface) -> Shaded:
    """Shade a wall with windows, sills, blinds, shop fronts; v is the height over the ground."""
    bay, storey, wide, high, style, seed = s.params.T
    foot = s.footprint
    shade = (
        1
        + 0.05 * noise(s.u, s.v, foot, 0.3, 2, seed)
        + 0.09 * noise(s.u, s.v * 0.4, foot, 4.0, 4, seed + 2)
    )
    shade *= 1 - 0.15 * cover(s.v, s.dv, -1, 0.6)
    brick = np.mod(style, 2) >= 1
    row = np.floor(s.v / 0.09)
    mortar = np.clip(
        pulses(s.v, s.dv, 0.09, 0.014) + pulses(s.u + 0.12 * np.mod(row, 2), s.du, 0.24, 0.014),
        0, 1,
    )  # fmt: skip
    shade *= np.where(brick, 1 - 0.3 * mortar, 1)
    band = pulses(s.v + 0.12, s.dv, storey, 0.2) * (np.mod(style, 4) >= 2)
    color = s.color * np.clip(shade, 0.2, 2)[:, None] * (1 + 0.35 * band[:, None])
    column, floor = np.floor(s.u / bay), np.floor(s.v / storey)
    near = np.clip(np.minimum(bay / s.du, storey / s.dv) * 0.35 - 0.5, 0, 1)
    chance = 0.5 + (cell_hash(column, floor, seed) - 0.5) * near
    shop = (floor == 0) & (np.mod(style, 8) >= 4)
    ww = np.where(shop, 0.86, wide) * bay
    wh = np.where(shop, 0.72, high) * storey
    sill = np.where(shop, 0.15, 0.36 * storey * (1 - 0.45 * (high > 0.6)))
    x = np.mod(s.u, bay) - 0.5 * bay
    y = np.mod(s.v, storey) - sill
    inside = cover(x, s.du, -0.5 * ww, 0.5 * ww) * cover(y, s.dv, 0, wh) * (floor >= 0)
    border = 0.07
    pane = cover(x, s.du, border - 0.5 * ww, 0.5 * ww - border)
    pane *= cover(y, s.dv, border, wh - border)
    bar = cover(x, s.du, -0.03, 0.03) + cover(y, s.dv, 0.68 * wh, 0.68 * wh + 0.05) * (~shop)
    pane *= 1 - np.clip(bar, 0, 1) * (cell_hash(seed, seed, seed) > 0.4)
    # Between the bays of a distant facade the exact cell no longer matters.
    glass_shade = 0.03 + 0.10 * np.clip(y / wh, 0, 1) + 0.16 * np.clip(chance - 0.7, 0, 1)
    glass = glass_shade[:, None] * np.array([0.85, 1.0, 1.15], np.float32)
    blind_low = wh * np.where(chance > 0.35, 0.2 + chance, 2)
    blind = cover(y, s.dv, blind_low, wh)[:, None] * (~shop)[:, None]
    slats = (0.34 + 0.08 * pulses(s.v, s.dv, 0.08, 0.04))[:, None]
    glass = glass * (1 - blind) + slats * blind
    frame = np.where(cell_hash(seed, seed * 3, seed) > 0.3, 0.55, 0.12)[:, None]
    opening = frame * (1 - pane[:, None]) + glass * pane[:, None]
    ledge = cover(x, s.du, -0.5 * ww - 0.08, 0.5 * ww + 0.08) * cover(y, s.dv, -0.09, 0)
    color = color * (1 - 0.45 * ledge[:, None])
    color = color * (1 - inside[:, None]) + opening * inside[:, None]
    if not s.night:
        return color, None
    lit = (inside * pane * (np.mod(chance * 7.3, 1) > 0.62))[:, None]
    return color, lit * np.array([1.0, 0.72, 0.38], np.float32) * 0.5


def leaves(s: Surface) -> Shaded:
    """Shade foliage cards: mottled, brighter towards the outside of the card."""
    seed = s.params[:, 5]
    wave = noise(s.u, s.v, s.footprint, 0.3, 2, seed)
    fine = noise(s.u, s.v, s.footprint, 0.06, 2, seed + 4)
    return s.color * np.clip(1 + 0.25 * wave + 0.4 * fine, 0.2, 2.4)[:, None], None


def picture(s: Surface) -> Shaded:
    """Shade a picture; paint takes the polygon's colour, lamps shine with params[1]."""
    rgb, paint, lamp = sample_picture(s.params[:, 0].astype(np.intp), s.u, s.v, s.du, s.dv)
    color = rgb * (1 - paint[:, None]) + rgb * s.color * (2 * paint[:, None])
    shine = lamp * s.params[:, 1]
    return color, rgb * shine[:, None] if shine.any() else None


def backdrop(s: Surface) -> Shaded:
    """Shade far woods and hills."""
    seed = s.params[:, 5]
    wave = noise(s.u, s.v * 2, s.footprint, 60.0, 5, seed)
    return s.color * np.clip(1 + 0.3 * wave, 0.2, 2)[:, None], None


SHADERS: dict[Material, Callable[[Surface], Shaded]] = {
    Material.PLAIN: plain,
    Material.ROAD: road,
    Material.PAVING: paving,
    Material.TERRAIN: terrain,
    Material.FACADE: facade,
    Material.LEAVES: leaves,
    Material.PICTURE: picture,
    Material.BACKDROP: backdrop,
}
