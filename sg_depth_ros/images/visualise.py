# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of depth, labels and point clouds for people; images are (H, W, 3) uint8 RGB."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]

SKY_COLOR = (214, 226, 240)
"""Depth of +inf: paler than any colour of the map, so that it is not taken for far ground."""
UNKNOWN_COLOR = (0, 0, 0)
BACKGROUND = (18, 20, 26)
LEGEND_HEIGHT = 34


def depth_range(depths: Iterable[NDArray[np.floating]]) -> tuple[float, float]:
    """Give the depths (near, far) that hold 1 to 97 % of the finite values of some images.

    Taken once over a few frames and then kept, it makes colours comparable through a video.

    :raises ValueError: when no image has a finite positive value.
    """
    # A thinned sample is as good for percentiles, and 4K frames stay cheap.
    samples = [depth[::4, ::4][np.isfinite(depth[::4, ::4])] for depth in depths]
    values = np.concatenate(samples) if samples else np.empty(0)
    values = values[values > 0]
    if not values.size:
        raise ValueError('no depth image has a finite positive value, so there is no range')
    near, far = (float(value) for value in np.percentile(values, [1, 97]))
    return near, max(far, near * 1.01)


def colorize_depth(depth_hw: NDArray[np.floating], near: float, far: float) -> Rgb:
    """Colour a depth image by inverse depth: near is red, far is blue.

    +inf (sky) and NaN, zero or less (unknown) have colours of their own.

    :param near: depth that gets the first colour, in the unit of ``depth_hw``; below ``far``.
    """
    known = np.isfinite(depth_hw) & (depth_hw > 0)
    inverse = 1 / np.where(known, depth_hw, far)
    share = (inverse - 1 / far) / (1 / near - 1 / far)
    colored = _turbo(share)
    colored[~known] = UNKNOWN_COLOR
    colored[np.isposinf(depth_hw)] = SKY_COLOR
    return colored


def colorize_labels(labels_hw: NDArray[np.uint8], palette: NDArray[np.uint8]) -> Rgb:
    """Colour labels by a (256, 3) uint8 RGB palette."""
    return palette[labels_hw]


def line_chart(
    x: NDArray[np.floating],
    y: NDArray[np.floating],
    title: str,
    size: tuple[int, int] = (720, 240),
) -> Rgb:
    """Draw y over x, from 0 on, with the greatest of each written down.

    :param x: (N,) increasing; y (N,) of zero or more
    :param size: width and height in pixels
    """
    width, height = size
    chart = np.full((height, width, 3), 255, np.uint8)
    left, top, right, bottom = 20, 40, width - 20, height - 30
    far, high = float(x[-1] - x[0]) or 1.0, 1.2 * float(y.max()) or 1.0
    u = left + (x - x[0]) / far * (right - left)
    v = bottom - y / high * (bottom - top)
    cv2.rectangle(chart, (left, top), (right, bottom), (200, 200, 200))
    points = np.rint(np.stack([u, v], 1)).astype(np.int32)
    cv2.polylines(chart, [points], False, (31, 90, 180), 2, cv2.LINE_AA)
    font, ink = cv2.FONT_HERSHEY_SIMPLEX, (40, 40, 40)
    heading = f'{title}: {y.min():.4g} to {y.max():.4g}'
    cv2.putText(chart, heading, (left, 26), font, 0.55, ink, 1, cv2.LINE_AA)
    cv2.putText(chart, f'{far:.1f} s', (right - 60, height - 8), font, 0.5, ink, 1, cv2.LINE_AA)
    return chart


