# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The plane of the road as a message."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import PoseStamped
from std_msgs.msg import Header

from sg_depth_ros.bags.transforms import quaternion_from_rotation
from sg_depth_ros.geometry.ground_plane import GroundPlane


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
