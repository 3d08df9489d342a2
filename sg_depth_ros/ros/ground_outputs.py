# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The cloud split by the plane of the road, and that plane."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import PoseStamped
from numpy.typing import NDArray
from std_msgs.msg import Header

from sg_depth_ros.bags.transforms import quaternion_from_rotation
from sg_depth_ros.geometry.ground_plane import GroundPlane


def split_by_plane(
    points: NDArray[np.void], plane: GroundPlane, tolerance: float
) -> tuple[NDArray[np.void], NDArray[np.void]]:
    """Give the points on or below a plane, and those above it, both without NaN.

    :param points: array with the fields x, y, z
    :param tolerance: height from which on a point is above
    """
    flat = points.reshape(-1)
    flat = flat[~np.isnan(flat['z'])]
    a, b, c = plane.normal.astype(np.float32)
    height = flat['x'] * a + flat['y'] * b + flat['z'] * c + np.float32(plane.height)
    is_above = height > tolerance
    return flat[~is_above], flat[is_above]


def plane_message(header: Header, plane: GroundPlane) -> PoseStamped:
    """Give the plane as a pose: origin under the camera on the plane, z away from the ground.

    x points ahead along the plane.
    """
    up = plane.normal
    ahead = np.array([0.0, 0.0, 1.0]) - up[2] * up
    ahead /= np.linalg.norm(ahead)
    rotation = np.stack([ahead, np.cross(up, ahead), up], 1)
    message = PoseStamped(header=header)
    place, turn = message.pose.position, message.pose.orientation
    place.x, place.y, place.z = (-plane.height * up).tolist()
    turn.x, turn.y, turn.z, turn.w = quaternion_from_rotation(rotation).tolist()
    return message
