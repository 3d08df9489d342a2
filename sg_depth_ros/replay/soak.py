# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A long run of the real node: whether memory, threads or files grow, and depth gets slower."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from sg_depth_ros.bags.messages import stamp_to_ns
from sg_depth_ros.replay.node_process import NodeProcess, choose_domain
from sg_depth_ros.ros.camera_info import camera_info_message
from sg_depth_ros.ros.fast_dds import profile_environment
from sg_depth_ros.ros.messages import image_message
from sg_depth_ros.synthetic import StreetFrame, drive, street_camera

SIZE = (640, 192)
FRAMES = 12
"""Different images that take turns."""
READY_SECONDS = 600.0
SAMPLES = 200
"""Of memory, threads and files over the whole time."""
SETTLE_SHARE = 0.1
"""Of the time, at the start, that is left out: run-times and caches take what they need."""

Progress = Callable[[float, 'Sample'], None]
"""Told the share of the time that is over, and what has just been measured."""


class Sample(NamedTuple):
    """The process of the node at one moment."""

    seconds: float
    megabytes: float
    """Resident."""
    threads: int
    descriptors: int


@dataclass
class Soaked:
    """What came of it."""

    samples: list[Sample] = field(default_factory=list)
    sent: int = 0
    latencies: list[tuple[float, float]] = field(default_factory=list)
    """When an image was sent, in seconds from the start, and how long its depth took."""

    @property
    def settled(self) -> list[Sample]:
        """The samples after the beginning."""
        begin = SETTLE_SHARE * self.samples[-1].seconds
        return [sample for sample in self.samples if sample.seconds >= begin]

    @property
    def slope(self) -> float:
        """Megabytes an hour by which memory grew: a line through what is settled."""
        seconds, megabytes = np.array([(s.seconds, s.megabytes) for s in self.settled]).T
        if len(seconds) < 2:
            return 0.0
        return float(np.polyfit(seconds, megabytes, 1)[0] * 3600)

    def p95(self, begin: float, end: float) -> float:
        """Give the 95th percentile of the latency in seconds of images sent between two shares.

        It is NaN if there was none.
        """
        whole = self.samples[-1].seconds
        chosen = [took for when, took in self.latencies if begin * whole <= when <= end * whole]
        return float(np.percentile(chosen, 95)) if chosen else float('nan')


def sample_process(pid: int, seconds: float) -> Sample:
    """Read memory, threads and open files of a process; Linux only."""
    lines = Path(f'/proc/{pid}/status').read_text().splitlines()
    values = dict(line.split(':', 1) for line in lines if ':' in line)
    descriptors = len(os.listdir(f'/proc/{pid}/fd'))
    kilobytes = int(values['VmRSS'].split()[0])
    return Sample(seconds, kilobytes / 1024, int(values['Threads']), descriptors)


def soak(
    seconds: float,
    rate: float,
    log: Path,
    parameters: Sequence[str] = (),
    progress: Progress = lambda share, sample: None,
) -> Soaked:
    """Drive a node with images of the street, and measure it meanwhile.

    :param seconds: after the node has got ready
    :param rate: images a second
    :param log: file that gets what the node prints
    :param parameters: of the node, as ``engine:=onnxruntime``
    :raises ValueError: when time or rate is not positive
    :raises NodeError: when the node ends or does not get ready; its last words are in the message
    """
    if seconds <= 0 or rate <= 0:
        raise ValueError(f'seconds and rate must be positive, found {seconds} and {rate}')
    os.environ.update(profile_environment(os.environ))
    domain = choose_domain()
    # Nobody else is in this namespace, so that what comes back is of this node.
    namespace = f'/sg_depth_soak_{secrets.token_hex(6)}'
    arguments = ['-r', f'__ns:={namespace}', '-r', 'image:=image_rect']
    arguments += [part for parameter in parameters for part in ('-p', parameter)]
    frames = list(drive(street_camera(*SIZE), FRAMES, seed=3))
    with ExitStack() as stack:
        context = Context()
        rclpy.init(context=context, domain_id=domain)
        stack.callback(context.shutdown)
        process = stack.enter_context(NodeProcess(arguments, log, domain))
        return _Driver(context, namespace, process, frames).run(seconds, rate, progress)


class _Driver:
    """A camera and a listener to the node's depth and cloud."""

    def __init__(
        self, context: Context, namespace: str, process: NodeProcess, frames: list[StreetFrame]
    ) -> None:
        self._process, self._frames = process, frames
        self._node = rclpy.create_node('soak', context=context, namespace=namespace)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self._node)
        # As a camera's driver does it.
        qos = QoSProfile(depth=2, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._images = self._node.create_publisher(Image, 'image_rect', qos)
        self._infos = self._node.create_publisher(CameraInfo, 'camera_info', qos)
        subscribe: Any = self._node.create_subscription
        subscribe(Image, 'depth/image_rect', self._on_depth, 5)
        # The cloud is asked for, and not looked at.
        subscribe(PointCloud2, 'depth/points', lambda _: None, 5, raw=True)
        subscribe(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)
        self._name = f'{namespace.lstrip("/")}/sg_depth: depth'
        self._ready = False
        self._sent: dict[int, float] = {}
        self._result = Soaked()
        self._start = 0.0

    def run(self, seconds: float, rate: float, progress: Progress) -> Soaked:
        self._wait_until_ready()
        result, self._start = self._result, time.monotonic()
        self._sample(progress, 0.0)
        while (now := time.monotonic() - self._start) < seconds:
            if now * rate >= result.sent:
                self._send(now)
            if now >= len(result.samples) * seconds / SAMPLES:
                self._process.check()
                self._sample(progress, now / seconds)
            self._executor.spin_once(timeout_sec=max(min(result.sent / rate - now, 0.1), 0.0))
        self._sample(progress, 1.0)
        return result

    def _wait_until_ready(self) -> None:
        limit = time.monotonic() + READY_SECONDS
        while not (self._ready and self._images.get_subscription_count()):
            self._executor.spin_once(timeout_sec=0.2)
            self._process.check()
            if time.monotonic() > limit:
                raise self._process.error(f'the node is not ready after {READY_SECONDS:.0f} s')

    def _sample(self, progress: Progress, share: float) -> None:
        sample = sample_process(self._process.pid, time.monotonic() - self._start)
        self._result.samples.append(sample)
        progress(share, sample)

    def _send(self, now: float) -> None:
        frame = self._frames[self._result.sent % len(self._frames)]
        header = Header(stamp=self._node.get_clock().now().to_msg(), frame_id='camera')
        self._infos.publish(camera_info_message(frame.camera, header))
        # Those that the node drops never come back.
        self._sent = {stamp: when for stamp, when in self._sent.items() if now - when < 10}
        self._sent[stamp_to_ns(header.stamp)] = now
        self._images.publish(image_message(header, 'rgb8', frame.image))
        self._result.sent += 1

    def _on_depth(self, message: Image) -> None:
        sent = self._sent.pop(stamp_to_ns(message.header.stamp), None)
        if sent is not None:
            took = time.monotonic() - self._start - sent
            self._result.latencies.append((sent, took))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {pair.key: pair.value for pair in status.values}
            if status.name == self._name:
                self._ready = values.get('state') == 'ready'
