# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A node, or one for each of several cameras, in one process."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

import rclpy
from rclpy.exceptions import (
    NameValidationException,
    NotInitializedException,
    ParameterException,
)
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.utilities import remove_ros_args
from rclpy.validate_namespace import validate_namespace

from sg_depth_ros.engines import create_engine
from sg_depth_ros.engines.shared import Create, SharedEngine
from sg_depth_ros.ros.depth_node import Signals
from sg_depth_ros.ros.errors import sentence
from sg_depth_ros.ros.loading import estimators_in
from sg_depth_ros.ros.logging_bridge import log_to_ros
from sg_depth_ros.ros.node import NODE_NAME, STOP_TIMEOUT, DepthNode
from sg_depth_ros.ros.parameters import names_in

_OF_ARGUMENTS = (ParameterException, NameValidationException)


def make_nodes(
    cameras: Sequence[str], create: Create = create_engine, **options: Any
) -> list[DepthNode]:
    """Give a node for each camera's namespace, which share one engine; without any, one node.

    :param create: makes the engine
    :param options: those of ``DepthNode``
    :raises rclpy.exceptions.InvalidNamespaceException: before any node is there
    :raises rclpy.exceptions.ParameterException: when a given parameter is bad
    :raises ValueError: when cameras would be in one namespace; no node is there then
    """
    if not cameras:
        return [DepthNode(**options)]
    namespaces = [f'/{camera.removeprefix("/")}' for camera in cameras]
    for namespace in namespaces:
        validate_namespace(namespace)
        if namespaces.count(namespace) > 1:
            raise ValueError(
                f'--cameras names {namespace} twice; give each camera a namespace of its own'
            )
    estimator = estimators_in(SharedEngine(create).open)
    nodes: list[DepthNode] = []
    for namespace in namespaces:
        nodes.append(DepthNode(create=estimator, namespace=namespace, **options))
        found = nodes[-1].get_namespace()
        if found != namespace:  # then all cameras would be there, as nodes of one name
            for node in nodes:
                node.destroy_node()
            raise ValueError(
                f'the remapping __ns:={found} would put all cameras into one namespace; leave it '
                f'out and name them whole, as in --cameras {found.rstrip("/")}{namespace}'
            )
    return nodes


def run(args: list[str], signals: Signals) -> tuple[int, bool]:
    """Run the nodes until they are told to end.

    :param args: the command line, the program's name first
    :return: the exit status, and whether a thread is still at work that could not be stopped
    """
    parser = argparse.ArgumentParser(description='Depth, labels and points from cameras.')
    parser.add_argument(
        '--cameras',
        metavar='NAMESPACE,...',
        default='',
        help='a node in each of these namespaces, all with one engine; default: a single node',
    )
    nodes: list[DepthNode] = []
    signals.hand_over()
    try:
        cameras = names_in(parser.parse_args(remove_ros_args(args)[1:]).cameras)
        nodes = _start(args, cameras, signals)
        _spin(nodes)
    except ExternalShutdownException:
        pass
    # What is wrong with ROS arguments, rclpy's C++ part says by RuntimeError.
    except (*_OF_ARGUMENTS, NotInitializedException, RuntimeError, ValueError) as error:
        # Under a signal the context goes down, and whatever is being made in it fails.
        if not signals.heard:
            if nodes:
                raise
            rclpy.logging.get_logger(NODE_NAME).fatal(sentence(error))
            return 1, False
    finally:
        deadline = time.monotonic() + STOP_TIMEOUT
        for node in nodes:
            node.end_work(max(deadline - time.monotonic(), 0.0))
        for node in nodes:
            node.destroy_node()
        rclpy.try_shutdown()
    failed = any(node.start_failed for node in nodes)
    return int(failed), any(node.left_behind for node in nodes)


def _start(args: list[str], cameras: Sequence[str], signals: Signals) -> list[DepthNode]:
    rclpy.init(args=args)
    # One that came before rclpy listened to signals.
    if signals.heard:
        raise ExternalShutdownException
    return make_nodes(cameras)


def _spin(nodes: Sequence[DepthNode]) -> None:
    """Work until the context goes down, or a node that starts by itself could not."""
    log_to_ros(nodes[0])
    executor = SingleThreadedExecutor()
    for node in nodes:
        executor.add_node(node)
    for node in nodes:
        node.autostart()
    # A node's diagnostics end each turn after a second at most.
    while rclpy.ok() and not any(node.start_failed for node in nodes):
        executor.spin_once()
    for node in nodes:
        if node.start_failed:
            node.get_logger().fatal(
                'the process ends, since this node could not start; with autostart: false it '
                'would wait for a lifecycle manager'
            )
