# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A cloud in parts: by the plane of the road, and by label."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.geometry.ground_plane import GroundPlane
from sg_depth_ros.geometry.point_cloud import chosen_points


def split_by_plane(
    points: NDArray[np.void], plane: GroundPlane, tolerances: NDArray[np.float32]
) -> tuple[NDArray[np.void], NDArray[np.void]]:
    """Give the points on or below a plane, and those above it, both without NaN.

    :param points: array of ``POINT`` of any shape
    :param tolerances: (256,) height from which on a point is above, by its label, in the unit of
        the points
    """
    flat = points.reshape(-1)
    a, b, c = plane.normal.astype(np.float32)
    height = flat['x'] * a + flat['y'] * b + flat['z'] * c + np.float32(plane.height)
    height -= tolerances[flat['label']]
    # Comparisons are false for NaN, so that what is no point is in neither part.
    return chosen_points(flat, height <= 0), chosen_points(flat, height > 0)


def tolerances_by_label(
    tolerance: float, ground_tolerance: float, ground_ids: Collection[int]
) -> NDArray[np.float32]:
    """Give the heights for :func:`split_by_plane`: what looks like ground may lie higher.

    :param ground_tolerance: for the labels ``ground_ids``, where it is more than the other
    """
    table = np.full(256, tolerance, np.float32)
    table[list(ground_ids)] = max(tolerance, ground_tolerance)
    return table


def split_by_label(
    points: NDArray[np.void], ids: Collection[int]
) -> tuple[NDArray[np.void], NDArray[np.void]]:
    """Give the points whose label is one of ``ids``, and the others.

    :param points: (N,) array of ``POINT``
    """
    flags = np.zeros(256, bool)
    flags[list(ids)] = True
    has = flags[points['label']]
    return chosen_points(points, has), chosen_points(points, ~has)