def depth_legend(near: float, far: float, width: int, unit: str = 'm') -> Rgb:
    """Draw a bar (LEGEND_HEIGHT, width, 3) of the colours with a few depths written below it."""
    share = np.linspace(1, 0, width)
    legend = np.full((LEGEND_HEIGHT, width, 3), BACKGROUND, np.uint8)
    legend[: LEGEND_HEIGHT // 2] = _turbo(share)[None]
    inverse = np.linspace(1 / near, 1 / far, width)
    ticks = max(2, min(8, width // 90))
    for x in np.linspace(0, width - 1, ticks).astype(int):
        text = f'{1 / inverse[x]:.3g} {unit}'
        (text_width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.4, 1)
        left = int(np.clip(x - text_width // 2, 2, max(2, width - text_width - 2)))
        _text(legend, text, left, LEGEND_HEIGHT - 5, 0.4)
    return legend


def side_by_side(images: Sequence[Rgb], titles: Sequence[str] = ()) -> Rgb:
    """Join pictures of one scene: beside each other, or stacked where they are wide.

    All get the size of the first; labels and depth stay sharp (nearest neighbour).
    """
    height, width = images[0].shape[:2]
    size = (width, height)
    panels = [
        np.array(cv2.resize(image, size, interpolation=cv2.INTER_NEAREST), np.uint8)
        for image in images
    ]
    for panel, title in zip(panels, titles, strict=False):
        _text(panel, title, 8, 20, 0.55)
    return np.concatenate(panels, axis=0 if width > 1.6 * height else 1)


def strip(pictures: Sequence[Rgb], columns: int = 2) -> Rgb:
    """Lay pictures of one size out in rows of ``columns``."""
    height, width = pictures[0].shape[:2]
    rows = -(-len(pictures) // columns)
    sheet = np.full((rows * height, columns * width, 3), BACKGROUND, np.uint8)
    for i, picture in enumerate(pictures):
        y, x = i // columns * height, i % columns * width
        sheet[y : y + height, x : x + width] = picture
    return sheet


def render_points(
    points_n3: NDArray[np.floating],
    colors_n3: Rgb,
    width: int = 960,
    height: int = 540,
    size: float | None = None,
) -> Rgb:
    """Render a coloured point cloud as seen from behind, above and beside its camera.

    The viewpoint scales with the cloud, so clouds of relative depth look right too.

    :param points_n3: (N, 3) in the optical frame (x right, y down, z forward).
    :param size: distance that the view is made for; if not given, the median of the points.
    """
    picture = np.full((height, width, 3), BACKGROUND, np.uint8)
    known = np.isfinite(points_n3).all(1) & (points_n3[:, 2] > 0)
    points, colors = points_n3[known].astype(np.float64), colors_n3[known]
    if not len(points):
        return picture
    size = float(np.median(points[:, 2])) if size is None else size
    eye, target = size * np.array([0.35, -0.6, -0.45]), size * np.array([0.0, 0.1, 1.0])
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross([0.0, 1.0, 0.0], forward)
    right /= np.linalg.norm(right)
    seen = (points - eye) @ np.stack([right, np.cross(forward, right), forward]).T
    x, y, z = seen.T
    # Far stray points would be single specks that only distract.
    visible = (z > 0.05 * size) & (z < 8 * size)
    x, y, z, colors = x[visible], y[visible], z[visible], colors[visible]
    focal = 0.9 * width
    u = (focal * x / z + width / 2).astype(int)
    v = (focal * y / z + height / 2).astype(int)
    buffer = np.full(height * width, np.inf)
    flat = picture.reshape(-1, 3)
    # A point covers 2x2 pixels; the nearest wins, whatever the order of the points.
    for du, dv in ((0, 0), (1, 0), (0, 1), (1, 1)):
        inside = (u + du >= 0) & (u + du < width) & (v + dv >= 0) & (v + dv < height)
        index = (v[inside] + dv) * width + u[inside] + du
        order = np.argsort(-z[inside], kind='stable')
        index, depth = index[order], z[inside][order]
        # The last write to a pixel stays, and that is its nearest point.
        nearest = np.full(height * width, np.inf)
        nearest[index] = depth
        chosen = np.zeros(height * width, np.int64)
        chosen[index] = np.flatnonzero(inside)[order]
        wins = nearest < buffer
        flat[wins] = colors[chosen[wins]]
        buffer[wins] = nearest[wins]
    return picture


def _turbo(share: NDArray[np.floating]) -> Rgb:
    """Map 0..1 (any shape) to RGB with Google's Turbo, which OpenCV 4 and 5 both have."""
    levels = np.clip(share * 255, 0, 255).astype(np.uint8)
    table = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_TURBO)
    return np.asarray(table, np.uint8).reshape(256, 3)[levels, ::-1]


def _text(image: Rgb, text: str, x: int, y: int, scale: float) -> None:
    """Write white text with a dark rim in place, readable on any ground."""
    # A thicker stroke below it would not do: OpenCV 5 makes bold letters wider.
    rim = [((x + dx, y + dy), (0, 0, 0)) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
    for place, color in [*rim, ((x, y), (255, 255, 255))]:
        cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, color, 1, cv2.LINE_AA)
