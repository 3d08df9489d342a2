# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Play a bag through the running depth node over DDS and collect all that it publishes."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import rclpy
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from sg_depth_ros.bags import BagReader, BagWriter
from sg_depth_ros.replay.account import Account
from sg_depth_ros.replay.inputs import Choice, Inputs
from sg_depth_ros.replay.node_process import (
    NodeProcess,
    dds_environment,
    private_namespace,
    ros_arguments,
)
from sg_depth_ros.replay.recorder import Recorder
from sg_depth_ros.replay.result import Replayed
from sg_depth_ros.replay.topics import (
    DIAGNOSTICS,
    HEARD,
    LATCHED,
    OUTPUTS,
    RECORDED,
)

TRANSFORMS = '/tf_static'
RATES = 1e-3, 1e6
"""Slowest and fastest; beyond, times are no numbers of nanoseconds any more."""
READY_SECONDS = 600.0
"""A first start may build an engine, which takes minutes."""
LAST_FRAME_SECONDS = 10.0
"""How long the depth of the last frame may take."""
SETTLE_SECONDS = 1.0
"""How long the other outputs of that frame may take after its depth."""
ARRIVAL_SECONDS = 0.2
"""How long a message may be on its way."""
ACCOUNT_SECONDS = 3.0
"""How long to wait for diagnostics, which come once a second, where frames are missing."""

Progress = Callable[[int, int, str], None]
"""Called with frames sent, frames in all, and a few words on what is going on."""


@dataclass(frozen=True)
class ReplayOptions:
    """How to play; ``rate`` 0 sends each frame when the one before has come back as depth."""

    bundle: str
    engine: str = 'auto'
    rate: float = 1.0
    choice: Choice = field(default_factory=Choice)
    parameters: Mapping[str, str | float] = field(default_factory=dict)
    """Others of the node; those that follow from the bag and from the options go before."""


def replay(
    bag: str | Path,
    record: Path,
    log: Path,
    options: ReplayOptions,
    recorded: Collection[str] = RECORDED,
    progress: Progress = lambda sent, total, note: None,
    record_inputs: bool = False,
) -> Replayed:
    """Play a bag through a node that is started for it; outputs go to the new bag ``record``.

    The node works in a namespace of its own: it hears no other node, and nobody takes another
    node's results for its own. After Ctrl-C what has come so far is given, ``interrupted``.

    :param record: the new bag that gets the outputs named in ``recorded``.
    :param log: file that gets what the node prints.
    :param record_inputs: whether the new bag also gets what is played, and the transforms.

    :raises BagError: when the bag has no images, several image topics and none is chosen, or not
        what the scale is to be made from.
    :raises NodeError: when the node fails; the end of its log is in the message.
    :raises ValueError: when the rate is none.
    """
    slowest, fastest = RATES
    if options.rate != 0 and not slowest <= options.rate <= fastest:
        raise ValueError(
            f'the rate must be 0 (one frame at a time) or {slowest:g} to {fastest:g}, '
            f'found {options.rate}'
        )
    with ExitStack() as stack:
        reader = stack.enter_context(BagReader(bag))
        inputs = Inputs(reader, options.choice, moving_transforms=record_inputs)
        result = Replayed(inputs)
        scratch = stack.enter_context(TemporaryDirectory(prefix='sg_depth_replay_'))
        dds = stack.enter_context(dds_environment(inputs.image_bytes, Path(scratch)))
        inputs.notes += filter(None, [dds.problem])
        writer = stack.enter_context(BagWriter(record))
        private = private_namespace()
        arguments = _arguments(inputs, options, private)
        node = stack.enter_context(NodeProcess(arguments, log, dds.domain))
        context = Context()
        rclpy.init(context=context, domain_id=dds.domain)
        stack.callback(context.shutdown)
        recorder = Recorder(writer, recorded, record_inputs)
        player = _Player(inputs, node, context, private, result, stack, recorder, options.rate)
        try:
            player.run(progress)
        except KeyboardInterrupt:
            if not result.frames_in:
                raise
            result.interrupted = True
        if 'bad' in result.lost_in_node:
            result.bad_example = inputs.undecodable(result.answered)
    return result


def _arguments(inputs: Inputs, options: ReplayOptions, private: str) -> list[str]:
    # The ends of the bag's own names are kept: they tell the node whether images are rectified.
    remaps = {
        '__ns': private,
        'image': private + inputs.topic.removesuffix('/compressed' if inputs.compressed else ''),
        'camera_info': private + (inputs.info_topic or '/camera_info'),
        TRANSFORMS: private + TRANSFORMS,
        DIAGNOSTICS: private + DIAGNOSTICS,
    }
    parameters: dict[str, str | float] = {
        **options.parameters,
        'autostart': True,
        'bundle': options.bundle,
        'engine': options.engine,
        'image_transport': 'compressed' if inputs.compressed else 'raw',
        'scale.mode': options.choice.scale_mode,
        'scale.camera_height': inputs.camera_height,
    }
    if not inputs.info_topic:  # the node would hold the first frames to wait for one
        parameters['camera_info_timeout'] = 0.0
    return ros_arguments(parameters, remaps)


