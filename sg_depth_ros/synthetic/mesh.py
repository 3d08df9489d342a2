# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Flat polygons with materials: the one kind of geometry that the street is made of.

The world frame is x forward at the start, y left, z up, in metres. A polygon has four corners,
counter-clockwise seen from outside; a triangle repeats its last corner.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from enum import IntEnum
from typing import TYPE_CHECKING, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Material(IntEnum):
    """The shader of a polygon and the meaning of its six ``params``."""

    PLAIN = 0
    """Coloured noise: wavelength (m), amplitude, pattern (0 none, 1 bricks, 2 upright slats,
    3 rows), pattern width (m), pattern height (m), seed."""
    ROAD = 1
    """Lane width (m), lanes a direction, centre dash share, edge line, wear, crossing."""
    PAVING = 2
    """Slab width (m), slab height (m), joint darkness, unevenness, -, seed."""
    TERRAIN = 3
    """Share of bare soil, wavelength (m), -, -, -, seed."""
    FACADE = 4
    """Bay width (m), storey height (m), window share of the bay, window share of the storey,
    style, seed."""
    LEAVES = 5
    """Mask number, density, -, -, -, seed; cut out of its polygon by the mask."""
    PICTURE = 6
    """Picture number, emission, -, -, -, -; u to the right and v down, both 0 to 1."""
    BACKDROP = 7
    """Distant hills: like TERRAIN, but with a fixed angular size."""


class Look(TypedDict, total=False):
    """How polygons look: the optional arguments of ``polygons``."""

    color: ArrayLike
    material: Material
    params: ArrayLike
    uv: ArrayLike | None
    normal: ArrayLike | None
    two_sided: bool


@dataclass
class Mesh:
    """N polygons: geometry, texture mapping, material and label."""

    corners: NDArray[np.float64]
    """(N, 4, 3) metres."""
    texture: NDArray[np.float64]
    """(N, 2, 4): point p has texture coordinates texture[:, :3] (p - corner 0) + texture[:, 3]."""
    normal: NDArray[np.float64]
    """(N, 3) unit vectors for shading; curved surfaces differ here from their polygons."""
    color: NDArray[np.float32]
    """(N, 3) linear reflectance."""
    params: NDArray[np.float32]
    """(N, 6), see Material."""
    material: NDArray[np.uint8]
    label: NDArray[np.uint8]
    two_sided: NDArray[np.bool_]
    object_id: NDArray[np.int32]
    """(N,) 0 for what stands still for ever."""

    def __len__(self) -> int:
        return len(self.corners)

    def placed(self, rotation: NDArray[np.float64], position: ArrayLike) -> Mesh:
        """Give the mesh rotated by a (3, 3) matrix, then shifted by (3,) metres."""
        texture = self.texture.copy()
        texture[..., :3] = self.texture[..., :3] @ rotation.T
        return replace(
            self,
            corners=self.corners @ rotation.T + np.asarray(position, np.float64),
            texture=texture,
            normal=self.normal @ rotation.T,
        )

    def scaled(self, factor: float) -> Mesh:
        """Give the mesh enlarged about its origin, textures and all."""
        texture = self.texture.copy()
        texture[..., :3] /= factor
        return replace(self, corners=self.corners * factor, texture=texture)

    def chosen(self, which: NDArray[np.bool_] | NDArray[np.integer]) -> Mesh:
        """Give some of the polygons, by mask or by number."""
        return Mesh(*(getattr(self, f.name)[which] for f in fields(Mesh)))

    def as_object(self, object_id: int) -> Mesh:
        """Give the mesh with every polygon marked as part of one object."""
        return replace(self, object_id=np.full(len(self), object_id, np.int32))


def cross(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give a x b for (..., 3); several times faster than numpy's for the small arrays here."""
    ax, ay, az = a[..., 0], a[..., 1], a[..., 2]
    bx, by, bz = b[..., 0], b[..., 1], b[..., 2]
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], -1)


