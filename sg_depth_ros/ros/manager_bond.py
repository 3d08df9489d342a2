# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The bond by which Nav2's lifecycle manager sees that a node is alive, where bondpy is there."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node

try:
    from bondpy.bondpy import Bond
except ImportError:  # Humble has none; the manager then needs bond_timeout: 0.0
    Bond = None

TOPIC = 'bond'
"""Relative, as Nav2's nodes have it."""
PERIOD = 0.25
TIMEOUT = 4.0
"""Seconds, as in nav2::LifecycleNode: the manager measures by what the node's messages say."""


class ManagerBond:
    """Heartbeats while a node is active, under the node's own name."""

    def __init__(self, node: Node) -> None:
        """Do not begin yet."""
        self._node = node
        self._bond: Any = None

    def form(self) -> None:
        """Begin the heartbeats, where there is a way."""
        if Bond is None or self._bond is not None:
            return
        self._bond = Bond(self._node, TOPIC, self._node.get_name())
        self._bond.heartbeat_period, self._bond.heartbeat_timeout = PERIOD, TIMEOUT
        self._bond.start()

    def dissolve(self) -> None:
        """Tell the manager that the node is going, and end the heartbeats."""
        if self._bond is not None:
            self._bond.shutdown()
            self._bond = None
