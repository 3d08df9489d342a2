# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Small drawn pictures (car fronts, signs, lamps, wheels) with mip levels and masks."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Canvas = NDArray[np.uint8]

SIDE = 128
PAINT = (128, 128, 128)
"""Drawn grey that takes the colour of the polygon."""


def _box(c: Canvas, x0: float, y0: float, x1: float, y1: float, color: tuple[int, ...]) -> None:
    """Fill a rectangle given in shares of the side."""
    low, high = (int(x0 * SIDE), int(y0 * SIDE)), (int(x1 * SIDE) - 1, int(y1 * SIDE) - 1)
    cv2.rectangle(c, low, high, color, -1)


def _disc(c: Canvas, x: float, y: float, r: float, color: tuple[int, ...]) -> None:
    cv2.circle(c, (int(x * SIDE), int(y * SIDE)), int(r * SIDE), color, -1, cv2.LINE_AA)


def _car_front(c: Canvas, lamp: Canvas) -> None:
    _box(c, 0, 0.72, 1, 1, (35, 35, 38))
    _box(c, 0.25, 0.22, 0.75, 0.5, (28, 28, 30))
    for k in range(3):
        _box(c, 0.27, 0.27 + 0.07 * k, 0.73, 0.29 + 0.07 * k, (120, 120, 125))
    _box(c, 0.34, 0.58, 0.66, 0.7, (225, 225, 215))
    for x in (0.03, 0.77):
        _box(c, x, 0.18, x + 0.2, 0.42, (215, 220, 225))
        _box(c, x + 0.03, 0.22, x + 0.17, 0.38, (245, 245, 240))
        _box(lamp, x + 0.03, 0.22, x + 0.17, 0.38, (255,))


def _car_rear(c: Canvas, lamp: Canvas) -> None:
    _box(c, 0, 0.76, 1, 1, (40, 40, 43))
    _box(c, 0, 0.52, 1, 0.55, (90, 90, 92))
    _box(c, 0.3, 0.3, 0.7, 0.48, (228, 228, 220))
    _box(c, 0.34, 0.36, 0.66, 0.43, (60, 60, 70))
    for x in (0.01, 0.79):
        _box(c, x, 0.08, x + 0.2, 0.4, (175, 22, 18))
        _box(c, x + 0.02, 0.26, x + 0.18, 0.34, (235, 190, 150))
        _box(lamp, x, 0.08, x + 0.2, 0.4, (255,))


def _side_windows(c: Canvas, lamp: Canvas) -> None:
    _box(c, 0, 0, 1, 1, (26, 30, 34))
    _box(c, 0, 0, 1, 0.4, (58, 66, 74))
    for x in (0.0, 0.36, 0.68, 0.96):
        _box(c, x, 0, x + 0.045, 1, (24, 24, 26))


def _windscreen(c: Canvas, lamp: Canvas) -> None:
    for y in range(SIDE):
        share = y / SIDE
        c[y] = np.array([96, 108, 120]) * (1 - share) + np.array([26, 29, 32]) * share
    _box(c, 0.12, 0.62, 0.36, 1, (20, 21, 24))
    _box(c, 0.62, 0.62, 0.86, 1, (20, 21, 24))
    _box(c, 0, 0, 1, 0.06, (30, 30, 32))


def _car_door(c: Canvas, lamp: Canvas) -> None:
    _box(c, 0, 0.86, 1, 1, (70, 70, 70))
    for x in (0.3, 0.55, 0.78):
        _box(c, x, 0.02, x + 0.012, 0.86, (70, 70, 70))
    for x in (0.33, 0.58):
        _box(c, x, 0.2, x + 0.07, 0.26, (60, 60, 62))
    _box(c, 0, 0.5, 1, 0.53, (150, 150, 150))


