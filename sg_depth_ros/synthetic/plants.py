# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trees, bushes and hedges: trunks, and crowns of leafy cards around a dark core."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.bundle.labels import ID
from sg_depth_ros.synthetic.mesh import Look, Material, Mesh, concatenate, polygons, prism

_GREENS = (
    (0.06, 0.11, 0.025), (0.09, 0.13, 0.03), (0.045, 0.08, 0.03), (0.12, 0.14, 0.04),
           (0.17, 0.12, 0.03),
)  # fmt: skip


def make_tree(rng: np.random.Generator, height: float, bare: float) -> Mesh:
    """Make a tree with its foot at the origin; ``bare`` is the leafless share of its height."""
    slender = rng.uniform(0.4, 0.95)
    clear = height * bare
    radii = np.array([0, 0, (height - clear) / 2])
    radii[:2] = min(0.6 * slender * (height - clear), 4.5)
    center = np.array([0, 0, clear + radii[2] * 0.95])
    lean = np.array([*rng.normal(0, 0.02, 2) * height, 0])
    bark: Look = {
        'color': np.array([0.12, 0.09, 0.065]) * rng.uniform(0.5, 1.6),
        'params': (0.25, 0.3, 2, 0.08, 1.0, rng.uniform(0, 50)),
    }
    girth = 0.011 * height + rng.uniform(0.04, 0.12)
    label = ID['vegetation']
    fork = np.array([0, 0, clear * 1.15]) + lean
    parts = [prism((0, 0, -0.4), fork, (girth, girth * 0.75), 7, label, **bark)]
    for _ in range(3):
        tip = center + lean + rng.normal(0, 0.45, 3) * radii
        parts.append(prism(fork - (0, 0, 0.3), tip, (girth * 0.5, girth * 0.2), 4, label, **bark))
    parts.append(crown(rng, center + lean, radii, cards=int(26 + 4 * height)))
    return concatenate(parts)


def make_bush(rng: np.random.Generator, radius: float) -> Mesh:
    """Make a bush with its foot at the origin."""
    radii = radius * np.array([1, 1, rng.uniform(0.6, 1.0)])
    return crown(rng, np.array([0, 0, radii[2] * 0.8]), radii, cards=22)


def crown(
    rng: np.random.Generator, center: NDArray[np.float64], radii: NDArray[np.float64], cards: int
) -> Mesh:
    """Make foliage that fills an ellipsoid unevenly."""
    green = np.array(_GREENS[int(rng.choice(5, p=(0.3, 0.25, 0.2, 0.17, 0.08)))])
    green = green * rng.uniform(0.7, 1.4) * rng.uniform(0.9, 1.1, 3)
    direction = rng.normal(size=(cards, 3))
    direction /= np.linalg.norm(direction, axis=1)[:, None]
    lumps = rng.normal(size=(5, 3))
    lumps /= np.linalg.norm(lumps, axis=1)[:, None]
    bulge = 0.72 + 0.32 * np.exp(-4 * (1 - (direction @ lumps.T))).max(1)
    place = center + direction * radii * (bulge * rng.uniform(0.75, 1.0, cards))[:, None]
    size = (0.36 * float(radii.mean()) + 0.25) * rng.uniform(0.75, 1.35, cards)
    facing = direction + rng.normal(0, 0.55, (cards, 3))
    facing /= np.linalg.norm(facing, axis=1)[:, None]
    e1 = np.cross(facing, rng.normal(size=(cards, 3)))
    e1 = e1 / np.linalg.norm(e1, axis=1)[:, None] * size[:, None]
    e2 = np.cross(facing, e1)
    quads = np.stack([place - e1 - e2, place + e1 - e2, place + e1 + e2, place - e1 + e2], 1)
    shade = 0.62 + 0.38 * np.clip(direction[:, 2] * 0.6 + 0.6, 0, 1)
    seeds = rng.uniform(0, 50)
    params = np.zeros((cards, 6))
    params[:, 0], params[:, 5] = rng.integers(0, 4, cards), seeds
    label = ID['vegetation']
    foliage = polygons(
        quads, label, color=green * shade[:, None], material=Material.LEAVES, params=params,
        uv=[(0, 0), (1, 0), (1, 1), (0, 1)], normal=direction + np.array((0, 0, 0.3)),
        two_sided=True,
    )  # fmt: skip
    return concatenate([foliage, _core(center, radii * 0.66, green * 0.4, seeds)])


