# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Play a bag through the running depth node over DDS and collect all that it publishes."""

from __future__ import annotations

import struct
import time
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

from sg_depth_ros.bags import BagMessage, BagReader, BagWriter
from sg_depth_ros.bags.messages import typestore
from sg_depth_ros.bags.reader import COMPRESSED_IMAGE
from sg_depth_ros.replay.node_process import NodeProcess, prepare_environment

DEPTH, POINTS, LABELS = '/depth/image_rect', '/depth/points', '/semantic/image'
DIAGNOSTICS = '/diagnostics'
SCALE = '/sg_depth/scale'
ODOMETRY = '/odom'
OUTPUTS = {
    DEPTH: Image,
    '/depth/camera_info': CameraInfo,
    POINTS: PointCloud2,
    LABELS: Image,
    '/semantic/color': Image,
    SCALE: DiagnosticArray,
    DIAGNOSTICS: DiagnosticArray,
}
RECORDED = (DEPTH, LABELS)
"""What the pictures need."""
ERROR_LEVEL = 2
DIAGNOSTIC_ARRAY = 'diagnostic_msgs/msg/DiagnosticArray'
READY_SECONDS = 600.0
"""A first start may build an engine, which takes minutes."""
LAST_FRAME_SECONDS = 10.0
"""How long the depth of the last frame may take."""
SETTLE_SECONDS = 1.0
"""How long the other outputs of that frame may take after its depth."""

Progress = Callable[[int, int, str], None]
"""Called with frames sent, frames in all, and a few words on what is going on."""


@dataclass(frozen=True)
class ReplayOptions:
    """How to play; ``rate`` 0 sends each frame when the one before has come back as depth."""

    bundle: str
    engine: str = 'auto'
    rate: float = 1.0
    image_topic: str | None = None
    scale_mode: str = 'none'
    camera_height: float = 0.0
    """Metres, for the mode camera_height; 0 leaves it to the transforms in the bag."""


@dataclass
class Replayed:
    """What came of a replay. Times are nanoseconds."""

    image_topic: str
    compressed: bool
    info_topic: str | None
    frames_in: int = 0
    received: Counter[str] = field(default_factory=Counter)
    latencies_ns: list[int] = field(default_factory=list)
    depth_times_ns: list[int] = field(default_factory=list)
    header_errors: list[str] = field(default_factory=list)
    last_cloud: bytes | None = None
    scales: list[tuple[int, float]] = field(default_factory=list)
    """Stamp in ns and metres per unit, of the frames that had a scale."""
    status: dict[str, str] = field(default_factory=dict)
    """The node's own diagnostics, as last heard."""

    @property
    def node_topic(self) -> str:
        """The topic that the node takes the images from."""
        if self.compressed and not self.image_topic.endswith('/compressed'):
            return f'{self.image_topic}/compressed'
        return self.image_topic

    @property
    def fps(self) -> float:
        """Depth images in a second between the first and the last."""
        times = self.depth_times_ns
        return (len(times) - 1) * 1e9 / (times[-1] - times[0]) if len(times) > 1 else 0.0


def replay(
    bag: str | Path,
    record: Path,
    log: Path,
    options: ReplayOptions,
    recorded: Collection[str] = tuple(OUTPUTS),
    progress: Progress = lambda sent, total, note: None,
) -> Replayed:
    """Play a bag through a node that is started for it; outputs go to the new bag ``record``.

    :param record: the new bag that gets the outputs named in ``recorded``.
    :param log: file that gets what the node prints.

    :raises BagError: when the bag has no images, or several image topics and none is chosen.
    :raises NodeError: when the node fails; the end of its log is in the message.
    :raises ValueError: when the rate is negative.
    """
    if options.rate < 0:
        raise ValueError(f'the rate must be 0 (one frame at a time) or more, found {options.rate}')
    with ExitStack() as stack:
        reader = stack.enter_context(BagReader(bag))
        topic = reader.choose_image_topic(options.image_topic)
        compressed = reader.topics[topic].msgtype == COMPRESSED_IMAGE
        result = Replayed(topic, compressed, reader.camera_info_topic(topic))
        domain = prepare_environment()
        writer = stack.enter_context(BagWriter(record))
        node = stack.enter_context(NodeProcess(_arguments(result, options), log, domain))
        context = Context()
        rclpy.init(context=context, domain_id=domain)
        stack.callback(context.shutdown)
        player = _Player(reader, node, context, result, stack)
        player.record = {topic: writer for topic in recorded}
        player.run(options.rate, progress)
    return result