class _Player:
    """The DDS side of a replay: publishers for the bag's topics, raw subscriptions to outputs."""

    def __init__(
        self,
        inputs: Inputs,
        process: NodeProcess,
        context: Context,
        private: str,
        result: Replayed,
        stack: ExitStack,
        recorder: Recorder,
        rate: float,
    ) -> None:
        self._inputs, self._process, self._result = inputs, process, result
        self._recorder = recorder
        self._rate = rate
        self._account = Account(result, recorder, rate or 1.0)
        self._node = rclpy.create_node('sg_depth_replay', context=context, namespace=private)
        stack.callback(self._node.destroy_node)
        self._executor = SingleThreadedExecutor(context=context)
        stack.callback(self._executor.shutdown)
        self._executor.add_node(self._node)
        self._publishers = self._advertise(private)
        for topic in HEARD | recorder.topics:
            late = topic in LATCHED
            durability = DurabilityPolicy.TRANSIENT_LOCAL if late else DurabilityPolicy.VOLATILE
            self._node.create_subscription(
                OUTPUTS[topic],
                private + topic,
                partial(self._account.hear, topic),
                QoSProfile(depth=10, durability=durability),
                raw=True,
            )

    def run(self, progress: Progress) -> None:
        """Wait for the node, play the bag, and wait for what is still under way."""
        result, total, rate = self._result, self._inputs.total, self._rate
        progress(0, total, 'the node is loading')
        self._wait_until_ready()
        result.received.clear()
        start = time.monotonic_ns()
        for item in self._inputs.messages() if rate else self._inputs.messages_in_turn():
            self._recorder.play(item)
            if item.topic not in self._publishers:
                continue
            if rate:
                self._spin(lambda: False, start + int(item.due_ns / rate))
            self._account.send(item)
            self._publishers[item.topic].publish(item.raw)
            if item.key is not None:
                progress(result.frames_in, total, f'{result.frames_out} depth images')
                if not rate:
                    self._wait_for_depth()
        self._wait_for_depth()
        # The other outputs of the last frame come right after its depth.
        self._spin(lambda: self._account.level, _in(SETTLE_SECONDS))
        if result.frames_out < result.frames_in:
            # Diagnostics that come from now on have counted all frames.
            before = result.status
            self._spin(lambda: result.status is not before, _in(ACCOUNT_SECONDS))

    def _advertise(self, private: str) -> dict[str, Any]:
        """Make the publishers for what is played: images, camera_info, speed, transforms."""
        inputs, publish = self._inputs, self._node.create_publisher
        base = private + inputs.topic.removesuffix('/compressed' if inputs.compressed else '')
        if inputs.compressed:
            image = publish(CompressedImage, f'{base}/compressed', 10)
        else:
            image = publish(Image, base, 10)
        publishers = {inputs.topic: image}
        if inputs.info_topic:
            publishers[inputs.info_topic] = publish(CameraInfo, private + inputs.info_topic, 10)
        if inputs.speed_topic:
            kind, name = (Odometry, '/odom') if inputs.has_odometry else (TwistStamped, '/twist')
            publishers[inputs.speed_topic] = publish(kind, private + name, 10)
        try:
            from tf2_msgs.msg import TFMessage
        except ImportError:  # pip has no wheel of it; only viewers would look at transforms
            return publishers
        latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        publishers[TRANSFORMS] = publish(TFMessage, private + TRANSFORMS, latched)
        return publishers

    def _wait_until_ready(self) -> None:
        """Wait until the node says that its networks run and both sides have found each other."""
        inputs = self._inputs
        needed = [self._publishers[t] for t in (inputs.topic, inputs.info_topic) if t]

        def ready() -> bool:
            status = self._result.status
            if status.get('level') == 'ERROR':
                raise self._process.error(f'the node cannot work: {status["message"]}')
            found = all(publisher.get_subscription_count() > 0 for publisher in needed)
            return status.get('state') == 'ready' and found

        if not self._spin(ready, _in(READY_SECONDS)):
            raise self._process.error(f'the node is not ready after {READY_SECONDS:.0f} s')

    def _wait_for_depth(self) -> None:
        """Wait for the depth of the frame sent last; one that was sent earlier is lost by then."""
        account, result = self._account, self._result
        if self._spin(lambda: account.answered or result.node_is_done, _in(LAST_FRAME_SECONDS)):
            # It may be on its way while the node's diagnostics are here.
            self._spin(lambda: account.answered, _in(ARRIVAL_SECONDS))
        account.give_up()

    def _spin(self, done: Callable[[], bool], limit_ns: int) -> bool:
        """Take messages until ``done``, at most to a moment of the monotonic clock."""
        while not done():
            left = (limit_ns - time.monotonic_ns()) / 1e9
            if left <= 0:
                return False
            self._executor.spin_once(timeout_sec=min(left, 0.2))
            self._process.check()
        return True


def _in(seconds: float) -> int:
    """Give the moment of the monotonic clock, in nanoseconds, after so many seconds."""
    return time.monotonic_ns() + int(seconds * 1e9)
