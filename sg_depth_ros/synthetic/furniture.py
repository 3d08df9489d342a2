# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What stands on pavements and verges: lamps, lights, signs, fences, walls, rails, bridges.

Meshes stand at the origin with the street in front of them: drivers come along +x, the road lies
towards +y.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.bundle.labels import ID
from sg_depth_ros.synthetic.mesh import Look, Material, Mesh, box, concatenate, polygons, prism
from sg_depth_ros.synthetic.pictures import NUMBER

_UV = [(0, 1), (1, 1), (1, 0), (0, 0)]
_SIGNS = ('sign_limit', 'sign_blue', 'sign_parking', 'sign_warning', 'sign_direction')


def _metal(shade: float) -> Look:
    return {'color': (shade, shade, shade * 1.03), 'params': (0.6, 0.08, 0, 0, 0, 0)}


def make_lamp(rng: np.random.Generator, glow: float) -> Mesh:
    """Make a street lamp with an arm over the road."""
    height, arm = rng.uniform(4.5, 9), rng.uniform(0.4, 2.2)
    metal = _metal(rng.uniform(0.05, 0.3))
    head = (0, arm, height)
    lamp = box((-0.15, arm - 0.35, height - 0.08), (0.15, arm + 0.35, height + 0.08),
               ID['pole'], **metal)  # fmt: skip
    bulb = polygons(
        [[(-0.12, arm + 0.3, height - 0.09), (0.12, arm + 0.3, height - 0.09),
          (0.12, arm - 0.3, height - 0.09), (-0.12, arm - 0.3, height - 0.09)]],
        ID['pole'], material=Material.PICTURE, params=(NUMBER['light_red'], glow, 0, 0, 0, 0),
        color=(0.9, 0.8, 0.6), uv=[(0.4, 0.2)] * 4, two_sided=True,
    )  # fmt: skip
    return concatenate(
        [
            prism((0, 0, -0.5), (0, 0, height), (0.09, 0.05), 6, ID['pole'], **metal),
            prism((0, 0, height - 0.1), head, (0.05, 0.04), 4, ID['pole'], **metal),
            lamp,
            bulb,
        ]
    )


def make_pole(rng: np.random.Generator) -> Mesh:
    """Make a plain or a wooden pole."""
    height = rng.uniform(5, 10)
    wooden = rng.uniform() < 0.4
    color = np.array([0.16, 0.11, 0.07] if wooden else [0.25, 0.25, 0.25]) * rng.uniform(0.6, 1.4)
    parts = [prism((0, 0, -0.5), (0, 0, height), (0.14, 0.1), 7, ID['pole'], color=color,
                   params=(0.4, 0.2, 0, 0, 0, 0))]  # fmt: skip
    if wooden:
        parts.append(prism((0, -0.8, height - 0.5), (0, 0.8, height - 0.5), (0.05, 0.05), 4,
                           ID['pole'], color=color))  # fmt: skip
    return concatenate(parts)


def make_sign(rng: np.random.Generator) -> Mesh:
    """Make a traffic sign that oncoming-side drivers (along +x) can read."""
    name = str(rng.choice(_SIGNS))
    height, size = rng.uniform(2.0, 2.7), rng.uniform(0.28, 0.38)
    wide = size * (2.2 if name == 'sign_direction' else 1)
    sides = {'sign_limit': 12, 'sign_warning': 3, 'sign_blue': 12}.get(name, 4)
    parts = [prism((0, 0, -0.4), (0, 0, height + size), (0.04, 0.04), 5, ID['pole'],
                   **_metal(rng.uniform(0.2, 0.4)))]  # fmt: skip
    parts.append(_plate(sides, wide, size, height, NUMBER[name]))
    return concatenate(parts)