def _core(
    center: NDArray[np.float64],
    radii: NDArray[np.float64],
    color: NDArray[np.float64],
    seed: float,
) -> Mesh:
    """Make the dark inside of a crown, a coarse ball."""
    around = 2 * np.pi * np.arange(9) / 8
    up = np.radians([-90, -40, 10, 50, 90])
    ball = np.stack(
        [
            np.cos(up)[:, None] * np.cos(around),
            np.cos(up)[:, None] * np.sin(around),
            np.repeat(np.sin(up)[:, None], 9, 1),
        ],
        -1,
    )
    points = center + ball * radii
    quads = np.stack([points[:-1, :-1], points[:-1, 1:], points[1:, 1:], points[1:, :-1]], 2)
    normal = (ball[:-1, :-1] + ball[1:, 1:]).reshape(-1, 3)
    # A ring at a pole is made of triangles whose first edge must have a length.
    quads = quads.reshape(-1, 4, 3)
    quads[:8] = quads[:8][:, [2, 3, 0, 0]]
    quads[-8:] = quads[-8:][:, [0, 1, 2, 2]]
    return polygons(
        quads, ID['vegetation'], color=color, normal=normal, params=(0.6, 0.5, 0, 0, 0, seed)
    )


def make_hedge(
    rng: np.random.Generator, start: NDArray[np.float64], end: NDArray[np.float64], height: float,
    depth: float,
) -> Mesh:  # fmt: skip
    """Make a clipped hedge between two points on the ground."""
    along = end - start
    length = float(np.linalg.norm(along))
    along = along / length
    across = np.array([-along[1], along[0], 0]) * depth / 2
    base = [start - across, end - across, end + across, start + across]
    low = np.array(base) - (0, 0, 0.6)
    high = low + np.array((0, 0, height + 0.6))
    # Corners in pairs (low, high) as hexahedra wants them, a little narrower at the top.
    center = high.mean(0)
    high[:, :2] = center[:2] + (high[:, :2] - center[:2]) * 0.985
    green = np.array(_GREENS[int(rng.integers(3))]) * rng.uniform(0.6, 1.2)
    seed = rng.uniform(0, 50)
    faces = np.array([[0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7], [4, 5, 6, 7]])
    body = polygons(np.concatenate([low, high])[faces], ID['vegetation'], color=green * 0.8,
                    params=(0.45, 0.55, 0, 0, 0, seed))  # fmt: skip
    count = int(length * 2.2)
    share = rng.uniform(0, 1, count)[:, None]
    place = (
        start
        + share * (end - start)
        + np.array((0, 0, 1)) * rng.uniform(0.6, 1.0, (count, 1)) * height
    )
    place += across * rng.choice([-1, 1], count)[:, None] * 0.8
    parts = [body]
    tuft = crown_cards(rng, place, green, seed)
    parts.append(tuft)
    return concatenate(parts)


def crown_cards(
    rng: np.random.Generator, place: NDArray[np.float64], green: NDArray[np.float64], seed: float
) -> Mesh:
    """Make loose tufts of leaves at points (N, 3)."""
    count = len(place)
    facing = rng.normal(size=(count, 3))
    facing /= np.linalg.norm(facing, axis=1)[:, None]
    e1 = np.cross(facing, rng.normal(size=(count, 3)))
    e1 = e1 / np.linalg.norm(e1, axis=1)[:, None] * rng.uniform(0.15, 0.4, (count, 1))
    e2 = np.cross(facing, e1)
    quads = np.stack([place - e1 - e2, place + e1 - e2, place + e1 + e2, place - e1 + e2], 1)
    params = np.zeros((count, 6))
    params[:, 0], params[:, 5] = rng.integers(0, 4, count), seed
    return polygons(
        quads, ID['vegetation'], color=green, material=Material.LEAVES, params=params,
        uv=[(0, 0), (1, 0), (1, 1), (0, 1)], normal=(0, 0, 1), two_sided=True,
    )  # fmt: skip
