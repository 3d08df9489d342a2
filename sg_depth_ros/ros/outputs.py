# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The topics that the node publishes: one table, each made only when somebody listens."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from numpy.typing import NDArray
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Header

from sg_depth_ros.bundle.labels import Label
from sg_depth_ros.estimator import Prediction
from sg_depth_ros.ros.camera_info import camera_info_message
from sg_depth_ros.ros.clouds import Clouds
from sg_depth_ros.ros.compressed_outputs import compressed_colors, compressed_depth
from sg_depth_ros.ros.ground_message import plane_message
from sg_depth_ros.ros.messages import cloud_message, image_message
from sg_depth_ros.ros.parameter_table import DepthParameters
from sg_depth_ros.ros.products import Points, Products
from sg_depth_ros.ros.qos import overridable
from sg_depth_ros.ros.scale_report import scale_message
from sg_depth_ros.ros.semantic_outputs import LATCHED
from sg_depth_ros.scale import ScaleEstimate

try:
    from rclpy.event_handler import PublisherEventCallbacks
except ImportError:  # until Humble, which has no matched events
    from rclpy.qos_event import PublisherEventCallbacks

DEPTH, DEPTH_INFO = 'depth/image_rect', 'depth/camera_info'
POINTS = 'depth/points'
LABELS, COLORS = 'semantic/image', 'semantic/color'
GROUND, OBSTACLES, PLANE = 'ground/points', 'obstacles/points', 'ground/plane'
STATIC, DYNAMIC = 'obstacles/static/points', 'obstacles/dynamic/points'
SCALE = '~/scale'
TRANSPORTS = ('/compressedDepth', '/compressed')
"""What image_transport adds to an image's topic, however that is remapped."""


@dataclass(frozen=True)
class Output:
    """One topic: the type of its messages, and what makes one of a frame.

    :ivar make: fills an earlier message again, or gives another; None if there is none to send
    :ivar metric: whether it has a unit of length, or belongs to what has
    """

    kind: type
    make: Callable[[Products, Any], Any]
    metric: bool = False


def _image(encoding: str, pixels: Callable[[Products], NDArray[Any]]) -> Output:
    return Output(
        Image,
        lambda products, message: image_message(
            products.header, encoding, pixels(products), message
        ),
    )


def _cloud(points: Callable[[Products], Points | None]) -> Output:
    def make(products: Products, message: PointCloud2) -> PointCloud2 | None:
        found = points(products)
        return None if found is None else cloud_message(products.header, found, message)

    return Output(PointCloud2, make, metric=True)


def _scale(products: Products, message: DiagnosticArray) -> DiagnosticArray:
    return scale_message(products.header, products.parameters.scale_mode, products.scale)


def _camera_info(products: Products, message: CameraInfo) -> CameraInfo | None:
    camera = products.prediction.camera
    return camera_info_message(camera, products.header) if camera else None


def _depth(products: Products, message: Image) -> Image:
    encoding = products.parameters.depth_encoding
    return image_message(products.header, encoding, products.depth_pixels, message)


def _plane(products: Products, message: PoseStamped) -> PoseStamped | None:
    return plane_message(products.header, products.plane) if products.plane else None


def _role(products: Products, which: int) -> Points | None:
    return products.obstacles_by_role[which] if products.obstacles_by_role else None


OUTPUTS: dict[str, Output] = {
    SCALE: Output(DiagnosticArray, _scale),
    # Before its image: who has the image looks for it at once.
    DEPTH_INFO: Output(CameraInfo, _camera_info, metric=True),
    DEPTH: Output(Image, _depth, metric=True),
    LABELS: _image('mono8', lambda products: products.prediction.labels),
    COLORS: _image('rgb8', lambda products: products.colors),
    POINTS: _cloud(lambda products: products.points),
    GROUND: _cloud(lambda products: products.ground),
    OBSTACLES: _cloud(lambda products: products.obstacles),
    STATIC: _cloud(lambda products: _role(products, 1)),
    DYNAMIC: _cloud(lambda products: _role(products, 0)),
    PLANE: Output(PoseStamped, _plane, metric=True),
    f'{DEPTH}/compressedDepth': Output(CompressedImage, compressed_depth, metric=True),
    f'{COLORS}/compressed': Output(CompressedImage, compressed_colors),
}
"""By relative topic, in the order in which they go out."""
METRIC = {topic for topic, output in OUTPUTS.items() if output.metric}
ALL_TOPICS: dict[str, type] = {
    **{topic: output.kind for topic, output in OUTPUTS.items()},
    **{topic: kind for topic, (kind, _) in LATCHED.items()},
}
"""Message types of all that the node publishes but diagnostics."""


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
        self._clouds = Clouds(
            self._labels,
            lambda text: node.get_logger().warning(text, throttle_duration_sec=5.0),
        )
        # Publishing has serialised a message when it returns, so that its memory is free again.
        self._messages = {topic: output.kind() for topic, output in OUTPUTS.items()}
        self._publishers: dict[str, Any] = {
            topic: node.create_lifecycle_publisher(
                output.kind,
                _full_name(node, topic),
                _publisher_qos(),
                event_callbacks=_event_callbacks(matched),
                qos_overriding_options=overridable(),
            )
            for topic, output in OUTPUTS.items()
        }
        # Latched and not of the lifecycle: what labels mean holds as long as the bundle does.
        self._latched: list[Any] = [
            node.create_publisher(
                kind,
                topic,
                QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL),
                qos_overriding_options=overridable(),
            )
            for topic, (kind, _) in LATCHED.items()
        ]
        stamp = node.get_clock().now().to_msg()
        for publisher, (_, make) in zip(self._latched, LATCHED.values(), strict=True):
            publisher.publish(make(self._labels, stamp))

    def destroy(self) -> None:
        """Take the publishers down."""
        for publisher in self._publishers.values():
            self._node.destroy_lifecycle_publisher(publisher)
        for latched in self._latched:
            self._node.destroy_publisher(latched)

    def wanted(self) -> set[str]:
        """Give the topics that have subscribers."""
        return {
            topic
            for topic, publisher in self._publishers.items()
            if publisher.get_subscription_count() > 0
        }

    def forget_plane(self) -> None:
        """Split no more points by the ground of frames that came before."""
        self._clouds.forget_plane()

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
        # Who has had metres is given nothing else.
        before = scale.state == 'waiting' and parameters.scale_before_first == 'relative'
        if scale.factor is None and not before:
            wanted = wanted - METRIC
        products = Products(prediction, header, parameters, scale, self._labels, self._clouds)
        sent = set()
        for topic in (topic for topic in OUTPUTS if topic in wanted):
            message = OUTPUTS[topic].make(products, self._messages[topic])
            if message is not None:
                self._publishers[topic].publish(message)
                sent.add(topic)
        return sent


def _full_name(node: LifecycleNode, topic: str) -> str:
    """Give a topic's name; that of a transport follows the remapping of its image."""
    for suffix in TRANSPORTS:
        if topic.endswith(suffix):
            return f'{node.resolve_topic_name(topic.removesuffix(suffix))}{suffix}'
    return topic


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
