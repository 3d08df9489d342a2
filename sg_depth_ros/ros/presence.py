# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether ROS 2 is there, for what can do without; imports nothing of it by itself."""

from __future__ import annotations

import importlib

NEEDED = (
    'rclpy',
    'diagnostic_msgs.msg',
    'geometry_msgs.msg',
    'lifecycle_msgs.msg',
    'nav_msgs.msg',
    'sensor_msgs.msg',
    'std_srvs.srv',
)


def ros_problem() -> str:
    """Say why the node cannot run with this Python; empty if it can.

    A ROS 2 that is made for another Python, or that lacks a library, counts as missing.
    """
    for name in NEEDED:
        try:
            importlib.import_module(name)
        except ImportError as error:
            return f'{name} cannot be imported: {" ".join(str(error).split())}'
    return ''