def _arguments(result: Replayed, options: ReplayOptions) -> list[str]:
    # The node takes the bag's own names: they tell it whether the images are rectified.
    base = (
        result.node_topic.removesuffix('/compressed') if result.compressed else result.node_topic
    )
    arguments = ['-r', f'image:={base}']
    if result.info_topic:
        arguments += ['-r', f'camera_info:={result.info_topic}']
    parameters = {
        'bundle': options.bundle,
        'engine': options.engine,
        'image_transport': 'compressed' if result.compressed else 'raw',
        'scale.mode': options.scale_mode,
        'scale.before_first': 'relative',
    }
    arguments += ['-p', f'scale.camera_height:={float(options.camera_height)}']
    if not result.info_topic:  # the node would hold the first frames to wait for one
        arguments += ['-p', 'camera_info_timeout:=0.0']
    for name, value in parameters.items():
        # Quotes keep YAML from reading a bundle called 1 as a number.
        arguments += ['-p', f"{name}:='{value}'"]
    return arguments


class _Player:
    """The DDS side of a replay: publishers for the bag's topics, raw subscriptions to outputs."""

    def __init__(
        self,
        reader: BagReader,
        process: NodeProcess,
        context: Context,
        result: Replayed,
        stack: ExitStack,
    ) -> None:
        self._reader, self._process, self._result = reader, process, result
        self.record: dict[str, BagWriter] = {}
        self._sent: dict[tuple[int, str], list[int]] = {}
        self._inputs: set[tuple[int, str]] = set()
        self._last_key: tuple[int, str] | None = None
        # The node gives images without a frame that of their camera_info.
        self._frame_id = reader.frame_id(result.image_topic)
        self._latest: dict[str, tuple[int, str]] = {}
        self._rate = 1.0
        self._last_sent = self._last_recorded = 0
        self._node = rclpy.create_node('sg_depth_replay', context=context)
        stack.callback(self._node.destroy_node)
        self._executor = SingleThreadedExecutor(context=context)
        stack.callback(self._executor.shutdown)
        self._executor.add_node(self._node)
        self._publishers = self._advertise()
        for topic, kind in OUTPUTS.items():
            self._node.create_subscription(
                kind, topic, lambda raw, name=topic: self._receive(name, raw), 10, raw=True
            )

    def run(self, rate: float, progress: Progress) -> None:
        """Wait for the node, play the bag, and wait for what is still under way."""
        result, topic = self._result, self._result.image_topic
        total = self._reader.topics[topic].msgcount
        progress(0, total, 'the node is loading')
        self._wait_until_ready()
        result.received.clear()
        self._rate = rate or 1.0
        start, first = time.monotonic_ns(), None
        for item in self._reader.messages(self._publishers):
            first = item.recorded_ns if first is None else first
            if rate:
                due = start + int((item.recorded_ns - first) / rate)
                self._spin(lambda: False, due)
            self._send(item)
            if item.topic == topic:
                progress(result.frames_in, total, f'{result.received[DEPTH]} depth images')
                if not rate:
                    self._wait_for_depth()
        self._wait_for_depth()
        # The other outputs of the last frame come right after its depth.
        limit = time.monotonic_ns() + int(SETTLE_SECONDS * 1e9)
        self._spin(lambda: len(set(self._latest.values())) <= 1, limit)

    def _advertise(self) -> dict[str, Any]:
        """Make the publishers for what is played: images, camera_info, static transforms."""
        result = self._result
        kind = CompressedImage if result.compressed else Image
        publishers = {result.image_topic: self._node.create_publisher(kind, result.node_topic, 10)}
        if result.info_topic:
            publishers[result.info_topic] = self._node.create_publisher(
                CameraInfo, result.info_topic, 10
            )
        if self._reader.topics.get(ODOMETRY) and (
            self._reader.topics[ODOMETRY].msgtype == 'nav_msgs/msg/Odometry'
        ):
            publishers[ODOMETRY] = self._node.create_publisher(Odometry, ODOMETRY, 10)
        try:
            from tf2_msgs.msg import TFMessage
        except ImportError:  # pip has no wheel of it; only viewers would look at transforms
            return publishers
        if '/tf_static' in self._reader.topics:
            latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
            publishers['/tf_static'] = self._node.create_publisher(
                TFMessage, '/tf_static', latched
            )
        return publishers

    def _wait_until_ready(self) -> None:
        """Wait until the node says that its networks run and both sides have found each other."""
        image = self._publishers[self._result.image_topic]
        limit = time.monotonic_ns() + int(READY_SECONDS * 1e9)

        def ready() -> bool:
            status = self._result.status
            if status.get('level') == 'ERROR':
                raise self._process.error(f'the node cannot work: {status["message"]}')
            return status.get('state') == 'ready' and image.get_subscription_count() > 0

        if not self._spin(ready, limit):
            raise self._process.error(f'the node is not ready after {READY_SECONDS:.0f} s')

    def _wait_for_depth(self) -> None:
        """Wait for the depth of the frame sent last; one that was sent earlier is lost by then."""
        limit = time.monotonic_ns() + int(LAST_FRAME_SECONDS * 1e9)
        self._spin(lambda: self._last_key not in self._sent, limit)
        self._sent.clear()

    def _spin(self, done: Callable[[], bool], limit_ns: int) -> bool:
        """Take messages until ``done``, at most to a moment of the monotonic clock."""
        while not done():
            left = (limit_ns - time.monotonic_ns()) / 1e9
            if left <= 0:
                return False
            self._executor.spin_once(timeout_sec=min(left, 0.2))
            self._process.check()
        return True

    def _send(self, item: BagMessage) -> None:
        if item.topic == self._result.image_topic:
            key = (item.stamp_ns, item.message.header.frame_id or self._frame_id)
            self._inputs.add(key)
            self._last_key = key
            self._sent.setdefault(key, []).append(time.monotonic_ns())
            self._result.frames_in += 1
        self._last_sent, self._last_recorded = time.monotonic_ns(), item.recorded_ns
        self._publishers[item.topic].publish(item.raw)

    def _receive(self, topic: str, raw: bytes) -> None:
        now = time.monotonic_ns()
        if topic == DIAGNOSTICS:
            self._read_diagnostics(raw)
        if not self._inputs:
            return  # what comes before the first frame is not of this replay
        result = self._result
        result.received[topic] += 1
        if topic in self.record:
            kind = OUTPUTS[topic]
            msgtype = f'{kind.__module__.partition(".")[0]}/msg/{kind.__name__}'
            # The time of the bag goes on between its messages, at the rate of the replay.
            bag_time = self._last_recorded + int((now - self._last_sent) * self._rate)
            self.record[topic].write_raw(topic, msgtype, raw, bag_time)
        if topic == DIAGNOSTICS:
            return
        key = read_header(raw)
        if topic == SCALE:
            self._read_scale(key[0], raw)
            return
        self._latest[topic] = key
        if key not in self._inputs:
            result.header_errors.append(f'{topic}: {key[0]} ns in {key[1]!r} is no input')
        if topic == POINTS:
            result.last_cloud = raw
        elif topic == DEPTH:
            result.depth_times_ns.append(now)
            if sent := self._sent.get(key):
                result.latencies_ns.append(now - sent.pop(0))
                if not sent:
                    del self._sent[key]

    def _read_scale(self, stamp_ns: int, raw: bytes) -> None:
        (status,) = typestore().deserialize_cdr(raw, DIAGNOSTIC_ARRAY).status
        values = {pair.key: pair.value for pair in status.values}
        if values['state'] not in ('off', 'waiting', 'lost'):
            self._result.scales.append((stamp_ns, float(values['factor'])))

    def _read_diagnostics(self, raw: bytes) -> None:
        """Keep what the node says about itself; other nodes may use the topic as well."""
        array = typestore().deserialize_cdr(raw, DIAGNOSTIC_ARRAY)
        for status in array.status:
            values = {pair.key: pair.value for pair in status.values}
            if values.get('image topic') == self._result.node_topic:
                level = 'ERROR' if status.level == ERROR_LEVEL else ''
                self._result.status = {**values, 'level': level, 'message': status.message}


def read_header(raw: bytes) -> tuple[int, str]:
    """Give the stamp (nanoseconds) and frame of a serialised message that begins with a Header."""
    order = '<' if raw[1] & 1 else '>'  # the second byte of the CDR encapsulation
    seconds, nanoseconds, length = struct.unpack_from(f'{order}iII', raw, 4)
    return seconds * 1_000_000_000 + nanoseconds, raw[16 : 16 + length - 1].decode()
