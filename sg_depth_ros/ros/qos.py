# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What users may change of a topic's QoS, by ``qos_overrides`` parameters."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QosCallbackResult, QoSOverridingOptions

_PREFIX = 'qos_overrides.'
_KINDS = (
    QoSPolicyKind.HISTORY,
    QoSPolicyKind.DEPTH,
    QoSPolicyKind.RELIABILITY,
    QoSPolicyKind.DURABILITY,
    QoSPolicyKind.DEADLINE,
    QoSPolicyKind.LIFESPAN,
    QoSPolicyKind.LIVELINESS,
    QoSPolicyKind.LIVELINESS_LEASE_DURATION,
)


def overridable() -> QoSOverridingOptions:
    """Let users override every policy of a topic but whether its name is ROS's."""
    return QoSOverridingOptions(policy_kinds=_KINDS, callback=_check)


def overridden(node: Node, topic: str, entity: str, policy: str) -> object:
    """Give what the user wants of a policy; None if nothing.

    :param topic: its resolved name
    :param entity: ``publisher`` or ``subscription``
    """
    # rclpy has no other way to what was given.
    given = node._parameter_overrides.get(f'{_PREFIX}{topic}.{entity}.{policy}')
    return None if given is None else given.value


def warn_of_unused(node: Node, later: Collection[str]) -> None:
    """Name the overrides that have no effect, once all topics but ``later`` are there.

    :param later: resolved names of topics that may be subscribed to later
    """
    names = [
        f'{_PREFIX}{topic}.subscription.{kind.name.lower()}' for topic in later for kind in _KINDS
    ]
    names += [name for name in node._parameters if name.startswith(_PREFIX)]
    for name in node._parameter_overrides:
        # Those of rclpy's own topics are declared when it subscribes to them.
        if not name.startswith(_PREFIX) or name in names or name.startswith(f'{_PREFIX}/clock.'):
            continue
        near = difflib.get_close_matches(name, names, 1)
        hint = f'did you mean {near[0]}?' if near else 'the node has no such topic'
        node.get_logger().warning(f'{name} has no effect; {hint}')


def _check(profile: QoSProfile) -> QosCallbackResult:
    """Refuse what would get nothing of what it asks for."""
    latched = profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    if latched and profile.reliability == ReliabilityPolicy.BEST_EFFORT:
        reason = 'durability transient_local needs reliability reliable, found best_effort'
        return QosCallbackResult(successful=False, reason=reason)
    return QosCallbackResult(successful=True)
