# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two cameras in one process with one engine."""

import os
import threading
import time
from collections import Counter
from contextlib import suppress

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.parameter import Parameter
from rig import DOMAIN, NETWORK, TIMEOUT, fake_bundle, make_image, make_info, pixels
from sensor_msgs.msg import CameraInfo, Image

from sg_depth_ros.engines import RawPrediction, StageSeconds
from sg_depth_ros.ros.program import make_nodes


class Red:
    """Depth is the red value of the image."""

    name, version, device = 'red', '1', 'CPU'
    closed = 0

    def infer(self, image_hw3):
        depth = image_hw3[..., 0].astype(np.float32)
        labels = np.zeros(NETWORK[::-1], np.uint8)
        return RawPrediction(depth, labels, StageSeconds(0, 0))

    def close(self):
        self.closed += 1


def test_cameras_share_the_engine_and_nothing_else():
    context = Context()
    rclpy.init(context=context, domain_id=DOMAIN)
    made, depths, seen = [], {}, set()

    def create(*_):
        made.append(Red())
        return made[-1]

    root = f'/two{os.getpid()}'
    names = [f'{root}/front', f'{root}/left']
    nodes = make_nodes(names, create, load=lambda _: fake_bundle(), context=context)
    executor = SingleThreadedExecutor(context=context)
    peer = rclpy.create_node('peer', context=context)
    try:
        for node in (*nodes, peer):
            executor.add_node(node)
        for node in nodes:
            node.autostart()
        publishers = {}
        for name in names:
            peer.create_subscription(
                Image, f'{name}/depth/image_rect', lambda m, n=name: depths.setdefault(n, m), 5
            )
            publishers[name] = (
                peer.create_publisher(CameraInfo, f'{name}/camera_info', 5),
                peer.create_publisher(Image, f'{name}/image', 5),
            )
        peer.create_subscription(
            DiagnosticArray, '/diagnostics', lambda m: seen.update(s.name for s in m.status), 10
        )
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            executor.spin_once(timeout_sec=0.05)
            if set(depths) == set(names) and len(seen) >= 2:
                break
            for i, name in enumerate(names):
                array = np.zeros_like(pixels())
                array[..., 0] = 10 + i * 30
                publishers[name][0].publish(make_info())
                publishers[name][1].publish(make_image(array))
        assert len(made) == 1
        assert {f'{name.lstrip("/")}/sg_depth: depth' for name in names} <= seen
        values = [np.frombuffer(depths[name].data, np.float32) for name in names]
        assert (values[1] == 4 * values[0]).all()
        for node in nodes:
            executor.remove_node(node)
            node.destroy_node()
        assert made[0].closed == 1
    finally:
        context.shutdown()


def test_no_camera_starves_when_all_are_faster_than_the_engine():
    """One camera is three times as fast as the other two, and each faster than the engine."""
    context = Context()
    rclpy.init(context=context, domain_id=DOMAIN)
    turns, counts, status = [], Counter(), {}

    class Slow(Red):
        def infer(self, image_hw3):
            turns.append(int(image_hw3[0, 0, 0]))
            time.sleep(0.02)
            return super().infer(image_hw3)

    root = f'/three{os.getpid()}'
    names = [f'{root}/{camera}' for camera in ('front', 'left', 'right')]
    factors = dict(zip(names, (1.0, 2.0, 3.0), strict=True))
    nodes = make_nodes(names, lambda *_: Slow(), load=lambda _: fake_bundle(), context=context)
    executor, peers = (SingleThreadedExecutor(context=context) for _ in range(2))
    peer = rclpy.create_node('peer', context=context)
    peers.add_node(peer)
    for node in nodes:
        executor.add_node(node)
        node.set_parameters(
            [
                Parameter('scale.mode', value='fixed'),
                Parameter('scale.factor', value=factors[node.get_namespace()]),
            ]
        )
        node.autostart()

    def spin():
        with suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin)
    try:
        publishers = {}
        for i, name in enumerate(names):
            peer.create_subscription(
                Image, f'{name}/depth/image_rect', lambda m, n=name: counts.update([n]), 5
            )
            publishers[name] = peer.create_publisher(Image, f'{name}/image', 5)
            info = peer.create_publisher(CameraInfo, f'{name}/camera_info', 5)
            array = np.zeros_like(pixels())
            array[..., 0] = 10 * (i + 1)
            publishers[name] = publishers[name], make_image(array), info

        def note(message):
            for item in message.status:
                values = {pair.key: pair.value for pair in item.values}
                status[item.name] = float(values.get('scale factor', 'nan'))

        peer.create_subscription(DiagnosticArray, '/diagnostics', note, 10)
        thread.start()
        expected = {f'{name.lstrip("/")}/sg_depth: depth': factors[name] for name in names}
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end and not (sum(counts.values()) > 150 and status == expected):
            for repeat in range(3):
                for name, (images, image, infos) in publishers.items():
                    if repeat == 0 or name == names[0]:
                        infos.publish(make_info())
                        images.publish(image)
            peers.spin_once(timeout_sec=0.002)
        assert status == expected
        shares = [turns[10:-10].count(10 * (i + 1)) / len(turns[10:-10]) for i in range(3)]
        assert min(shares) > 0.25, (shares, counts)
        assert len(counts) == 3
    finally:
        context.shutdown()
        thread.join(TIMEOUT)
        for node in nodes:
            node.destroy_node()
