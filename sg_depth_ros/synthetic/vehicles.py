# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cars, vans, trucks and buses: meshes around their origin, front along +x, wheels at z = 0."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sg_depth_ros.bundle.labels import ID
from sg_depth_ros.synthetic.mesh import Look, Material, Mesh, box, concatenate, hexahedra, polygons
from sg_depth_ros.synthetic.pictures import NUMBER

PAINTS = (
    (0.015, 0.015, 0.017), (0.05, 0.052, 0.056), (0.18, 0.18, 0.19), (0.42, 0.43, 0.44),
    (0.72, 0.72, 0.70), (0.03, 0.06, 0.17), (0.35, 0.02, 0.02), (0.02, 0.10, 0.08),
    (0.30, 0.25, 0.18), (0.05, 0.16, 0.32), (0.55, 0.36, 0.04),
)  # fmt: skip
"""Linear body colours, common ones first."""
_PAINT_WEIGHTS = np.array([16, 14, 13, 17, 16, 8, 6, 3, 3, 3, 1.0])
_PICTURE_UV = [(0, 1), (1, 1), (1, 0), (0, 0)]


@dataclass(frozen=True)
class Vehicle:
    """A vehicle's mesh and its box on the ground."""

    mesh: Mesh
    length: float
    width: float
    height: float


@dataclass(frozen=True)
class _Body:
    """Side profile and widths; x from the rear bumper (0) to the front one (1)."""

    deck: tuple[tuple[float, float], ...]
    """(x, z) of the upper edge of the lower body as shares of length and height."""
    cabin: tuple[float, float, float, float]
    """x of the rear window's foot and top, of the windscreen's top and foot."""


_BODIES = {
    'sedan': _Body(
        ((0, 0.56), (0.03, 0.64), (0.26, 0.66), (0.68, 0.64), (0.96, 0.52), (1, 0.44)),
        (0.13, 0.30, 0.56, 0.74),
    ),
    'hatchback': _Body(
        ((0, 0.58), (0.03, 0.62), (0.30, 0.62), (0.70, 0.61), (0.95, 0.51), (1, 0.42)),
        (0.015, 0.10, 0.58, 0.78),
    ),
    'estate': _Body(
        ((0, 0.58), (0.02, 0.62), (0.30, 0.62), (0.68, 0.62), (0.96, 0.52), (1, 0.42)),
        (0.01, 0.06, 0.54, 0.72),
    ),
    'suv': _Body(
        ((0, 0.58), (0.02, 0.62), (0.30, 0.62), (0.70, 0.63), (0.97, 0.56), (1, 0.46)),
        (0.01, 0.07, 0.60, 0.75),
    ),
    'van': _Body(
        ((0, 0.50), (0.01, 0.52), (0.30, 0.52), (0.82, 0.52), (0.98, 0.42), (1, 0.36)),
        (0.002, 0.015, 0.76, 0.92),
    ),
}
_SIZES = {
    'sedan': (4.6, 1.80, 1.45),
    'hatchback': (4.0, 1.74, 1.48),
    'estate': (4.65, 1.80, 1.50),
    'suv': (4.5, 1.87, 1.68),
    'van': (5.1, 1.96, 2.10),
}