def _plate(sides: int, wide: float, size: float, height: float, number: int) -> Mesh:
    """Make a flat plate that faces -x, with a grey back."""
    start = {3: np.pi / 2, 4: np.pi / 4}.get(sides, 0.0)
    angle = start + 2 * np.pi * np.arange(sides) / sides
    shape = np.stack([np.cos(angle), np.sin(angle)], 1)
    if sides == 4:
        shape *= np.sqrt(2)
    # Seen along +x, right is -y.
    ring = np.stack([np.full(sides, -0.07), -wide * shape[:, 0], height + size * shape[:, 1]], 1)
    uv = np.stack([0.5 + 0.5 * shape[:, 0], 0.5 - 0.5 * shape[:, 1]], 1)
    # As an array: NumPy takes a list of lists for a tuple until 1.23.
    fan = np.array([[0, k, k + 1, k + 1] for k in range(1, sides - 1)])
    if sides == 4:
        fan = np.array([[0, 1, 2, 3]])
    front = polygons(ring[fan], ID['traffic sign'], uv=uv[fan], material=Material.PICTURE,
                     params=(number, 0, 0, 0, 0, 0))  # fmt: skip
    back = polygons((ring + np.array((0.02, 0, 0)))[fan[:, [0, 3, 2, 1]]] if sides == 4
                    else (ring + np.array((0.02, 0, 0)))[fan[:, [0, 2, 1, 1]]],
                    ID['traffic sign'], color=(0.3, 0.3, 0.3))  # fmt: skip
    return concatenate([front, back])


def make_traffic_light(rng: np.random.Generator, glow: float) -> Mesh:
    """Make a signal on a post, some with a second one over the road."""
    metal = _metal(rng.uniform(0.04, 0.25))
    name = 'light_red' if rng.uniform() < 0.5 else 'light_green'
    parts = [prism((0, 0, -0.4), (0, 0, 3.4), (0.08, 0.07), 6, ID['pole'], **metal)]
    places = [(0.0, 2.4)]
    if rng.uniform() < 0.5:
        reach = rng.uniform(2.5, 4.5)
        parts += [
            prism((0, 0, 3.3), (0, 0, 5.6), (0.07, 0.06), 5, ID['pole'], **metal),
            prism((0, 0, 5.5), (0, reach, 5.6), (0.06, 0.05), 5, ID['pole'], **metal),
        ]
        places.append((reach, 4.9))
    for y, z in places:
        head = box((-0.25, y - 0.16, z), (-0.09, y + 0.16, z + 0.9), ID['traffic light'],
                   color=(0.015, 0.02, 0.015))  # fmt: skip
        face = polygons(
            [[(-0.26, y + 0.15, z), (-0.26, y - 0.15, z), (-0.26, y - 0.15, z + 0.9),
              (-0.26, y + 0.15, z + 0.9)]],
            ID['traffic light'], uv=_UV, material=Material.PICTURE,
            params=(NUMBER[name], 0.6 + glow, 0, 0, 0, 0),
        )  # fmt: skip
        parts += [head, face]
    return concatenate(parts)


