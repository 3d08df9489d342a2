# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which polygon is seen where: an exact z-buffer over all polygons at once, in numpy.

A view is sampled on columns of constant u = x / z and, within a column, at rows v = y / z. A
convex polygon covers one interval of each column, so its samples are two levels of ``repeat``,
and inverse depth is linear in (u, v). Cameras and LiDARs differ only in their grid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.synthetic.mesh import face_normals

NEAR = 0.2
"""What is nearer to the view's plane than this, in metres, is cut away."""

Keep = Callable[[NDArray[np.int32], NDArray[np.int32], NDArray[np.floating]], NDArray[np.bool_]]


@dataclass(frozen=True)
class Grid:
    """Sample positions: columns (C,) of u and rows (R,) of v, both ascending.

    Row r of column c lies at v = rows[r] * row_scale[c].
    """

    columns: NDArray[np.floating]
    rows: NDArray[np.floating]
    row_scale: NDArray[np.floating] | None = None

    @classmethod
    def of_camera(cls, camera: PinholeCamera) -> Grid:
        """Sample at the pixel centres."""
        return cls(
            (np.arange(camera.width) - camera.cx) / camera.fx,
            (np.arange(camera.height) - camera.cy) / camera.fy,
        )

    def first_column(self, u: NDArray[np.floating]) -> NDArray[np.intp]:
        """Give the index of the first column at or right of u."""
        return self._first(self.columns, u)

    def first_row(self, v: NDArray[np.floating], column: NDArray[np.int32]) -> NDArray[np.intp]:
        """Give the index of the first row at or below v in the given columns."""
        return self._first(self.rows, v if self.row_scale is None else v / self.row_scale[column])

    def _first(self, places: NDArray[np.floating], at: NDArray[np.floating]) -> NDArray[np.intp]:
        if self.row_scale is not None:
            return np.searchsorted(places, at, 'left')
        # Evenly spaced places need no search, which is most of the time of a small polygon.
        step = (places[-1] - places[0]) / max(len(places) - 1, 1)
        index = np.ceil((at - places[0]) / (step or 1.0))
        return np.clip(index, 0, len(places)).astype(np.intp)


