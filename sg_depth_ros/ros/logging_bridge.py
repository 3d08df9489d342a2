# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Brings what the package says through Python's logging into the node's log."""

from __future__ import annotations

import logging

from rclpy.node import Node

_PACKAGE = 'sg_depth_ros'


class RosHandler(logging.Handler):
    """Passes records on to a ROS logger."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self._logger = node.get_logger().get_child('engine')

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record; each severity has a line of its own, since rclpy asks for that."""
        text = record.getMessage()
        if record.levelno >= logging.ERROR:
            self._logger.error(text)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(text)
        elif record.levelno >= logging.INFO:
            self._logger.info(text)
        else:
            self._logger.debug(text)


def log_to_ros(node: Node) -> None:
    """Send the package's records of severity info and above to the log of a node."""
    logger = logging.getLogger(_PACKAGE)
    logger.setLevel(logging.INFO)
    logger.addHandler(RosHandler(node))
