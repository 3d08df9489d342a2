# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The program ``depth_node``: a node, or one for each of several cameras, in one process."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any

import rclpy
from rclpy.exceptions import NameValidationException, ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.utilities import remove_ros_args
from rclpy.validate_namespace import validate_namespace

from sg_depth_ros.engines import create_engine
from sg_depth_ros.engines.shared import Create, SharedEngine
from sg_depth_ros.ros.logging_bridge import log_to_ros
from sg_depth_ros.ros.node import NODE_NAME, DepthNode, estimators_in
from sg_depth_ros.ros.parameters import names_in


def make_nodes(
    cameras: Sequence[str], create: Create = create_engine, **options: Any
) -> list[DepthNode]:
    """Give a node for each camera's namespace, which share one engine; without any, one node.

    :param create: makes the engine
    :param options: those of ``DepthNode``
    :raises rclpy.exceptions.InvalidNamespaceException: before any node is there
    :raises rclpy.exceptions.ParameterException: when a given parameter is bad
    """
    if not cameras:
        return [DepthNode(**options)]
    for camera in cameras:
        validate_namespace(f'/{camera.removeprefix("/")}')
    estimator = estimators_in(SharedEngine(create).open)
    return [DepthNode(create=estimator, namespace=camera, **options) for camera in cameras]


def main(args: list[str] | None = None) -> int:
    """Run the nodes until they are told to end; give the exit status."""
    parser = argparse.ArgumentParser(description='Depth, labels and points from cameras.')
    parser.add_argument(
        '--cameras',
        metavar='NAMESPACE,...',
        default='',
        help='a node in each of these namespaces, all with one engine; default: a single node',
    )
    given = sys.argv if args is None else args
    try:
        cameras = parser.parse_args(remove_ros_args(given)[1:]).cameras
        rclpy.init(args=args)
        nodes = make_nodes(names_in(cameras))
    # What is wrong with ROS arguments, rclpy's C++ part says by RuntimeError.
    except (ParameterException, NameValidationException, RuntimeError) as error:
        rclpy.logging.get_logger(NODE_NAME).fatal(' '.join(str(error).split()))
        rclpy.try_shutdown()
        return 1
    log_to_ros(nodes[0])
    executor = SingleThreadedExecutor()
    for node in nodes:
        executor.add_node(node)
    try:
        for node in nodes:
            node.autostart()
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except RuntimeError:
        # rclpy raises it when the signal comes just before it waits on the context.
        if rclpy.ok():
            raise
    finally:
        for node in nodes:
            node.destroy_node()
        rclpy.try_shutdown()
    if any(node.left_behind for node in nodes):
        # Threads inside a vendor's library abort the process when the interpreter ends under them.
        logging.shutdown()
        sys.stdout.flush()
        os._exit(0)
    return 0


if __name__ == '__main__':
    sys.exit(main())
