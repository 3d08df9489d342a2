# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The road in front of the camera: its plane in a labelled depth image.

Where a road begins to climb or to fall it is no plane: over the metres that a camera sees, one
fitted to them passes a few per cent of the camera's height beside the road under the wheels. So a
parabola along the road is fitted with the plane, as far as the depth tells it from noise: a ridge
regression whose prior is how sharply roads are built to bend.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.geometry.ground_plane import MIN_POINTS, TOLERANCE, GroundPlane, fit_ground_plane

MIN_SHARE = 0.004
"""Share of the image that must show road; less is a patch between cars."""
MIN_INLIERS = 0.4
"""Share of the road's points that must lie on one plane."""
REACH = 12.0
"""Heights of the camera. Road farther ahead may be another than that under the camera; of a
shorter patch the depth of a real network does not tell the tilt, and with it the height. From
8 to 24 heights hardly matter; 12 gave the steadiest scale on seven recordings without LiDAR."""
BEND = 1.5e-3
"""Standard deviation of the parabola's coefficient in heights of the camera: that of a vertical
curve with a radius of 500 m under a camera 1.5 m up, the sharpest that is common on streets."""
INDEPENDENT = 10
"""As many errors of depth as the road in one image holds that have nothing to do with each other:
networks err by whole regions, not by pixels."""
_POINTS = 3000


def fit_road(
    depth_hw: NDArray[np.float32],
    labels_hw: NDArray[np.uint8],
    camera: PinholeCamera,
    road_ids: Collection[int],
) -> tuple[GroundPlane | None, str]:
    """Fit a plane to the road near the camera.

    :param depth_hw: (H, W) in any unit; NaN and infinite values are left out
    :param labels_hw: (H, W) label ids
    :param road_ids: ids of the labels that are road
    :return: the plane in the unit of depth, or None; and then why there is none
    """
    is_road = np.zeros(256, bool)
    is_road[list(road_ids)] = True
    found = np.flatnonzero(is_road[labels_hw] & np.isfinite(depth_hw) & (depth_hw > 0))
    share = found.size / depth_hw.size
    if share < MIN_SHARE:
        return None, f'only {share:.1%} of the image shows road, {MIN_SHARE:.1%} is needed'
    points = _points(depth_hw, camera, _thinned(found))
    plane = fit_ground_plane(points)
    if plane is None or plane.inliers < MIN_INLIERS:
        return None, 'what is labelled road is no plane under the camera'
    # The nearest rows decide: there the road is that under the wheels. Where the hood or a
    # steep view hides them, the near half of what is seen must do.
    ahead = np.linalg.norm(points, axis=1)
    reach = max(REACH * plane.height, float(np.median(ahead)))
    near = found[_distance(depth_hw, camera, found) < reach]
    points = _points(depth_hw, camera, _thinned(near))
    refined = fit_ground_plane(points)
    if refined is not None:
        refined = fit_bent(points, refined)
    if refined is None or refined.inliers < MIN_INLIERS:
        return None, 'what is labelled road is no plane near the camera'
    return refined, ''


def fit_bent(points: NDArray[np.float64], plane: GroundPlane) -> GroundPlane:
    """Give the plane that touches the road under the camera, where the road bends up or down.

    :param points: (N, 3) on the road
    :param plane: fitted to them
    """
    distance = np.linalg.norm(points, axis=1)
    rays = points / distance[:, None]
    normal, height, bend, inliers = plane.normal, plane.height, 0.0, plane.inliers
    for _ in range(3):
        # Where the rays meet the plane has no noise, unlike where the depth puts the points.
        reach = height / np.maximum(-(rays @ normal), 1e-3)
        ahead = reach * (rays[:, 2] - (rays @ normal) * normal[2]) / height
        ahead /= np.sqrt(max(1 - normal[2] ** 2, 1e-6))
        curve = ahead**2 / reach
        # As for the plane, each equation is of the inverse of a point's distance.
        error = rays @ normal / height + bend * curve + 1 / distance
        chosen = np.abs(error) * distance < TOLERANCE
        if chosen.sum() < MIN_POINTS:
            break
        inliers = float(chosen.mean())
        variance = np.mean(error[chosen] ** 2) * chosen.sum() / INDEPENDENT
        left = np.column_stack([rays, curve])[chosen]
        gram = left.T @ left
        gram[3, 3] += variance / BEND**2
        *scaled, bend = np.linalg.lstsq(gram, -left.T @ (1 / distance[chosen]), rcond=None)[0]
        height = float(1 / np.linalg.norm(scaled))
        normal = np.asarray(scaled) * height
    return GroundPlane(normal, height, inliers)


def _thinned(indices: NDArray[np.intp]) -> NDArray[np.intp]:
    return indices[:: max(1, len(indices) // _POINTS)]


def _points(
    depth_hw: NDArray[np.float32], camera: PinholeCamera, indices: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Give the points (N, 3) of pixels by flat index."""
    v, u = np.divmod(indices, camera.width)
    z = depth_hw.reshape(-1)[indices].astype(np.float64)
    return np.stack([(u - camera.cx) / camera.fx * z, (v - camera.cy) / camera.fy * z, z], 1)


def _distance(
    depth_hw: NDArray[np.float32], camera: PinholeCamera, indices: NDArray[np.intp]
) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(_points(depth_hw, camera, indices), axis=1))