def _wheel(c: Canvas, lamp: Canvas) -> None:
    _box(c, 0, 0, 1, 1, (18, 18, 19))
    _disc(c, 0.5, 0.5, 0.33, (150, 152, 155))
    _disc(c, 0.5, 0.5, 0.28, (90, 92, 95))
    for k in range(5):
        a = 2 * np.pi * k / 5
        end = (int(64 + 38 * np.cos(a)), int(64 + 38 * np.sin(a)))
        cv2.line(c, (64, 64), end, (175, 177, 180), 9, cv2.LINE_AA)
    _disc(c, 0.5, 0.5, 0.08, (60, 60, 62))


def _truck_rear(c: Canvas, lamp: Canvas) -> None:
    _box(c, 0.485, 0, 0.515, 0.84, (70, 70, 70))
    for x in (0.06, 0.3, 0.66, 0.9):
        _box(c, x, 0.03, x + 0.02, 0.82, (95, 95, 95))
    _box(c, 0, 0.84, 1, 1, (38, 38, 40))
    for x in (0.02, 0.84):
        _box(c, x, 0.86, x + 0.14, 0.93, (190, 25, 20))
        _box(lamp, x, 0.86, x + 0.14, 0.93, (255,))
    _box(c, 0.4, 0.87, 0.6, 0.95, (225, 225, 215))


def _truck_stripes(c: Canvas, lamp: Canvas) -> None:
    _truck_rear(c, lamp)
    for k in range(-1, 12):
        points = np.array([[k, 0.78], [k + 0.5, 0.78], [k + 1, 0.86], [k + 0.5, 0.86]])
        points = (points * [SIDE / 11, SIDE]).astype(np.int32)
        cv2.fillConvexPoly(c, points, (215, 40, 30))


def _truck_side(c: Canvas, lamp: Canvas) -> None:
    rng = np.random.default_rng(3)
    for x in np.arange(0, 1, 0.125):
        _box(c, x, 0, x + 0.01, 1, (105, 105, 105))
    _box(c, 0.1, 0.3, 0.62, 0.52, tuple(int(v) for v in rng.integers(30, 220, 3)))
    cv2.putText(c, 'LOGISTIK', (18, 62), cv2.FONT_HERSHEY_DUPLEX, 0.75, (240, 240, 240), 2)


def _bus_side(c: Canvas, lamp: Canvas) -> None:
    _box(c, 0, 0.12, 1, 0.52, (34, 40, 46))
    _box(c, 0, 0.12, 1, 0.26, (70, 80, 90))
    for x in np.arange(0.1, 1, 0.13):
        _box(c, x, 0.12, x + 0.012, 0.52, (20, 20, 20))
    for x in (0.14, 0.54):
        _box(c, x, 0.14, x + 0.09, 0.95, (30, 34, 38))
    _box(c, 0, 0.72, 1, 0.76, (225, 225, 225))


def _bus_rear(c: Canvas, lamp: Canvas) -> None:
    _box(c, 0.1, 0.1, 0.9, 0.42, (40, 46, 52))
    _box(c, 0.2, 0.6, 0.8, 0.8, (70, 70, 72))
    _box(c, 0.38, 0.84, 0.62, 0.9, (225, 225, 215))
    for x in (0.02, 0.88):
        _box(c, x, 0.5, x + 0.1, 0.78, (180, 25, 20))
        _box(lamp, x, 0.5, x + 0.1, 0.78, (255,))


def _van_rear(c: Canvas, lamp: Canvas) -> None:
    _box(c, 0.06, 0.08, 0.47, 0.4, (34, 38, 43))
    _box(c, 0.53, 0.08, 0.94, 0.4, (34, 38, 43))
    _box(c, 0.49, 0, 0.51, 0.86, (60, 60, 60))
    _box(c, 0, 0.88, 1, 1, (40, 40, 42))
    _box(c, 0.15, 0.64, 0.4, 0.72, (225, 225, 215))
    for x in (0.0, 0.93):
        _box(c, x, 0.42, x + 0.07, 0.72, (180, 25, 20))
        _box(lamp, x, 0.42, x + 0.07, 0.72, (255,))


