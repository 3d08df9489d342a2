# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A program that ends when a node is ready for images: ``python -m ...readiness IMAGE_TOPIC``."""

from __future__ import annotations

import sys

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import ExternalShutdownException


def is_ready(message: DiagnosticArray, image_topic: str) -> bool:
    """Tell whether the node that takes images from that topic says that its networks run."""
    values = [{pair.key: pair.value for pair in status.values} for status in message.status]
    return any(v.get('image topic') == image_topic and v.get('state') == 'ready' for v in values)


def main(args: list[str] | None = None) -> int:
    """Wait for as long as it takes, an engine may be built; 0 when ready, 1 when told to end."""
    rclpy.init(args=args)
    image_topic = (sys.argv if args is None else args)[1]
    node = rclpy.create_node('wait_until_ready')
    heard: list[DiagnosticArray] = []
    node.create_subscription(DiagnosticArray, '/diagnostics', heard.append, 10)
    ready = False
    try:
        while rclpy.ok() and not ready:
            rclpy.spin_once(node)
            ready = any(is_ready(message, image_topic) for message in heard)
            heard.clear()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return 0 if ready else 1


if __name__ == '__main__':
    sys.exit(main())
