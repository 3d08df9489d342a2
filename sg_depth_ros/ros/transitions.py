# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lifecycle transitions that are asked for when they are not possible."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeAlias

from lifecycle_msgs.srv import ChangeState
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode

Callback: TypeAlias = 'Callable[[ChangeState.Request, ChangeState.Response], ChangeState.Response]'


def refuse_impossible_transitions(node: LifecycleNode) -> None:
    """Let the node answer an impossible transition with ``success=False``, on every rclpy.

    Until Jazzy rclpy raises instead, out of the executor, and the process ends with all its
    nodes. Nav2's lifecycle manager asks a node to configure that has done so already.
    """
    for service in node.services:
        if service.srv_type is ChangeState:
            service.callback = functools.partial(_answer, node, service.callback)


def _answer(
    node: LifecycleNode,
    change: Callback,
    request: ChangeState.Request,
    response: ChangeState.Response,
) -> ChangeState.Response:
    try:
        return change(request, response)
    except rclpy_implementation.RCLError:
        asked = request.transition
        node.get_logger().warning(
            f'transition {asked.label or asked.id} was asked for, but is not possible in the '
            'state that the node is in; nothing was changed'
        )
        response.success = False
        return response
