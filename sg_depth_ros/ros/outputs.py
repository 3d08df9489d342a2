# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The topics that the node publishes, each built only when somebody listens."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Collection

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from numpy.typing import NDArray
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header, String

from sg_depth_ros.bundle.labels import Label, ids_with, palette
from sg_depth_ros.estimator import Prediction
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.geometry.ground_plane import GroundPlane
from sg_depth_ros.geometry.point_cloud import PointCloudBuilder
from sg_depth_ros.images.depth import limit_range, mark_sky, to_millimetres
from sg_depth_ros.images.visualise import colorize_labels
from sg_depth_ros.ros.camera_info import camera_info_message
from sg_depth_ros.ros.ground_outputs import plane_message, split_by_plane
from sg_depth_ros.ros.messages import cloud_message, image_message
from sg_depth_ros.ros.parameters import DepthParameters, names_in
from sg_depth_ros.ros.qos import overridable
from sg_depth_ros.ros.scale_report import scale_message
from sg_depth_ros.scale import ScaleEstimate, fit_road

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
GROUND, OBSTACLES, PLANE = 'ground/points', 'obstacles/points', 'ground/plane'
GROUND_TOPICS = {GROUND: PointCloud2, OBSTACLES: PointCloud2, PLANE: PoseStamped}
"""Those that need a road in sight."""
SCALE = '~/scale'
LABEL_NAMES = 'semantic/labels'
ALL_TOPICS = {**TOPICS, **GROUND_TOPICS, SCALE: DiagnosticArray, LABEL_NAMES: String}
METRIC = {DEPTH, DEPTH_INFO, POINTS, *GROUND_TOPICS}
"""What has a unit of length, or belongs to what has."""


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
        self._labels = tuple(labels)
        self._road = ids_with('road', labels=labels)
        self._plane: GroundPlane | None = None
        """The last one, in the network's unit: the scale may change while the road is hidden."""
        self._palette = palette(tuple(labels))
        self._sky = ids_with('sky', labels=labels)
        # Publishing has serialised a message when it returns, so that its memory is free again.
        self._messages = {topic: kind() for topic, kind in ALL_TOPICS.items()}
        self._builder: PointCloudBuilder | None = None
        self._builder_options: tuple[object, ...] = ()
        self._publishers = {
            topic: node.create_lifecycle_publisher(
                kind,
                topic,
                _publisher_qos(),
                event_callbacks=_event_callbacks(matched),
                qos_overriding_options=overridable(),
            )
            for topic, kind in ALL_TOPICS.items()
            if topic != LABEL_NAMES
        }
        # Latched and not of the lifecycle: what labels mean holds as long as the bundle does.
        self._names = node.create_publisher(
            String,
            LABEL_NAMES,
            QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL),
            qos_overriding_options=overridable(),
        )
        self._names.publish(String(data=json.dumps([label._asdict() for label in self._labels])))

    def destroy(self) -> None:
        """Take the publishers down."""
        for publisher in self._publishers.values():
            self._node.destroy_lifecycle_publisher(publisher)
        self._node.destroy_publisher(self._names)

    def wanted(self) -> set[str]:
        """Give the topics that have subscribers."""
        return {
            topic
            for topic, publisher in self._publishers.items()
            if publisher.get_subscription_count() > 0
        }

    def forget_plane(self) -> None:
        """Split no more points by the ground of frames that came before."""
        self._plane = None

    def publish(
        self,
        prediction: Prediction,
        header: Header,
        wanted: set[str],
        parameters: DepthParameters,
        scale: ScaleEstimate,
    ) -> set[str]:
        """Publish one frame, and give those of the wanted topics that something went out on.

        What needs a camera is left out without one.
        """
        labels = prediction.labels
        factor = 1.0 if scale.factor is None else scale.factor
        sent = wanted & {SCALE, LABELS, COLORS}
        if SCALE in wanted:
            message = scale_message(header, parameters.scale_mode, scale)
            self._publishers[SCALE].publish(message)
        # Who has had metres is given nothing else.
        before = scale.state == 'waiting' and parameters.scale_before_first == 'relative'
        if scale.factor is None and not before:
            wanted = wanted - METRIC
        if wanted & METRIC:
            depth = mark_sky(prediction.depth, labels, self._sky)
            depth *= np.float32(factor)
            limit_range(depth, parameters.min_range, parameters.max_range)
        if wanted & {DEPTH, DEPTH_INFO}:
            # Siblings: who subscribes to the image reads the info as soon as the image is there.
            if prediction.camera:
                info = camera_info_message(prediction.camera, header)
                self._publishers[DEPTH_INFO].publish(info)
                sent.add(DEPTH_INFO)
            encoding = parameters.depth_encoding
            pixels = depth if encoding == '32FC1' else to_millimetres(depth)
            self._publishers[DEPTH].publish(
                image_message(header, encoding, pixels, self._messages[DEPTH])
            )
            sent.add(DEPTH)
        if wanted & {POINTS, *GROUND_TOPICS} and prediction.camera:
            sent |= self._publish_points(prediction, depth, factor, header, wanted, parameters)
        if LABELS in wanted:
            self._publishers[LABELS].publish(
                image_message(header, 'mono8', labels, self._messages[LABELS])
            )
        if COLORS in wanted:
            colors = colorize_labels(labels, self._palette)
            self._publishers[COLORS].publish(
                image_message(header, 'rgb8', colors, self._messages[COLORS])
            )
        return sent & wanted

    def _publish_points(
        self,
        prediction: Prediction,
        depth_hw: NDArray[np.float32],
        factor: float,
        header: Header,
        wanted: set[str],
        parameters: DepthParameters,
    ) -> set[str]:
        camera = prediction.camera
        assert camera is not None
        clouds, sent = {}, set()
        if wanted & {POINTS, GROUND, OBSTACLES}:
            builder = self._cloud_builder(camera, parameters)
            points = builder.build(depth_hw, prediction.image, prediction.labels)
            clouds[POINTS] = points
        if wanted & set(GROUND_TOPICS):
            plane, problem = fit_road(depth_hw, prediction.labels, camera, self._road)
            if plane is not None:
                self._plane = dataclasses.replace(plane, height=plane.height / factor)
            if self._plane is None:
                self._node.get_logger().warning(
                    f'no ground and no obstacles: {problem}', throttle_duration_sec=5.0
                )
            elif clouds:
                # The camera hardly moves against the ground while something hides the road.
                last = dataclasses.replace(self._plane, height=self._plane.height * factor)
                split = split_by_plane(points, last, parameters.ground_tolerance)
                clouds[GROUND], clouds[OBSTACLES] = split
            if PLANE in wanted and plane:
                self._publishers[PLANE].publish(plane_message(header, plane))
                sent.add(PLANE)
        for topic in clouds.keys() & wanted:
            message = cloud_message(header, clouds[topic], self._messages[topic])
            self._publishers[topic].publish(message)
        return sent | (clouds.keys() & wanted)

    def _cloud_builder(
        self, camera: PinholeCamera, parameters: DepthParameters
    ) -> PointCloudBuilder:
        """Give the builder for this camera and these options, the last one if they are its."""
        names = {
            *names_in(parameters.points_exclude_labels),
            *names_in(parameters.points_exclude_roles),
        }
        options = (
            camera,
            parameters.points_organized,
            parameters.points_stride,
            parameters.min_range,
            parameters.max_range,
            tuple(
                label.id for label in self._labels if label.name in names or names & {*label.roles}
            ),
            parameters.points_edge_ratio,
            tuple(ids_with('ground', labels=self._labels)),
            parameters.points_voxel_size,
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