def make_barrier(
    rng: np.random.Generator, kind: str, start: NDArray[np.float64], end: NDArray[np.float64]
) -> Mesh:
    """Make a stretch of 'wall', 'fence', 'boards', 'rail', 'concrete' or 'noise' barrier."""
    seed = rng.uniform(0, 50)
    looks: dict[str, tuple[float, float, str, Look]] = {
        'wall': (rng.uniform(0.5, 1.9), 0.25, 'wall',
                 {'color': np.array([0.42, 0.38, 0.33]) * rng.uniform(0.4, 1.5),
                  'params': (0.8, 0.15, int(rng.uniform() < 0.5), 0.3, 0.12, seed)}),
        'boards': (rng.uniform(1.0, 1.9), 0.06, 'fence',
                   {'color': np.array([0.3, 0.2, 0.12]) * rng.uniform(0.4, 1.8),
                    'params': (0.5, 0.2, 2, 0.14, 1, seed)}),
        'concrete': (0.85, 0.5, 'wall',
                     {'color': (0.36, 0.35, 0.33), 'params': (1.5, 0.15, 2, 6.0, 1, seed)}),
        'noise': (rng.uniform(2.5, 4.5), 0.3, 'wall',
                  {'color': np.array([0.25, 0.27, 0.22]) * rng.uniform(0.5, 1.6),
                   'params': (2.0, 0.15, int(rng.choice([2, 3])), 4.0, 0.5, seed)}),
        'fence': (rng.uniform(0.8, 1.5), 0.0, 'fence', _metal(rng.uniform(0.02, 0.4))),
        'rail': (0.75, 0.0, 'fence', _metal(rng.uniform(0.3, 0.5))),
    }  # fmt: skip
    height, thick, label, look = looks[kind]
    along = (end - start) / np.linalg.norm(end - start)
    across = np.array([-along[1], along[0], 0])
    if thick:
        return _slab(start - (0, 0, 0.6), end - (0, 0, 0.6), across * thick / 2, height + 0.6,
                     ID[label], look)  # fmt: skip
    parts = []
    for level, tall in ((0.55, 0.3),) if kind == 'rail' else ((0.12, 0.05), (height, 0.05)):
        lift = np.array([0, 0, level])
        parts.append(_slab(start + lift, end + lift, across * 0.025, tall, ID[label], look))
    length = float(np.linalg.norm(end - start))
    step = 2.0 if kind == 'rail' else 0.25
    posts = start + np.arange(0, length, step)[:, None] * (end - start) / length
    wide = 0.05 if kind == 'rail' else 0.014
    foot, top = np.array((0, 0, 0.2)), np.array((0, 0, height))
    corners = np.stack(
        [
            posts - along * wide - foot, posts + along * wide - foot,
            posts + along * wide + top, posts - along * wide + top,
        ], 1,
    )  # fmt: skip
    parts.append(polygons(corners, ID[label], **Look(**look, two_sided=True)))
    return concatenate(parts)


def _slab(
    start: NDArray[np.float64], end: NDArray[np.float64], half: NDArray[np.float64],
    height: float, label: int, look: Look,
) -> Mesh:  # fmt: skip
    low = np.array([start - half, end - half, end + half, start + half])
    high = low + np.array((0, 0, height))
    corners = np.concatenate([low, high])
    faces = np.array([[0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7], [4, 5, 6, 7]])
    return polygons(corners[faces], label, **look)


def make_bridge(rng: np.random.Generator, right: float, left: float, clear: float = 5.2) -> Mesh:
    """Make an overpass across the road with its piers beside it."""
    depth, shade = rng.uniform(6, 12), rng.uniform(0.2, 0.42)
    look: Look = {'color': (shade, shade * 0.98, shade * 0.94), 'params': (2.0, 0.2, 2, 5.0, 1, 3)}
    deck_low, deck_high = clear, clear + rng.uniform(1.2, 1.9)
    parts = [box((0, -60, deck_low), (depth, 60, deck_high), ID['building'], **look)]
    under = [(0, -60, clear), (0, 60, clear), (depth, 60, clear), (depth, -60, clear)]
    parts.append(polygons([under], ID['building'], **look))
    for y in (-right - 1.5, left + 1.5):
        parts.append(box((depth * 0.2, y - 0.6, -2), (depth * 0.8, y + 0.6, clear),
                         ID['building'], **look))  # fmt: skip
    rail = _metal(0.2)
    parts.append(box((0.1, -60, deck_high), (0.2, 60, deck_high + 1.0), ID['fence'], **rail))
    return concatenate(parts)


def make_gantry(right: float, reach: float) -> Mesh:
    """Make a motorway sign on a gantry over the road, its foot right of the carriageway."""
    metal = _metal(0.28)
    sign = _plate(4, 1.9, 1.2, 6.4, NUMBER['sign_motorway'])
    eye = np.eye(3)
    return concatenate(
        [
            prism((0, -right, -0.5), (0, -right, 6.6), (0.18, 0.14), 6, ID['pole'], **metal),
            prism((0, -right, 6.4), (0, -right + reach, 6.4), (0.12, 0.1), 6, ID['pole'], **metal),
            sign.placed(eye, (-0.15, -right + reach * 0.45, 0)),
        ]
    )
