# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cast shadows and the darkness around objects that stand on the ground, as maps of the ground."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.synthetic.mesh import Material, Mesh
from sg_depth_ros.synthetic.raster import Grid, fill

CELL = 0.25
"""Metres a map cell."""
SIDE = 720
"""Cells along a map's side."""
_GROUND = (Material.ROAD, Material.PAVING, Material.TERRAIN, Material.BACKDROP)
_REACH = 0.25
"""Metres by which a point is lifted off its surface, so that it does not shade itself."""

Array = NDArray[np.floating]


class ShadowMap:
    """Heights of what stands between the ground and the sun, projected along the sunlight.

    A point (x, y, z) is projected to the ground point under it along the light; whichever is
    highest on the way is lit, all below is in shadow. Cells are fixed to the world, so that
    shadows do not swim.
    """

    def __init__(self, sun: Array) -> None:
        self._slope = np.asarray(sun[:2] / sun[2], np.float64)
        self._corner = np.zeros(2)
        self._level = self._base = 0.0
        self._fixed = np.zeros((SIDE, SIDE), np.float32)
        self._heights = self._fixed

    def set_static(self, mesh: Mesh, center: NDArray[np.float64]) -> None:
        """Draw what stands still around a world point (3,)."""
        self._corner = np.floor(center[:2] / CELL) * CELL - CELL * SIDE / 2
        self._level = float(center[2])
        # Heights are counted from far below, so that 0 can mean nothing.
        self._base = self._level - 100.0
        self._fixed = self._draw(mesh)
        self._heights = self._fixed

    def set_moving(self, mesh: Mesh) -> None:
        """Add what moves, for one frame."""
        self._heights = np.maximum(self._fixed, self._draw(mesh))

    def _project(self, points: NDArray[np.floating]) -> NDArray[np.floating]:
        height = points[..., 2:] - self._level
        return (points[..., :2] - height * self._slope - self._corner) / CELL

    def _draw(self, mesh: Mesh) -> Array:
        # Half of the foliage makes shade enough, and lets sunlight through.
        thinned = (mesh.material == Material.LEAVES) & (np.arange(len(mesh)) % 2 == 0)
        chosen = np.flatnonzero(~np.isin(mesh.material, _GROUND) & ~thinned)
        corners = mesh.corners[chosen]
        flat = self._project(corners)
        e1, e2 = flat[:, 1] - flat[:, 0], flat[:, 3] - flat[:, 0]
        rise1 = corners[:, 1, 2] - corners[:, 0, 2]
        rise2 = corners[:, 3, 2] - corners[:, 0, 2]
        area = e1[:, 0] * e2[:, 1] - e1[:, 1] * e2[:, 0]
        inside = (flat.max(1) > 0).all(1) & (flat.min(1) < SIDE).all(1)
        good = np.flatnonzero((np.abs(area) > 0.02) & inside)
        e1, e2, area = e1[good], e2[good], area[good]
        du = (rise1[good] * e2[:, 1] - rise2[good] * e1[:, 1]) / area
        dv = (rise2[good] * e1[:, 0] - rise1[good] * e2[:, 0]) / area
        start = flat[good, 0]
        height = corners[good, 0, 2] - self._base - du * start[:, 0] - dv * start[:, 1]
        cells = np.arange(SIDE, dtype=np.float64)
        owner = chosen[good].astype(np.int32)
        plane = np.stack([du, dv, height], 1)
        return fill(flat[good], plane, owner, Grid(cells, cells))[1]

    def lit(self, points_n3: NDArray[np.float64], normals_n3: Array) -> Array:
        """Give the share (N,) of sunlight that reaches world points with unit normals."""
        lifted = points_n3 + _REACH * normals_n3
        position = self._project(lifted)
        height = (lifted[:, 2] - self._base).astype(np.float32)
        inside = np.all((position > 0) & (position < SIDE - 2), axis=1)
        position = np.where(inside[:, None], position, 1)
        cell = position.astype(np.int32)
        fx, fy = (position - cell).astype(np.float32).T
        heights = self._heights.ravel()
        start = cell[:, 1] * SIDE + cell[:, 0]
        total = np.zeros(len(points_n3), np.float32)
        for dy, wy in ((0, 1 - fy), (1, fy)):
            for dx, wx in ((0, 1 - fx), (1, fx)):
                total += wx * wy * (heights[start + dy * SIDE + dx] <= height)
        return np.where(inside, total, 1).astype(np.float32)


class ContactMap:
    """How much of the sky is hidden from the ground by objects that stand on it."""

    def __init__(self, footprints_n42: NDArray[np.float64], center: NDArray[np.float64]) -> None:
        """Draw footprints (N, 4, 2) in world metres around a world point."""
        self._corner = np.floor(center[:2] / CELL) * CELL - CELL * SIDE / 2
        drawn = np.zeros((SIDE, SIDE), np.uint8)
        if len(footprints_n42):
            # Fixed-point positions within a cell, or the shade of moving cars would jump.
            cells = np.round((footprints_n42 - self._corner) / CELL * 16)
            near = (np.abs(cells - 8 * SIDE) < 8 * SIDE).all((1, 2))
            for corners in cells[near].astype(np.int32):
                cv2.fillConvexPoly(drawn, corners, 255, cv2.LINE_AA, 4)
        self._shade = cv2.GaussianBlur(drawn, (0, 0), 0.35 / CELL).astype(np.float32) / 255

    def openness(self, points_n3: NDArray[np.float64]) -> Array:
        """Give the open share (N,) of the sky at ground points (N, 3)."""
        place = ((points_n3[:, :2] - self._corner) / CELL).astype(np.float32)
        inside = np.all((place > 0) & (place < SIDE - 1), axis=1)
        place = np.where(inside[:, None], place, 0)
        columns = 1024
        # At least one row: a picture may show no ground at all.
        padded = np.zeros(((len(place) // columns + 1) * columns, 2), np.float32)
        padded[: len(place)] = place
        x, y = padded.reshape(-1, columns, 2).transpose(2, 0, 1)
        hidden = cv2.remap(self._shade, x, y, cv2.INTER_LINEAR).ravel()[: len(place)]
        return 1 - 0.85 * np.where(inside, hidden, 0)