def planes(corners_n43: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give (N, 3) so that inverse depth = planes . (u, v, 1); NaN where seen edge-on.

    Its sign is also the polygon's side: the outside is seen where the normal faces the origin.
    """
    normal = face_normals(corners_n43)
    distance = (normal * corners_n43[:, 0]).sum(1)
    edge_on = np.abs(distance) < 1e-9 + 1e-7 * np.linalg.norm(normal, axis=1)
    return normal / np.where(edge_on, np.nan, distance)[:, None]


def outside_seen(corners_n43: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Say which polygons show their outside to the origin."""
    return (face_normals(corners_n43) * corners_n43[:, 0]).sum(1) < 0


def clip_near(
    corners_n43: NDArray[np.float64], near: float = NEAR
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Cut polygons at z = near; gives corners (M, 4, 3) and the polygon of each (M,)."""
    inside = corners_n43[..., 2] >= near
    whole = np.flatnonzero(inside.all(1))
    cut = np.flatnonzero(inside.any(1) & ~inside.all(1))
    triangles = corners_n43[cut][:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3, 3)
    owner = np.repeat(cut, 2)
    inside = triangles[..., 2] >= near
    count = inside.sum(1)
    pieces, owners = [corners_n43[whole]], [whole]
    for kept in (1, 2, 3):
        chosen = count == kept
        # Rotate so that the corners that stay come first.
        start = np.argmax(inside[chosen] & ~np.roll(inside[chosen], 1, 1), axis=1)
        order = (start[:, None] + np.arange(3)) % 3
        a, b, c = np.take_along_axis(triangles[chosen], order[..., None], 1).transpose(1, 0, 2)
        if kept == 3:
            piece = np.stack([a, b, c, c], 1)
        elif kept == 2:
            piece = np.stack([a, b, _at_near(b, c, near), _at_near(a, c, near)], 1)
        else:
            last = _at_near(a, c, near)
            piece = np.stack([a, _at_near(a, b, near), last, last], 1)
        pieces.append(piece)
        owners.append(owner[chosen])
    return np.concatenate(pieces), np.concatenate(owners)


def _at_near(
    inside: NDArray[np.float64], outside: NDArray[np.float64], near: float
) -> NDArray[np.float64]:
    share = (inside[:, 2] - near) / (inside[:, 2] - outside[:, 2])
    return inside + share[:, None] * (outside - inside)


def visible(
    corners_n43: NDArray[np.float64],
    two_sided_n: NDArray[np.bool_],
    grid: Grid,
    keep: Keep | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Find the nearest polygon at every sample of a perspective view.

    :param corners_n43: polygons in the view's frame, x right, y down, z forward.
    :param keep: called with flat sample numbers, polygon numbers and inverse depths; says which
        of these hits count, for surfaces with holes.
    :returns: polygon numbers (R, C), -1 where none, and inverse depths (R, C), 0 where none.
    """
    x, y, z = corners_n43[..., 0], corners_n43[..., 1], corners_n43[..., 2]
    left, right = grid.columns[0], grid.columns[-1]
    scale = (1.0, 1.0) if grid.row_scale is None else (grid.row_scale.min(), grid.row_scale.max())
    top = min(grid.rows[0] * s for s in scale)
    bottom = max(grid.rows[-1] * s for s in scale)
    in_view = (
        (z > NEAR).any(1)
        & (x > left * z).any(1)
        & (x < right * z).any(1)
        & (y > top * z).any(1)
        & (y < bottom * z).any(1)
    )
    chosen = np.flatnonzero(in_view)
    chosen = chosen[two_sided_n[chosen] | outside_seen(corners_n43[chosen])]
    clipped, owner = clip_near(corners_n43[chosen])
    plane = planes(corners_n43[chosen])[owner]
    seen = np.isfinite(plane[:, 0])
    clipped, owner, plane = clipped[seen], owner[seen], plane[seen]
    return fill(
        clipped[..., :2] / clipped[..., 2:], plane, chosen[owner].astype(np.int32), grid, keep
    )


def fill(
    corners_n42: NDArray[np.floating],
    plane_n3: NDArray[np.float64],
    owner_n: NDArray[np.int32],
    grid: Grid,
    keep: Keep | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Find, at every sample, the convex polygon with the largest plane . (u, v, 1).

    :returns: owners (R, C), -1 where none, and the largest values (R, C), 0 where none.
    """
    width, height = len(grid.columns), len(grid.rows)
    best = np.zeros(width * height, np.float32)
    found = np.full(width * height, -1, np.int32)
    span, column = _expand(
        grid.first_column(corners_n42[..., 0].min(1)),
        grid.first_column(corners_n42[..., 0].max(1)),
    )
    low, high = _intervals(corners_n42, span, grid.columns[column])
    hit, row = _expand(grid.first_row(low, column), grid.first_row(high, column))
    base = (plane_n3[span, 0] * grid.columns[column] + plane_n3[span, 2]).astype(np.float32)
    slope = plane_n3[span, 1]
    if grid.row_scale is not None:
        slope = slope * grid.row_scale[column]
    value = slope.astype(np.float32)[hit]
    value *= grid.rows.astype(np.float32)[row]
    value += base[hit]
    sample = row * np.int32(width) + column.astype(np.int32)[hit]
    polygon = owner_n[span][hit]
    if keep is not None:
        kept = keep(sample, polygon, value)
        sample, polygon, value = sample[kept], polygon[kept], value[kept]
    np.maximum.at(best, sample, value)
    winner = np.flatnonzero(value == best[sample])
    found[sample[winner]] = polygon[winner]
    return found.reshape(height, width), best.reshape(height, width)


def _expand(
    first: NDArray[np.intp], end: NDArray[np.intp]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """List all integers of the ranges [first, end): the range's number and the integer."""
    count = np.maximum(end - first, 0)
    number = np.repeat(np.arange(len(count), dtype=np.int32), count)
    offset = (first - (np.cumsum(count) - count)).astype(np.int32)
    return number, np.arange(len(number), dtype=np.int32) + offset[number]


def _intervals(
    corners_n42: NDArray[np.floating], span: NDArray[np.int32], u: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the lowest and highest v of polygon span[i] on the line u[i]."""
    low, high = np.full(len(span), np.inf), np.full(len(span), -np.inf)
    following = np.roll(corners_n42, -1, axis=1)
    # Both neighbours of an edge see it from left to right, so that no gap opens between them.
    swap = (corners_n42[..., 0] > following[..., 0])[..., None]
    start, end = np.where(swap, following, corners_n42), np.where(swap, corners_n42, following)
    run = end[..., 0] - start[..., 0]
    slope = (end[..., 1] - start[..., 1]) / np.where(run > 0, run, 1)
    offset = start[..., 1] - slope * start[..., 0]
    for edge in range(4):
        crossed = (start[span, edge, 0] <= u) & (u < end[span, edge, 0])
        v = offset[span, edge] + slope[span, edge] * u
        np.minimum(low, v, out=low, where=crossed)
        np.maximum(high, v, out=high, where=crossed)
    return low, high
