# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The road in front of the camera: its plane in a labelled depth image."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.camera import PinholeCamera
from sg_depth_ros.ground_plane import GroundPlane, fit_ground_plane

MIN_SHARE = 0.004
"""Share of the image that must show road; less is a patch between cars."""
MIN_INLIERS = 0.4
"""Share of the road's points that must lie on one plane."""
REACH = 8.0
"""Heights of the camera. Road farther ahead may rise or fall against that under the camera; of a
shorter patch the depth of a real network does not tell the tilt, and with it the height."""
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
    refined = fit_ground_plane(_points(depth_hw, camera, _thinned(near)))
    if refined is None or refined.inliers < MIN_INLIERS:
        return None, 'what is labelled road is no plane near the camera'
    return refined, ''


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
