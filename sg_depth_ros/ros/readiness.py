# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A program that ends when a node is ready for images: ``python -m ...readiness IMAGE_TOPIC``.

It imports ROS when it runs: imports take seconds, and a signal may come in each of them.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diagnostic_msgs.msg import DiagnosticArray

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_TURN_SECONDS = 0.2
"""How long a signal may wait."""


def is_ready(message: DiagnosticArray, image_topic: str) -> bool:
    """Tell whether the node that takes images from that topic says that its networks run."""
    values = [{pair.key: pair.value for pair in status.values} for status in message.status]
    return any(v.get('image topic') == image_topic and v.get('state') == 'ready' for v in values)


def main(args: list[str] | None = None) -> int:
    """Wait for as long as it takes, an engine may be built; 0 when ready, 1 when told to end."""
    for number in _SIGNALS:
        signal.signal(number, lambda *_: os._exit(1))  # nothing is there yet that must be closed
    import rclpy
    from diagnostic_msgs.msg import DiagnosticArray
    from rclpy import SignalHandlerOptions  # type: ignore[attr-defined]

    told: list[int] = []
    for number in _SIGNALS:
        signal.signal(number, lambda number, _: told.append(number))
    # rclpy's own handlers would take the context away from what is being made in it.
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    image_topic = (sys.argv if args is None else args)[1]
    node = rclpy.create_node('wait_until_ready')
    heard: list[DiagnosticArray] = []
    node.create_subscription(DiagnosticArray, '/diagnostics', heard.append, 10)
    ready = False
    while not told and not ready:
        rclpy.spin_once(node, timeout_sec=_TURN_SECONDS)
        ready = any(is_ready(message, image_topic) for message in heard)
        heard.clear()
    node.destroy_node()
    rclpy.try_shutdown()
    return 0 if ready else 1


if __name__ == '__main__':
    sys.exit(main())