def draw_paint(rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw a body colour (3,), linear."""
    paint = PAINTS[int(rng.choice(len(PAINTS), p=_PAINT_WEIGHTS / _PAINT_WEIGHTS.sum()))]
    return np.clip(np.array(paint) * rng.uniform(0.75, 1.25) + rng.uniform(0, 0.02, 3), 0, 0.85)


def make_vehicle(rng: np.random.Generator, big: float = 0.12, lamps: float = 0.25) -> Vehicle:
    """Draw a vehicle; ``big`` is the share of trucks and buses, ``lamps`` their brightness."""
    if rng.uniform() < big:
        return make_bus(rng, lamps) if rng.uniform() < 0.35 else make_truck(rng, lamps)
    kinds = ('sedan', 'hatchback', 'estate', 'suv', 'van')
    return make_car(rng, str(rng.choice(kinds, p=(0.24, 0.29, 0.19, 0.18, 0.10))), lamps)


def make_car(rng: np.random.Generator, kind: str, lamps: float = 0.25) -> Vehicle:
    """Make a car of a kind in sedan, hatchback, estate, suv, van with varied proportions."""
    body = _BODIES[kind]
    length, width, height = np.array(_SIZES[kind]) * rng.uniform(0.94, 1.06, 3)
    label = ID['car']
    color = draw_paint(rng)
    paint: Look = {'color': color, 'params': (3.0, 0.05, 0, 0, 0, rng.uniform(0, 50))}
    half = width / 2
    x = np.array([p[0] - 0.5 for p in body.deck]) * length
    z = np.array([p[1] for p in body.deck]) * height
    # In plan the ends are narrower than the middle.
    w = half * np.interp(x / length + 0.5, (0, 0.1, 0.85, 0.95, 1), (0.9, 1, 1, 0.93, 0.8))
    low = 0.19 * rng.uniform(0.9, 1.2) * np.interp(height, (1.4, 2.0), (1, 1.5))
    parts = []
    for i in range(len(x) - 1):
        a, b = i, i + 1
        middle = i == 2
        skin = _picture('car_door', color) if middle else paint
        for side in (1, -1):
            corners = [
                (x[a], -side * w[a], low), (x[b], -side * w[b], low),
                (x[b], -side * w[b] * 0.965, z[b]), (x[a], -side * w[a] * 0.965, z[a]),
            ]  # fmt: skip
            corners = corners if side > 0 else [corners[k] for k in (1, 0, 3, 2)]
            parts.append(polygons([corners], label, **skin))
        deck = [
            (x[a], -w[a] * 0.965, z[a]), (x[b], -w[b] * 0.965, z[b]),
            (x[b], w[b] * 0.965, z[b]), (x[a], w[a] * 0.965, z[a]),
        ]  # fmt: skip
        parts.append(polygons([deck], label, **paint))
    rear, front = 'van_rear' if kind == 'van' else 'car_rear', 'car_front'
    lamp = lamps * (1 + 2 * rng.uniform())
    parts.append(_face(x[0], -w[0], w[0], low, z[0], rear, color, lamp, -1))
    parts.append(_face(x[-1], -w[-1], w[-1], low, z[-1], front, color, lamp, 1))
    parts.append(_cabin(body, kind, length, half, height, x, z, paint))
    parts.append(_wheels(length, half, 0.215 * 1.45 * rng.uniform(0.95, 1.1), (-0.3, 0.31), label))
    for side in (-1, 1):
        mirror_x = (body.cabin[3] - 0.56) * length
        y = side * (half + 0.07)
        parts.append(
            box(
                (mirror_x, y - 0.08, 0.62 * height), (mirror_x + 0.1, y + 0.08, 0.71 * height),
                label, **paint,
            )
        )  # fmt: skip
    return Vehicle(concatenate(parts), float(length), float(width), float(height))


def _cabin(
    body: _Body, kind: str, length: float, half: float, height: float,
    x: NDArray[np.float64], z: NDArray[np.float64], paint: Look,
) -> Mesh:  # fmt: skip
    rb, rt, ft, fb = (np.array(body.cabin) - 0.5) * length
    belt_rear, belt_front = np.interp((rb, fb), x, z) - 0.01
    wb, wr = half * 0.95, half * (0.86 if kind == 'van' else 0.76)
    corners = [
        (rb, -wb, belt_rear), (fb, -wb, belt_front), (fb, wb, belt_front), (rb, wb, belt_rear),
        (rt, -wr, height), (ft, -wr, height), (ft, wr, height), (rt, wr, height),
    ]  # fmt: skip
    cabin = hexahedra([corners], ID['car'], uv=_PICTURE_UV, material=Material.PICTURE)
    names = ['side_windows', 'windscreen', 'side_windows', 'windscreen']
    cabin.params[:4] = [(NUMBER[name], 0, 0, 0, 0, 0) for name in names]
    roof = polygons(cabin.corners[4:], ID['car'], **paint)
    sides = cabin.chosen(np.arange(4))
    if kind == 'van':
        # Panel vans have no side windows behind the doors.
        a, b = np.array(corners[0]), np.array(corners[4])
        share = 0.62
        panel = []
        for side in (1, -1):
            p = np.array([a, a + share * (np.array(corners[1]) - a),
                          b + share * (np.array(corners[5]) - b), b])  # fmt: skip
            p = p + np.array((0, -0.015, 0))
            p = p if side > 0 else p[[1, 0, 3, 2]] * (1, -1, 1)
            panel.append(polygons([p], ID['car'], **paint))
        return concatenate([sides, roof, *panel])
    return concatenate([sides, roof])


def make_truck(rng: np.random.Generator, lamps: float = 0.25) -> Vehicle:
    """Make a lorry: a cab and a box or a tarpaulin body."""
    length, width, height = rng.uniform(7, 12), rng.uniform(2.3, 2.5), rng.uniform(3.0, 3.9)
    label, half = ID['truck'], width / 2
    cab_color, color = draw_paint(rng), rng.uniform(0.1, 0.75) * rng.uniform(0.5, 1.2, 3)
    cab_x = length / 2 - rng.uniform(1.7, 2.2)
    cab_top = min(height - 0.2, 2.9)
    rear = str(rng.choice(['truck_rear', 'truck_stripes', 'van_rear'], p=(0.5, 0.4, 0.1)))
    plain: Look = {'color': color, 'params': (2.0, 0.08, 2, 0.6, 1.0, rng.uniform(0, 50))}
    cargo = box((-length / 2, -half, 0.95), (cab_x - 0.25, half, height), label, **plain)
    parts = [cargo]
    skin = 'truck_side' if rng.uniform() < 0.5 else None
    for side in (1, -1) if skin else ():
        rear_x, front_x, y = -length / 2, cab_x - 0.25, -half - 0.01
        p = np.array([(rear_x, y, 1), (front_x, y, 1), (front_x, y, height), (rear_x, y, height)])
        p = p if side > 0 else p[[1, 0, 3, 2]] * (1, -1, 1)
        parts.append(polygons([p], label, **_picture('truck_side', color)))
    parts.append(
        _face(-length / 2 - 0.01, -half, half, 0.75, height, rear, color, lamps * 2, -1, label)
    )
    paint: Look = {'color': cab_color, 'params': (3.0, 0.05, 0, 0, 0, 1)}
    cab = [
        (cab_x, -half, 0.5), (length / 2, -half * 0.97, 0.5), (length / 2, half * 0.97, 0.5),
        (cab_x, half, 0.5), (cab_x, -half, cab_top), (length / 2 - 0.25, -half * 0.95, cab_top),
        (length / 2 - 0.25, half * 0.95, cab_top), (cab_x, half, cab_top),
    ]  # fmt: skip
    parts.append(hexahedra([cab], label, **paint))
    screen = cab_top - 1.2
    parts.append(_face(length / 2 + 0.01, -half * 0.9, half * 0.9, screen, cab_top - 0.3,
                       'windscreen', cab_color, 0, 1, label))  # fmt: skip
    parts.append(_face(length / 2 + 0.01, -half * 0.97, half * 0.97, 0.5, screen - 0.1,
                       'car_front', cab_color, lamps * 2, 1, label))  # fmt: skip
    dark: Look = {'color': (0.02, 0.02, 0.02), 'params': (1, 0.1, 0, 0, 0, 0)}
    parts.append(
        box((-length / 2 + 0.1, -half * 0.8, 0.5), (cab_x, half * 0.8, 0.95), label, **dark)
    )
    parts.append(_wheels(length, half, 0.5, (-0.36, -0.24, 0.38), label))
    return Vehicle(concatenate(parts), float(length), float(width), float(height))


def make_bus(rng: np.random.Generator, lamps: float = 0.25) -> Vehicle:
    """Make a city bus or a coach."""
    length, width, height = rng.uniform(9, 12.5), 2.5, rng.uniform(2.9, 3.4)
    label, half, color = (
        ID['bus'],
        1.25,
        draw_paint(rng) * 0.8 + rng.uniform(0, 0.2) * rng.uniform(0.6, 1, 3),
    )
    paint: Look = {'color': color, 'params': (3.0, 0.05, 0, 0, 0, 2)}
    body = box((-length / 2, -half, 0.3), (length / 2, half, height), label,
               **_picture('bus_side', color))  # fmt: skip
    roof = polygons(body.corners[4:] + np.array((0, 0, 0.01)), label, **paint)
    ends = [
        _face(
            -length / 2 - 0.01, -half, half, 0.3, height, 'bus_rear', color, lamps * 2, -1, label
        ),
        _face(length / 2 + 0.01, -half, half, 0.3, 1.2, 'car_front', color, lamps * 2, 1, label),
        _face(length / 2 + 0.01, -half, half, 1.2, height, 'windscreen', color, 0, 1, label),
    ]
    wheels = _wheels(length, half, 0.48, (-0.28, 0.28), label)
    return Vehicle(concatenate([body, roof, *ends, wheels]), float(length), width, float(height))


def _picture(name: str, color: ArrayLike, emission: float = 0.0) -> Look:
    return {
        'material': Material.PICTURE,
        'params': (NUMBER[name], emission, 0, 0, 0, 0),
        'color': color,
        'uv': _PICTURE_UV,
    }


def _face(
    x: float, y0: float, y1: float, z0: float, z1: float, name: str, color: ArrayLike,
    emission: float, towards: int, label: int = ID['car'],
) -> Mesh:  # fmt: skip
    """Make an upright picture across the vehicle that faces forward (1) or back (-1)."""
    y0, y1 = (y0, y1) if towards > 0 else (y1, y0)
    corners = [(x, y0, z0), (x, y1, z0), (x, y1, z1), (x, y0, z1)]
    return polygons([corners], label, **_picture(name, color, emission))


def _wheels(
    length: float, half: float, radius: float, places: tuple[float, ...], label: int
) -> Mesh:
    angle = 2 * np.pi * (np.arange(10) + 0.5) / 10
    rim = np.stack([np.cos(angle), np.sin(angle)], 1)
    quads = np.array([[0, 1, 2, 9], [9, 2, 3, 8], [8, 3, 4, 7], [7, 4, 5, 6]])
    parts = []
    for place in places:
        for side in (1, -1):
            turn = rim if side < 0 else rim * (-1, 1)
            corners = np.zeros((10, 3))
            corners[:, 0] = place * length + radius * turn[:, 0]
            corners[:, 1] = side * (half + 0.012)
            corners[:, 2] = radius * (1 + turn[:, 1])
            uv = 0.5 + 0.5 * turn
            parts.append(
                polygons(
                    corners[quads], label, material=Material.PICTURE, uv=uv[quads],
                    params=(NUMBER['wheel'], 0, 0, 0, 0, 0), two_sided=True,
                )
            )  # fmt: skip
    return concatenate(parts)


def footprint(mesh: Mesh) -> NDArray[np.float64]:
    """Give the rectangle (4, 2) on the ground around a vehicle, along its own axes."""
    points = mesh.corners[..., :2].reshape(-1, 2)
    # The first wall of a vehicle runs from its rear to its front.
    along = mesh.corners[0, 1, :2] - mesh.corners[0, 0, :2]
    along /= np.linalg.norm(along)
    axes = np.array([along, [-along[1], along[0]]])
    low, high = (points @ axes.T).min(0), (points @ axes.T).max(0)
    corners = np.array([low, (high[0], low[1]), high, (low[0], high[1])])
    return corners @ axes
