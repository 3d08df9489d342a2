# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LiDAR returns as sparse depth images."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.geometry.camera import PinholeCamera

FAR_M = np.float32(1e9)
"""Stands for no return where a minimum is taken."""


def splat_nearest(
    rows_n: NDArray[np.integer],
    columns_n: NDArray[np.integer],
    depth_n: NDArray[np.floating],
    height: int,
    width: int,
) -> NDArray[np.float32]:
    """Write depths (N,) into an image (H, W); the nearest wins, NaN where there is none.

    What lies outside the image or is not in front of the camera is left out.
    """
    inside_n = (depth_n > 0) & np.isfinite(depth_n)
    inside_n &= (rows_n >= 0) & (rows_n < height) & (columns_n >= 0) & (columns_n < width)
    depth = np.full((height, width), np.nan, np.float32)
    # Of equal indices the last assignment stays, hence from far to near.
    order_n = np.flatnonzero(inside_n)[np.argsort(-depth_n[inside_n], kind='stable')]
    depth[rows_n[order_n], columns_n[order_n]] = depth_n[order_n]
    return depth


def project_points(
    points_n3: NDArray[np.floating],
    camera_from_lidar_44: NDArray[np.float64],
    camera: PinholeCamera,
) -> NDArray[np.float32]:
    """Project LiDAR points (N, 3) in metres to a z-depth image (H, W), NaN = no return."""
    points = np.asarray(points_n3, np.float64)
    points = points @ camera_from_lidar_44[:3, :3].T + camera_from_lidar_44[:3, 3]
    uv_n2, z_n = camera.project(points)
    # Points beside or behind the camera project to NaN or far away: keep the cast defined.
    cells_n2 = np.rint(np.clip(np.nan_to_num(uv_n2, nan=-1), -1, 1 << 20)).astype(np.intp)
    return splat_nearest(cells_n2[:, 1], cells_n2[:, 0], z_n, camera.height, camera.width)


def remove_occluded(
    depth_hw: NDArray[np.float32], radius: int = 4, ratio: float = 1.25
) -> NDArray[np.float32]:
    """Remove returns that the camera cannot see because something nearer stands before them.

    The LiDAR looks over what hides the background from the camera, so that such returns fall
    between those of the foreground. One that is more than ``ratio`` times as far as the nearest
    within ``radius`` pixels (a square window) is taken for such. Returns beside a true edge go
    with them: what stays is fewer but right. Gives (H, W) float32, NaN = none; sky stays.
    """
    filled = np.where(depth_hw > 0, depth_hw, FAR_M).astype(np.float32)
    nearest = cv2.erode(filled, np.ones((2 * radius + 1, 2 * radius + 1), np.uint8))
    hidden = np.isfinite(depth_hw) & (depth_hw / ratio > nearest)
    return np.where(hidden, np.float32(np.nan), depth_hw).astype(np.float32)
