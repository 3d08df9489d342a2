# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A real node in real DDS with an estimator whose answers are known."""

import itertools
import os
import threading
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import rclpy
from lifecycle_msgs.srv import ChangeState
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image

from sg_depth_ros.bundle import Bundle, Manifest
from sg_depth_ros.bundle.labels import CITYSCAPES
from sg_depth_ros.engines import StageSeconds
from sg_depth_ros.estimator import Prediction
from sg_depth_ros.ros.node import DepthNode
from sg_depth_ros.ros.outputs import ALL_TOPICS

WIDTH, HEIGHT = 16, 8
NETWORK = (8, 4)
DOMAIN = 1 + os.getpid() % 100
TIMEOUT = 30.0
SKY, CAR = 10, 13
_count = itertools.count()


def fake_bundle():
    """A bundle of the real type; nothing reads its files."""
    return Bundle(
        Path('bundle'),
        Manifest(
            format_version=1,
            name='fake',
            description='for tests',
            licence='Apache-2.0',
            input={'width': NETWORK[0], 'height': NETWORK[1]},
            normalisation={'mean': (0, 0, 0), 'std': (1, 1, 1)},
            labels=[label._asdict() for label in CITYSCAPES],
            depth={'min': 0.1, 'max': 100, 'scale': 'relative', 'training_focal_length': 10.0},
            precision='fp32',
            provenance={},
            metrics=[],
            files={'segmentation.onnx': '0', 'depth.onnx': '1'},
        ),
    )


class FakeEstimator:
    """Depth is the red value of the pixel, doubled when the camera is known; blue > 200 is sky."""

    def __init__(self, bundle, engine='auto', threads=None, precision=None, progress=None):
        self.bundle = bundle
        self.precision = precision
        self.engine = SimpleNamespace(name=f'fake-{engine}', device=f'CPU ({threads} threads)')
        self.gate = threading.Event()
        self.gate.set()
        self.seen = []
        self.error = None
        self.closed = False

    def predict(self, image, camera=None, size='network'):
        self.seen.append((image.copy(), camera))
        assert self.gate.wait(TIMEOUT)
        if self.error:
            raise self.error
        if size == 'network':
            step = image.shape[0] // NETWORK[1], image.shape[1] // NETWORK[0]
            image = np.ascontiguousarray(image[:: step[0], :: step[1]])
            camera = camera and camera.resized(*NETWORK)
        depth = image[..., 0].astype(np.float32) * (2 if camera else 1)
        labels = np.where(image[..., 2] > 200, SKY, CAR).astype(np.uint8)
        return Prediction(depth, labels, image, camera, StageSeconds(0, 0))

    def close(self):
        self.closed = True


class Rig:
    """A depth node that spins in a thread, and a node beside it that talks to it."""

    def __init__(self, create=None, load=None, start=True, remap=(), **parameters):
        self.context = Context()
        rclpy.init(context=self.context, domain_id=DOMAIN)
        self.namespace = f'/t{os.getpid()}_{next(_count)}'
        self.estimators = []
        options = {'context': self.context, 'namespace': self.namespace}
        self.node = DepthNode(
            load=load or (lambda _: fake_bundle()),
            create=create or self._create,
            parameter_overrides=[Parameter(k, value=v) for k, v in parameters.items()],
            cli_args=[a for rule in remap for a in ('--ros-args', '-r', rule, '--')],
            **options,
        )
        self.peer = rclpy.create_node('peer', **options)
        self.received = defaultdict(list)
        self.publishers = {}
        self.subscriptions = {}
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.peer)
        self.node_executor = SingleThreadedExecutor(context=self.context)
        self.node_executor.add_node(self.node)
        if start:
            self.node.autostart()
        self.thread = threading.Thread(target=self._spin)
        self.thread.start()

    def _create(self, *arguments):
        self.estimators.append(FakeEstimator(*arguments))
        return self.estimators[-1]

    def _spin(self):
        try:
            with suppress(ExternalShutdownException):
                self.node_executor.spin()
        except RuntimeError:  # the context may go down just before rclpy waits on it
            if self.context.ok():
                raise

    @property
    def estimator(self):
        self.until(lambda: self.estimators and self.node._networks.worker.state == 'ready')
        return self.estimators[-1]

    def close(self):
        self.context.shutdown()
        self.thread.join(TIMEOUT)
        self.node.destroy_node()
        self.peer.destroy_node()

    def until(self, condition, timeout=TIMEOUT):
        """Spin until the condition holds; fail if it does not in time."""
        end = time.monotonic() + timeout
        while not (value := condition()):
            assert time.monotonic() < end, (
                f'timed out; received { {k: len(v) for k, v in self.received.items()} }'
            )
            self.executor.spin_once(timeout_sec=0.02)
        return value

    def listen(self, *topics, kind=None, qos=5):
        """Subscribe, and wait for the match."""
        for topic in topics:
            self.subscriptions[topic] = self.peer.create_subscription(
                kind or ALL_TOPICS[topic], topic, self.received[topic].append, qos
            )
            self.until(lambda t=topic: self.peer.count_publishers(self.peer.resolve_topic_name(t)))

    def connect(self, image='image', kind=Image, info='camera_info'):
        """Create the camera's publishers and wait until the node subscribes."""
        self.publishers['image'] = self.peer.create_publisher(kind, image, 5)
        self.publishers['camera_info'] = self.peer.create_publisher(CameraInfo, info, 5)
        for publisher in self.publishers.values():
            self.until(lambda p=publisher: p.get_subscription_count())

    def send(self, message):
        name = 'camera_info' if isinstance(message, CameraInfo) else 'image'
        self.publishers[name].publish(message)
        if name == 'camera_info':
            # As text, since NaN differs from itself.
            self.until(lambda: str(self.node._camera.pairing.newest) == str(message))

    def totals(self):
        return self.node._statistics.summary(time.monotonic()).totals

    def transition(self, number):
        """Ask for a lifecycle transition through its service."""
        client = self.peer.create_client(ChangeState, 'sg_depth/change_state')
        assert client.wait_for_service(TIMEOUT)
        request = ChangeState.Request()
        request.transition.id = number
        future = client.call_async(request)
        self.until(future.done)
        return future.result().success


def pixels(red=3, blue=0, seed=0):
    image = np.random.default_rng(seed).integers(1, 40, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    image[..., 0] += red
    image[: HEIGHT // 2, :, 2] = blue
    return image


def make_image(array=None, second=7, frame_id='camera_optical'):
    array = pixels() if array is None else array
    message = Image(encoding='rgb8', height=array.shape[0], width=array.shape[1])
    message.step = array.shape[1] * 3
    message.data.frombytes(array.tobytes())
    message.header.frame_id = frame_id
    message.header.stamp.sec = second
    message.header.stamp.nanosec = 123456789
    return message


def make_info(width=WIDTH, height=HEIGHT, frame_id='camera_optical', focal=20.0):
    message = CameraInfo(width=width, height=height)
    message.header.frame_id = frame_id
    message.k = [focal, 0.0, width / 2, 0.0, focal, height / 2, 0.0, 0.0, 1.0]
    message.p = [focal, 0.0, width / 2, 0.0, 0.0, focal, height / 2, 0.0, 0.0, 0.0, 1.0, 0.0]
    return message
