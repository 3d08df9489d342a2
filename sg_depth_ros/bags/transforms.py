# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rigid transforms between frames that do not move against each other (``/tf_static``)."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def rotation_from_quaternion(xyzw: ArrayLike) -> NDArray[np.float64]:
    """Give the (3, 3) rotation of a quaternion (x, y, z, w); raises ValueError if it is zero."""
    quaternion = np.asarray(xyzw, np.float64)
    norm = np.linalg.norm(quaternion)
    if not np.isfinite(norm) or norm < 1e-9:
        raise ValueError(f'a rotation quaternion must not be zero, found {quaternion.tolist()}')
    x, y, z, w = quaternion / norm
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def quaternion_from_rotation(rotation_33: ArrayLike) -> NDArray[np.float64]:
    """Give the quaternion (x, y, z, w), w >= 0, of a (3, 3) rotation matrix."""
    r = np.asarray(rotation_33, np.float64)
    # The eigenvector of Bar-Itzhack's symmetric matrix is stable for every angle, unlike the
    # textbook formula that divides by w.
    k = np.array(
        [
            [r[0, 0] - r[1, 1] - r[2, 2], 0, 0, 0],
            [r[0, 1] + r[1, 0], r[1, 1] - r[0, 0] - r[2, 2], 0, 0],
            [r[0, 2] + r[2, 0], r[1, 2] + r[2, 1], r[2, 2] - r[0, 0] - r[1, 1], 0],
            [r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], np.trace(r)],
        ]
    )
    quaternion = np.linalg.eigh(k, UPLO='L')[1][:, -1]
    return quaternion if quaternion[3] >= 0 else -quaternion


def matrix_from_transform(transform: Any) -> NDArray[np.float64]:
    """Give the (4, 4) matrix of a ``geometry_msgs/msg/Transform``.

    :raises ValueError: when its quaternion is zero or one of its numbers is not finite.
    """
    move, turn = transform.translation, transform.rotation
    matrix = np.eye(4)
    matrix[:3, :3] = rotation_from_quaternion([turn.x, turn.y, turn.z, turn.w])
    matrix[:3, 3] = move.x, move.y, move.z
    if not np.isfinite(matrix).all():
        raise ValueError(f'a translation must be finite, found {matrix[:3, 3].tolist()}')
    return matrix


class StaticTransforms:
    """A graph of frames; every pair that is connected can be looked up, in both directions.

    One thread may add while another looks up.
    """

    def __init__(self) -> None:
        self._edges: dict[str, dict[str, NDArray[np.float64]]] = {}

    @property
    def frames(self) -> list[str]:
        """The names of the frames, sorted."""
        return sorted(self._edges)

    def add(self, parent: str, child: str, parent_from_child_44: NDArray[np.float64]) -> None:
        """Add a (4, 4) transform that takes points of ``child`` into ``parent``."""
        parent, child = parent.lstrip('/'), child.lstrip('/')
        inverse = np.linalg.inv(parent_from_child_44).astype(np.float64)
        # A new graph, since a lookup may be walking through the present one.
        edges = dict(self._edges)
        edges[parent] = {**edges.get(parent, {}), child: parent_from_child_44}
        edges[child] = {**edges.get(child, {}), parent: inverse}
        self._edges = edges

    def lookup(self, parent: str, child: str) -> NDArray[np.float64]:
        """Give the (4, 4) transform that takes points of ``child`` into ``parent``.

        :raises ValueError: when no chain of static transforms joins the two frames.
        """
        parent, child = parent.lstrip('/'), child.lstrip('/')
        if parent == child:
            return np.eye(4)
        edges = self._edges
        reached: dict[str, NDArray[np.float64]] = {parent: np.eye(4)}
        queue = deque([parent])
        while queue:
            frame = queue.popleft()
            for neighbour, transform in edges.get(frame, {}).items():
                if neighbour not in reached:
                    reached[neighbour] = reached[frame] @ transform
                    queue.append(neighbour)
        if child not in reached:
            raise ValueError(
                f'no static transform joins {parent!r} and {child!r}; the frames known are: '
                f'{", ".join(self.frames) or "none"}'
            )
        return reached[child]
