# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ground as a plane under the camera: RANSAC on points of the optical frame.

Points are (N, 3) in the optical frame (x right, y down, z forward), in metres or in any other
unit: every tolerance is relative to the camera's height over the plane.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.bundle.labels import ids_with

MIN_POINTS = 30
"""Of fewer points no plane is made."""
TOLERANCE = 0.08
"""Distance from the plane, in heights of the camera, of a point that is on it."""
_SAMPLE = 2000
"""Points on which hypotheses are judged: more hardly change the vote."""


@dataclass(frozen=True)
class GroundPlane:
    """A plane ``normal . point + height = 0`` under the camera.

    :ivar normal: (3,) unit vector, away from the ground
    :ivar height: of the camera's centre over the plane, positive, in the unit of the points
    :ivar inliers: share of the points that lie on it
    """

    normal: NDArray[np.float64]
    height: float
    inliers: float

    def above(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Give the height (...) of points (..., 3) over the plane, negative below it."""
        return np.asarray(points @ self.normal + self.height, np.float64)

    def distance_along(self, rays: NDArray[np.floating]) -> NDArray[np.float64]:
        """Give how many times each ray (..., 3) reaches the plane; +inf where it never does."""
        down = -(rays @ self.normal)
        return np.where(down > 0, self.height / np.where(down > 0, down, 1), np.inf)


def fit_ground_plane(
    points_n3: NDArray[np.floating],
    *,
    tolerance: float = TOLERANCE,
    max_tilt: float = 25.0,
    iterations: int = 200,
    seed: int = 0,
) -> GroundPlane | None:
    """Fit the plane that most points lie on, among those that can be ground.

    The error of a ground point of a depth image, perpendicular to the plane, is the relative
    error of its depth times the camera's height, at any distance: so is the tolerance.

    :param points_n3: (N, 3), of ground and other things; those that are not finite are left out
    :param tolerance: distance from the plane, in heights of the camera, of a point that is on it
    :param max_tilt: degrees between the plane's normal and the camera's upward axis
    :return: the plane, fitted to all points on it, or None where there is none
    """
    points = np.asarray(points_n3, np.float64).reshape(-1, 3)
    points = points[np.isfinite(points).all(1)]
    if len(points) < MIN_POINTS:
        return None
    rng = np.random.default_rng(seed)
    sample = points[rng.permutation(len(points))[:_SAMPLE]]
    normals, heights = _hypotheses(sample, iterations, np.cos(np.radians(max_tilt)), rng)
    if not len(heights):
        return None
    distances = np.abs(sample @ normals.T + heights)
    votes = (distances < tolerance * heights).sum(0)
    best = int(votes.argmax())
    plane: GroundPlane | None = GroundPlane(normals[best], float(heights[best]), 0.0)
    # The second round sees the points that the first, rougher plane has missed.
    for _ in range(2):
        if plane is not None:
            plane = _refined(points, plane, tolerance)
    if plane is None or plane.normal @ _UP < np.cos(np.radians(max_tilt)):
        return None
    return plane


def fit_labelled_ground(
    points_hw3: NDArray[np.floating],
    labels_hw: NDArray[np.uint8],
    *,
    min_share: float = 0.0,
    min_inliers: float = 0.0,
) -> GroundPlane | None:
    """Fit the plane of what is labelled ground under the horizon.

    :param points_hw3: (H, W, 3) of the optical frame
    :param labels_hw: (H, W) train ids of Cityscapes
    :param min_share: of the image that has to be ground
    :param min_inliers: share of the ground that has to lie on the plane
    :return: the plane, or None where there is none
    """
    # Woods that are taken for ground would tilt the plane.
    ground = np.isin(labels_hw, _GROUND) & (points_hw3[..., 1] > 0)
    if ground.mean() < min_share:
        return None
    plane = fit_ground_plane(points_hw3[ground])
    return plane if plane is not None and plane.inliers >= min_inliers else None


_GROUND = ids_with('ground')
_UP = np.array([0.0, -1.0, 0.0])


def _hypotheses(
    points: NDArray[np.float64], count: int, min_upward: float, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give normals (M, 3) and heights (M,) of planes through three points each."""
    a, b, c = points[rng.integers(len(points), size=(3, count))]
    normals = np.cross(b - a, c - a)
    lengths = np.linalg.norm(normals, axis=1)
    with np.errstate(invalid='ignore', divide='ignore'):
        normals = normals / lengths[:, None]
    normals *= np.where(normals @ _UP < 0, -1.0, 1.0)[:, None]
    heights = -(normals * a).sum(1)
    # Not a number compares false: three points on a line are no plane.
    possible = (normals @ _UP >= min_upward) & (heights > 0)
    return normals[possible], heights[possible]


def _refined(
    points: NDArray[np.float64], plane: GroundPlane, tolerance: float
) -> GroundPlane | None:
    """Fit the plane to all points on it, those far away with less weight."""
    on_it = np.abs(plane.above(points)) < tolerance * plane.height
    if on_it.sum() < MIN_POINTS:
        return None
    chosen = points[on_it]
    # A ground point n . p + h = 0 is linear in n / h; dividing by the distance makes the error
    # of each equation the relative error of its depth.
    inverse = 1 / np.linalg.norm(chosen, axis=1)
    scaled = np.linalg.lstsq(chosen * inverse[:, None], -inverse, rcond=None)[0]
    length = np.linalg.norm(scaled)
    if not np.isfinite(length) or length == 0:
        return None
    return GroundPlane(scaled / length, float(1 / length), float(on_it.mean()))