def _light_red(c: Canvas, lamp: Canvas) -> None:
    _lights(c, lamp, 0)


def _light_green(c: Canvas, lamp: Canvas) -> None:
    _lights(c, lamp, 2)


def _lights(c: Canvas, lamp: Canvas, on: int) -> None:
    _box(c, 0, 0, 1, 1, (24, 25, 24))
    for k, color in enumerate([(255, 40, 30), (255, 190, 40), (60, 255, 150)]):
        shade = color if k == on else tuple(v // 6 for v in color)
        center = (64, int(SIDE * (0.2 + 0.3 * k)))
        cv2.ellipse(c, center, (46, 15), 0, 0, 360, shade, -1)
        if k == on:
            cv2.ellipse(lamp, center, (46, 15), 0, 0, 360, (255,), -1)


def _sign_limit(c: Canvas, lamp: Canvas) -> None:
    _box(c, 0, 0, 1, 1, (200, 25, 25))
    _disc(c, 0.5, 0.5, 0.38, (240, 240, 240))
    cv2.putText(c, '50', (36, 82), cv2.FONT_HERSHEY_DUPLEX, 1.7, (20, 20, 20), 5, cv2.LINE_AA)


def _sign_blue(c: Canvas, lamp: Canvas) -> None:
    _box(c, 0, 0, 1, 1, (25, 70, 170))
    cv2.arrowedLine(c, (64, 108), (64, 24), (240, 240, 240), 12, cv2.LINE_AA, 0, 0.4)


def _sign_parking(c: Canvas, lamp: Canvas) -> None:
    _box(c, 0, 0, 1, 1, (240, 240, 240))
    _box(c, 0.05, 0.05, 0.95, 0.95, (25, 70, 170))
    cv2.putText(c, 'P', (34, 100), cv2.FONT_HERSHEY_DUPLEX, 3, (240, 240, 240), 9, cv2.LINE_AA)


def _sign_warning(c: Canvas, lamp: Canvas) -> None:
    _box(c, 0, 0, 1, 1, (205, 30, 28))
    cv2.fillConvexPoly(c, np.array([[64, 30], [108, 112], [20, 112]]), (240, 240, 240))
    _box(c, 0.46, 0.45, 0.54, 0.82, (20, 20, 20))


def _sign_direction(c: Canvas, lamp: Canvas) -> None:
    _box(c, 0, 0, 1, 1, (240, 205, 30))
    for k, word in enumerate(('Zentrum', 'Messe', 'Bahnhof')):
        cv2.putText(c, word, (10, 36 + 36 * k), cv2.FONT_HERSHEY_DUPLEX, 0.8, (15, 15, 15), 2)


def _sign_motorway(c: Canvas, lamp: Canvas) -> None:
    _box(c, 0, 0, 1, 1, (20, 75, 165))
    for k, word in enumerate(('Nord', 'A 5', 'Ost 7')):
        cv2.putText(c, word, (18, 36 + 36 * k), cv2.FONT_HERSHEY_DUPLEX, 1, (240, 240, 240), 2)


def _door(c: Canvas, lamp: Canvas) -> None:
    _box(c, 0, 0, 1, 1, (200, 200, 195))
    _box(c, 0.08, 0.04, 0.92, 1, PAINT)
    for x, y in ((0.18, 0.12), (0.56, 0.12), (0.18, 0.56), (0.56, 0.56)):
        _box(c, x, y, x + 0.26, y + 0.34, (95, 95, 95))


def _garage(c: Canvas, lamp: Canvas) -> None:
    for y in np.arange(0, 1, 0.1):
        _box(c, 0, y, 1, y + 0.015, (90, 90, 90))


def _shirt(c: Canvas, lamp: Canvas) -> None:
    _box(c, 0.47, 0, 0.53, 1, (100, 100, 100))
    _box(c, 0, 0.9, 1, 1, (60, 55, 50))


_DRAWN: dict[str, tuple[Callable[[Canvas, Canvas], None], bool]] = {
    name: (draw, painted)
    for name, draw, painted in [
        ('car_front', _car_front, True),
        ('car_rear', _car_rear, True),
        ('car_door', _car_door, True),
        ('side_windows', _side_windows, False),
        ('windscreen', _windscreen, False),
        ('wheel', _wheel, False),
        ('truck_rear', _truck_rear, True),
        ('truck_stripes', _truck_stripes, True),
        ('truck_side', _truck_side, True),
        ('bus_side', _bus_side, True),
        ('bus_rear', _bus_rear, True),
        ('van_rear', _van_rear, True),
        ('light_red', _light_red, False),
        ('light_green', _light_green, False),
        ('sign_limit', _sign_limit, False),
        ('sign_blue', _sign_blue, False),
        ('sign_parking', _sign_parking, False),
        ('sign_warning', _sign_warning, False),
        ('sign_direction', _sign_direction, False),
        ('sign_motorway', _sign_motorway, False),
        ('door', _door, True),
        ('garage', _garage, True),
        ('shirt', _shirt, True),
    ]
}
NUMBER = {name: number for number, name in enumerate(_DRAWN)}
"""Picture numbers by name."""


@cache
def _levels() -> tuple[Array, ...]:
    """Give the pictures (N, S, S, 5) linear red, green, blue, paint and lamp; S = 128 to 2."""
    drawn = []
    for draw, painted in _DRAWN.values():
        canvas = np.full((SIDE, SIDE, 3), PAINT, np.uint8)
        lamp = np.zeros((SIDE, SIDE), np.uint8)
        draw(canvas, lamp)
        # What was drawn in any grey of the body takes paint; dark trim, lamps and plates do not.
        grey = (canvas.max(-1) - canvas.min(-1) < 3) & (canvas[..., 0] > 80) & painted
        grey &= canvas[..., 0] < 170
        rgb = (canvas / 255.0) ** 2.2
        rgb[grey] *= 0.5 / (PAINT[0] / 255.0) ** 2.2
        drawn.append(np.dstack([rgb, grey, lamp / 255.0]))
    levels: list[Array] = [np.stack(drawn).astype(np.float32)]
    while levels[-1].shape[1] > 2:
        m = levels[-1]
        levels.append((m[:, ::2, ::2] + m[:, 1::2, ::2] + m[:, ::2, 1::2] + m[:, 1::2, 1::2]) / 4)
    return tuple(levels)


def sample_picture(
    number: NDArray[np.intp], u: Array, v: Array, du: Array, dv: Array
) -> tuple[Array, Array, Array]:
    """Look pictures up at u (right) and v (down) in 0..1 with footprints du, dv.

    :returns: linear RGB (N, 3), share of paint (N,) and share of lamp (N,).
    """
    levels = _levels()
    texels = SIDE * np.maximum(0.65 * np.maximum(du, dv), 1e-6)
    level = np.clip(np.round(np.log2(texels)), 0, len(levels) - 1).astype(np.intp)
    out = np.empty((len(u), 5), np.float32)
    for k in np.unique(level):
        at = np.flatnonzero(level == k)
        side = levels[k].shape[1]
        x = np.clip(u[at] * side - 0.5, 0, side - 1.001)
        y = np.clip(v[at] * side - 0.5, 0, side - 1.001)
        x0, y0 = x.astype(np.intp), y.astype(np.intp)
        fx, fy = (x - x0)[:, None], (y - y0)[:, None]
        page = levels[k].reshape(-1, 5)
        base = (number[at] * side + y0) * side + x0
        top = page[base] * (1 - fx) + page[base + 1] * fx
        bottom = page[base + side] * (1 - fx) + page[base + side + 1] * fx
        out[at] = top * (1 - fy) + bottom * fy
    return out[:, :3], out[:, 3], out[:, 4]
