# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The topics that the node publishes, each built only when somebody listens."""

from __future__ import annotations

from collections.abc import Callable, Collection

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from sg_depth_ros.camera import PinholeCamera
from sg_depth_ros.depth_image import mark_sky, to_millimetres
from sg_depth_ros.estimator import Prediction
from sg_depth_ros.labels import Label, palette
from sg_depth_ros.point_cloud import PointCloudBuilder
from sg_depth_ros.ros.camera_info import camera_info_message
from sg_depth_ros.ros.messages import cloud_message, image_message
from sg_depth_ros.ros.parameters import DepthParameters
from sg_depth_ros.visualise import colorize_labels

try:
    from rclpy.event_handler import PublisherEventCallbacks
except ImportError:  # until Humble, which has no matched events
    from rclpy.qos_event import PublisherEventCallbacks

DEPTH = 'depth/image_rect'
DEPTH_INFO = 'depth/camera_info'
POINTS = 'depth/points'
LABELS = 'semantic/image'
COLORS = 'semantic/color'
TOPICS = {DEPTH: Image, DEPTH_INFO: CameraInfo, POINTS: PointCloud2, LABELS: Image, COLORS: Image}
"""Message types by relative topic name."""


class Outputs:
    """Publishers of a lifecycle node, and the messages for them."""

    def __init__(
        self, node: LifecycleNode, labels: Collection[Label], matched: Callable[[], None]
    ) -> None:
        """Create the publishers.

        :param labels: what the ids in the labels images mean.
        :param matched: called when a subscriber comes or goes, where the middleware tells.
        """
        self._node = node
        self._palette = palette(tuple(labels))
        self._sky = [label.id for label in labels if 'sky' in label.roles]
        # Publishing has serialised a message when it returns, so that its memory is free again.
        self._messages = {topic: kind() for topic, kind in TOPICS.items()}
        self._builder: PointCloudBuilder | None = None
        self._builder_options: tuple[object, ...] = ()
        self._publishers = {
            topic: node.create_lifecycle_publisher(
                kind,
                topic,
                _publisher_qos(),
                event_callbacks=_event_callbacks(matched),
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            )
            for topic, kind in TOPICS.items()
        }

    def destroy(self) -> None:
        """Take the publishers down."""
        for publisher in self._publishers.values():
            self._node.destroy_lifecycle_publisher(publisher)

    def wanted(self) -> set[str]:
        """Give the topics that have subscribers."""
        return {
            topic
            for topic, publisher in self._publishers.items()
            if publisher.get_subscription_count() > 0
        }

    def publish(
        self, prediction: Prediction, header: Header, wanted: set[str], parameters: DepthParameters
    ) -> None:
        """Publish one frame on the wanted topics; what needs a camera is left out without one."""
        labels = prediction.labels
        if wanted & {DEPTH, DEPTH_INFO, POINTS}:
            depth = mark_sky(prediction.depth, labels, self._sky)
        if wanted & {DEPTH, DEPTH_INFO}:
            # Siblings: who subscribes to the image reads the info as soon as the image is there.
            if prediction.camera:
                info = camera_info_message(prediction.camera, header)
                self._publishers[DEPTH_INFO].publish(info)
            encoding = parameters.depth_encoding
            pixels = depth if encoding == '32FC1' else to_millimetres(depth)
            self._publishers[DEPTH].publish(
                image_message(header, encoding, pixels, self._messages[DEPTH])
            )
        if POINTS in wanted and prediction.camera:
            builder = self._cloud_builder(prediction.camera, parameters)
            points = builder.build(depth, prediction.image, labels)
            self._publishers[POINTS].publish(cloud_message(header, points, self._messages[POINTS]))
        if LABELS in wanted:
            self._publishers[LABELS].publish(
                image_message(header, 'mono8', labels, self._messages[LABELS])
            )
        if COLORS in wanted:
            colors = colorize_labels(labels, self._palette)
            self._publishers[COLORS].publish(
                image_message(header, 'rgb8', colors, self._messages[COLORS])
            )

    def _cloud_builder(
        self, camera: PinholeCamera, parameters: DepthParameters
    ) -> PointCloudBuilder:
        """Give the builder for this camera and these options, the last one if they are its."""
        options = (
            camera,
            parameters.points_organized,
            parameters.points_stride,
            parameters.points_min_range,
            parameters.points_max_range,
        )
        if self._builder is None or options != self._builder_options:
            self._builder = PointCloudBuilder(*options)
            self._builder_options = options
        return self._builder


def _publisher_qos() -> QoSProfile:
    """Be reliable, since RViz asks for it, and shallow, since an old frame is of no use."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=2, reliability=ReliabilityPolicy.RELIABLE
    )


def _event_callbacks(matched: Callable[[], None]) -> PublisherEventCallbacks:
    callbacks = PublisherEventCallbacks()
    if hasattr(callbacks, 'matched'):
        callbacks.matched = lambda _: matched()
    return callbacks