def face_normals(corners_n43: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give outward normals (N, 3) of polygons, not normalised."""
    a, b, c, d = corners_n43.transpose(1, 0, 2)
    normal = cross(c - a, d - b)
    triangle = (c == d).all(1)
    normal[triangle] = cross((b - a)[triangle], (c - a)[triangle])
    return normal


def concatenate(meshes: Iterable[Mesh]) -> Mesh:
    """Join meshes in order; an empty list gives an empty mesh."""
    parts = [mesh for mesh in meshes if len(mesh)]
    if not parts:
        return polygons(np.zeros((0, 4, 3)), label=0)
    return Mesh(*(np.concatenate([getattr(m, f.name) for m in parts]) for f in fields(Mesh)))


def polygons(
    corners: ArrayLike,
    label: int,
    color: ArrayLike = (0.5, 0.5, 0.5),
    material: Material = Material.PLAIN,
    params: ArrayLike = (0.5, 0.1, 0, 0, 0, 0),
    uv: ArrayLike | None = None,
    normal: ArrayLike | None = None,
    two_sided: bool = False,
) -> Mesh:
    """Make polygons of one label from corners (N, 4, 3).

    ``uv`` are texture coordinates of the corners (N, 4, 2) or (4, 2), metres along the first
    edge and across it where not given. ``color`` and ``params`` may be one or (N, ...).
    """
    corners = np.asarray(corners, np.float64).reshape(-1, 4, 3)
    count = len(corners)
    first, last = corners[:, 1] - corners[:, 0], corners[:, 3] - corners[:, 0]
    if uv is None:
        length = np.sqrt((first * first).sum(1))
        along = first / np.maximum(length, 1e-9)[:, None]
        away = last - (last * along).sum(1)[:, None] * along
        across = np.sqrt((away * away).sum(1))
        uv_n42 = np.zeros((count, 4, 2))
        uv_n42[:, 1, 0] = length
        uv_n42[:, 3] = np.stack([(last * along).sum(1), across], 1)
    else:
        uv_n42 = np.broadcast_to(np.asarray(uv, np.float64), (count, 4, 2))
    plane = cross(first, last)
    area = np.maximum((plane**2).sum(1), 1e-18)[:, None]
    basis = np.stack([cross(last, plane) / area, cross(plane, first) / area], 1)
    change = np.stack([uv_n42[:, 1] - uv_n42[:, 0], uv_n42[:, 3] - uv_n42[:, 0]], 1)
    texture = np.concatenate(
        [np.einsum('nec,nex->ncx', change, basis), uv_n42[:, 0, :, None]], axis=2
    )
    shading = (
        face_normals(corners)
        if normal is None
        else np.broadcast_to(np.asarray(normal, float), (count, 3))
    )
    norm = np.sqrt((shading * shading).sum(1, keepdims=True))
    return Mesh(
        corners,
        texture,
        shading / np.maximum(norm, 1e-12),
        np.broadcast_to(np.asarray(color, np.float32), (count, 3)).copy(),
        np.broadcast_to(np.asarray(params, np.float32), (count, 6)).copy(),
        np.full(count, material, np.uint8),
        np.full(count, label, np.uint8),
        np.full(count, two_sided, np.bool_),
        np.zeros(count, np.int32),
    )


_BOX_FACES = np.array(
    [[0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7], [4, 5, 6, 7]], np.intp
)


def hexahedra(corners_n83: ArrayLike, label: int, **look: Unpack[Look]) -> Mesh:
    """Make closed boxes without a bottom from 4 lower and 4 upper corners, each CCW from above.

    The faces of a box come in the order right (-y), front (+x), left, back, top for a box whose
    first corner is (-x, -y).
    """
    corners = np.asarray(corners_n83, np.float64).reshape(-1, 8, 3)
    return polygons(corners[:, _BOX_FACES], label, **look)


def box(low: ArrayLike, high: ArrayLike, label: int, **look: Unpack[Look]) -> Mesh:
    """Make an upright box without a bottom between two opposite corners."""
    (x0, y0, z0), (x1, y1, z1) = np.asarray(low, float), np.asarray(high, float)
    base = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    return hexahedra([[(x, y, z) for z in (z0, z1) for x, y in base]], label, **look)


def prisms(
    starts_n3: ArrayLike, ends_n3: ArrayLike, radii_n2: ArrayLike, sides: int, label: int,
    **look: Unpack[Look],
) -> Mesh:  # fmt: skip
    """Make open round posts from starts to ends with radii there; shaded as if round.

    ``color`` may be one for each post.
    """
    start, end = np.asarray(starts_n3, np.float64), np.asarray(ends_n3, np.float64)
    radii = np.asarray(radii_n2, np.float64)
    axis = end - start
    axis /= np.linalg.norm(axis, axis=1)[:, None]
    helper = np.where(np.abs(axis[:, :1]) < 0.7, [[1.0, 0, 0]], [[0, 1.0, 0]])
    e1 = cross(axis, helper)
    e1 /= np.linalg.norm(e1, axis=1)[:, None]
    e2 = cross(axis, e1)
    angle = 2 * np.pi * np.arange(sides + 1) / sides
    ring = np.cos(angle)[:, None] * e1[:, None] + np.sin(angle)[:, None] * e2[:, None]
    low = start[:, None] + radii[:, :1, None] * ring
    high = end[:, None] + radii[:, 1:, None] * ring
    corners = np.stack([low[:, :-1], low[:, 1:], high[:, 1:], high[:, :-1]], 2)
    color = np.broadcast_to(np.asarray(look.get('color', 0.5), np.float32), start.shape)
    look['color'] = np.repeat(color, sides, axis=0)
    look['normal'] = (ring[:, :-1] + ring[:, 1:]).reshape(-1, 3)
    return polygons(corners.reshape(-1, 4, 3), label, **look)


def prism(
    start: ArrayLike, end: ArrayLike, radii: tuple[float, float], sides: int, label: int,
    **look: Unpack[Look],
) -> Mesh:  # fmt: skip
    """Make one open round post."""
    ends = np.asarray([start, end], np.float64)
    return prisms(ends[:1], ends[1:], [radii], sides, label, **look)


def yaw(angle: float) -> NDArray[np.float64]:
    """Give the (3, 3) rotation by an angle in radians about z, from x to y."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
