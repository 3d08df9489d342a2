# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the scale needs beside images: the measured speed, and the camera's height from tf."""

from __future__ import annotations

import math
from typing import Any

from geometry_msgs.msg import TwistStamped, Vector3
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription

from sg_depth_ros.bags.messages import stamp_to_ns
from sg_depth_ros.bags.transforms import StaticTransforms, matrix_from_transform
from sg_depth_ros.ros.qos import overridable
from sg_depth_ros.scale.motion import SpeedLog

try:
    from tf2_msgs.msg import TFMessage
except ImportError:  # pip has no wheel of it: there the height must be a parameter
    TFMessage = None

ODOMETRY, TWIST = 'odom', 'twist'
SPEED_TOPICS = (ODOMETRY, TWIST)


class ScaleInputs:
    """Subscriptions to speeds and static transforms; callbacks run in the executor's thread."""

    def __init__(self, node: Node, speeds: SpeedLog) -> None:
        """Subscribe to transforms.

        :param speeds: gets each speed that is received
        """
        self._node, self._speeds = node, speeds
        self._transforms = StaticTransforms()
        self.knows_tf = TFMessage is not None
        """Whether static transforms can be received at all."""
        self._speed: list[Subscription] = []
        self._subscriptions: list[Subscription] = []
        if TFMessage is not None:
            latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
            self._subscriptions.append(
                self._subscribe(TFMessage, '/tf_static', self.on_transforms, latched)
            )

    def destroy(self) -> None:
        """Leave the topics."""
        self.listen_to_speed(False)
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def listen_to_speed(self, wanted: bool) -> None:
        """Subscribe to the topics with speeds, or leave them.

        :raises Exception: what rclpy raises at a bad ``qos_overrides``; then none is subscribed to
        """
        if wanted and not self._speed:
            sensor = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
            try:
                for kind, topic, callback in (
                    (Odometry, ODOMETRY, self._on_odometry),
                    (TwistStamped, TWIST, self._on_twist),
                ):
                    self._speed.append(self._subscribe(kind, topic, callback, sensor))
            except Exception:
                self.listen_to_speed(False)
                raise
        elif not wanted:
            while self._speed:
                self._node.destroy_subscription(self._speed.pop())

    def height(self, base_frame: str, camera_frame: str) -> float | None:
        """Give the metres of a camera over the robot's base, z up, or None if tf has no chain."""
        try:
            height = float(self._transforms.lookup(base_frame, camera_frame)[2, 3])
        except ValueError:
            return None
        return height if height > 0 else None

    def on_transforms(self, message: Any) -> None:
        """Take in a ``tf2_msgs/TFMessage``, without those of its transforms that are none."""
        for stamped in message.transforms:
            parent, child = stamped.header.frame_id, stamped.child_frame_id
            try:
                matrix = matrix_from_transform(stamped.transform)
            except ValueError as error:
                self._node.get_logger().warning(
                    f"/tf_static from '{parent}' to '{child}' is left out: {error}; correct it "
                    'where it is published',
                    throttle_duration_sec=5.0,
                )
                continue
            self._transforms.add(parent, child, matrix)

    def _subscribe(self, kind: Any, topic: str, callback: Any, qos: QoSProfile) -> Subscription:
        return self._node.create_subscription(
            kind, topic, callback, qos, qos_overriding_options=overridable()
        )

    def _on_odometry(self, message: Odometry) -> None:
        self._add(message, message.twist.twist.linear)

    def _on_twist(self, message: TwistStamped) -> None:
        self._add(message, message.twist.linear)

    def _add(self, message: Odometry | TwistStamped, linear: Vector3) -> None:
        stamp = stamp_to_ns(message.header.stamp) * 1e-9  # rclpy's Time refuses negative ones
        self._speeds.add(stamp, math.hypot(linear.x, linear.y, linear.z))
