# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The topics of the camera: images and their camera_info, brought together."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property

from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from rclpy.timer import Timer
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from sg_depth_ros.ros.pairing import WAIT_SECONDS, Frame, Pairing
from sg_depth_ros.ros.parameters import read_parameters
from sg_depth_ros.ros.qos import overridable, overridden
from sg_depth_ros.ros.statistics import FrameStatistics

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # until Humble
    from rclpy.qos_event import SubscriptionEventCallbacks


class CameraInput:
    """Subscribes to the camera's topics; callbacks run in the executor's thread."""

    def __init__(
        self,
        node: Node,
        statistics: FrameStatistics,
        ready: Callable[[], bool],
        submit: Callable[[Frame], bool],
    ) -> None:
        """Remember all this; ``open`` subscribes, once the node's parameters are declared.

        :param ready: whether an image can be worked on
        :param submit: takes a frame; tells whether one that waited was given up for it
        """
        self._node, self._statistics = node, statistics
        self._ready, self._submit = ready, submit
        self.pairing = Pairing()
        self._infos: list[Subscription] = []
        self._images: Subscription | None = None
        self._info_name = node.resolve_topic_name('camera_info')
        self._timer: Timer | None = None
        """Runs while images wait only."""

    @cached_property
    def topic(self) -> str:
        """The resolved name of the images' topic."""
        return self._node.resolve_topic_name(self._name)

    @property
    def _name(self) -> str:
        # As image_transport does it, so that a remapping of image holds for both transports.
        image = self._node.resolve_topic_name('image')
        return f'{image}/compressed' if self._compressed else 'image'

    @property
    def _compressed(self) -> bool:
        return read_parameters(self._node).image_transport == 'compressed'

    @property
    def subscribed(self) -> bool:
        """Whether images are listened to."""
        return self._images is not None

    def open(self) -> None:
        """Listen to camera_info; raises what rclpy does for a QoS that is none."""
        # Simulated time may stand still.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = self._node.create_timer(WAIT_SECONDS / 4, self.release, clock=steady)
        self._timer.cancel()
        latched = self._wanted_durability() == 'transient_local'
        self._infos.append(
            self._node.create_subscription(
                CameraInfo,
                'camera_info',
                self._on_info,
                _info_qos(latched),
                qos_overriding_options=overridable(),
            )
        )
        self.follow_publishers()

    def follow_publishers(self) -> None:
        """Listen to latched camera_info as well, as soon as somebody publishes such.

        Latched publishers send what they have sent before to those only who ask for it. Volatile
        ones send nothing to them, and warn of it, so that it is not asked for without need.
        """
        if len(self._infos) != 1 or self._wanted_durability() is not None:
            return
        publishers = self._node.get_publishers_info_by_topic(self._info_name)
        if any(p.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for p in publishers):
            self._infos.append(
                self._node.create_subscription(
                    CameraInfo,
                    'camera_info',
                    self._on_info,
                    _info_qos(True),
                    # Of volatile publishers the other subscription hears.
                    event_callbacks=SubscriptionEventCallbacks(incompatible_qos=lambda _: None),
                )
            )

    def _wanted_durability(self) -> object:
        return overridden(self._node, self._info_name, 'subscription', 'durability')

    def close(self) -> None:
        """Leave all topics and forget what was heard."""
        self.leave()
        for subscription in self._infos:
            self._node.destroy_subscription(subscription)
        self._infos.clear()
        if self._timer:
            self._node.destroy_timer(self._timer)
        self._timer = None
        self.pairing = Pairing()

    def subscribe(self) -> None:
        """Listen to images; raises what rclpy does for a QoS that is none."""
        reliability = read_parameters(self._node).image_reliability
        self.pairing.restart()
        self._images = self._node.create_subscription(
            CompressedImage if self._compressed else Image,
            self._name,
            self._on_image,
            QoSProfile(
                history=HistoryPolicy.KEEP_LAST,
                depth=1,
                reliability=ReliabilityPolicy[reliability.upper()],
            ),
            qos_overriding_options=overridable(),
        )

    def leave(self) -> None:
        """Listen to images no more, and count those that waited."""
        if self._images:
            self._node.destroy_subscription(self._images)
        self._images = None
        for _ in range(self.pairing.restart()):
            self._statistics.count('unwanted', time.monotonic())
        if self._timer:
            self._timer.cancel()

    def release(self) -> None:
        """Submit the images that have their camera_info, or have waited enough.

        Depth that goes out before the focal length is known would have another scale.
        """
        now = time.monotonic()
        for frame in self.pairing.take(now, read_parameters(self._node).camera_info_timeout):
            if self._submit(frame):
                self._statistics.count('dropped_busy', now)
        assert self._timer is not None
        if not self.pairing.waiting:
            self._timer.cancel()
        elif self._timer.is_canceled():
            self._timer.reset()

    def _on_image(self, message: Image | CompressedImage) -> None:
        now = time.monotonic()
        self._statistics.count('received', now)
        if not self._ready():
            self._statistics.count('dropped_loading', now)
            return
        for _ in range(self.pairing.add_image(message, now)):
            self._statistics.count('dropped_busy', now)
        self.release()

    def _on_info(self, message: CameraInfo) -> None:
        self.pairing.add_info(message, time.monotonic())
        self.release()


def _info_qos(latched: bool) -> QoSProfile:
    """Keep ten, which are small, since each belongs to an image; of images the newest is enough.

    Made anew each time: rclpy writes overrides into the profile that it is given.
    """
    if not latched:
        return QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
    return QoSProfile(
        depth=10,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    )
