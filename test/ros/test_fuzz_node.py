# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Mutated messages through the node's handlers: it says a sentence and works on."""

import math
import random
import resource
from contextlib import suppress

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')
pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')

import cv2
import numpy as np
import rclpy
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from rclpy.context import Context
from rclpy.parameter import Parameter
from rig import DOMAIN, make_image, make_info
from sensor_msgs.msg import CompressedImage

from sg_depth_ros.estimator import Estimator
from sg_depth_ros.images.decoding import ENCODINGS
from sg_depth_ros.ros.diagnostics import diagnose, diagnostic_status
from sg_depth_ros.ros.node import DepthNode
from sg_depth_ros.ros.outputs import OUTPUTS, Outputs

FEW, MANY = 1200, 40_000
MOST_MEGABYTES = 300
NUMBERS = (0, 1, -1, 2, 7, 255, 2**16, 2**31 - 1, -(2**31), 2**32 - 1)
FLOATS = (0.0, -1.0, math.nan, math.inf, -math.inf, 1e300, -1e300, 1e-300, 0.5, 1e12)
TEXTS = ('', 'x', '/', ' ', '\x00', 'ä\u2028', 'rear', 'a' * 5000, 'jpeg', 'png compressed bgr8')
TEXTS += ('16UC1; compressedDepth', 'bayer_rggb8; png compressed bgr8', *ENCODINGS, '32FC1')


def fields(message, path=()):
    """Paths to all that holds a value."""
    for name in message.get_fields_and_field_types():
        value = getattr(message, name)
        if hasattr(value, 'get_fields_and_field_types'):
            yield from fields(value, (*path, name))
        else:
            yield (*path, name)


def mutated(message, chance):
    """Change one to three fields in place."""
    for path in chance.sample(list(fields(message)), chance.randint(1, 3)):
        owner = message
        for name in path[:-1]:
            owner = getattr(owner, name)
        owner._check_fields = True  # newer ROS checks on request only
        with suppress(AssertionError, OverflowError, TypeError, UnicodeError):
            setattr(owner, path[-1], other(getattr(owner, path[-1]), chance))
    return message


def other(value, chance):
    if isinstance(value, str):
        return chance.choice(TEXTS)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return chance.choice((*NUMBERS, value + 1, value - 1))
    if isinstance(value, float):
        return chance.choice(FLOATS)
    values = list(value)
    kind = chance.randrange(3)
    if kind == 0 or not values:
        return values[: chance.randint(0, len(values))] + values[:3] * chance.randint(0, 200)
    for _ in range(chance.randint(1, 8) if kind == 1 else len(values)):
        place = chance.randrange(len(values))
        whole = isinstance(values[place], int)
        values[place] = chance.randrange(256) if whole else chance.choice(FLOATS)
    return values


def compressed(chance):
    image = np.frombuffer(make_image().data, np.uint8).reshape(8, 16, 3)
    suffix = chance.choice(('.png', '.jpg'))
    message = CompressedImage(format=chance.choice(('jpeg', 'png', 'rgb8; jpeg compressed bgr8')))
    message.header = make_image().header
    message.data.frombytes(cv2.imencode(suffix, image)[1].tobytes())
    return message


def speed(kind):
    message = kind()
    message.header.stamp.sec = 7
    return message


MESSAGES = {
    'image': lambda chance: make_image(),
    'compressed': compressed,
    'info': lambda chance: make_info(),
    'odometry': lambda chance: speed(Odometry),
    'twist': lambda chance: speed(TwistStamped),
}


@pytest.fixture
def node(formula_bundle, monkeypatch):
    """A node that is active and not spun: what it is given is worked on at once."""
    context = Context()
    rclpy.init(context=context, domain_id=DOMAIN)
    every = set(OUTPUTS)
    monkeypatch.setattr(Outputs, 'wanted', lambda self: every)
    made = DepthNode(
        load=lambda _: formula_bundle,
        context=context,
        parameter_overrides=[
            Parameter('scale.mode', value='fixed'),
            Parameter('engine', value='onnxruntime'),
            Parameter('camera_info_timeout', value=0.0),
        ],
    )
    estimator = Estimator.load(formula_bundle.path, 'onnxruntime', 1)

    def work(frame):
        made._pipeline.process(estimator, frame)
        return False

    made._camera._ready, made._camera._submit = lambda: True, work
    made.autostart()
    yield made
    context.shutdown()
    made.destroy_node()


def check(node, monkeypatch, count):
    lines = []
    logger = type(rclpy.logging.get_logger('x'))
    for name in ('warning', 'error'):
        monkeypatch.setattr(logger, name, lambda _, line, **options: lines.append(line))
    health = []

    def diagnostic(name, found):
        health.append(diagnose(found))
        return diagnostic_status(name, found)

    monkeypatch.setattr('sg_depth_ros.ros.node.diagnostic_status', diagnostic)
    chance = random.Random(7)
    camera, inputs = node._camera, node._pipeline._inputs
    handlers = {
        'image': camera._on_image,
        'compressed': camera._on_image,
        'info': camera._on_info,
        'odometry': inputs._on_odometry,
        'twist': inputs._on_twist,
    }
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    modes = ('fixed', 'none', 'camera_height', 'odometry')
    for n in range(count):
        kind = chance.choice(list(handlers))
        if n % 40 == 0:
            node.set_parameters([Parameter('scale.mode', value=chance.choice(modes))])
        handlers[kind](mutated(MESSAGES[kind](chance), chance))
        camera.release()
        if n % 50 == 49:
            node._on_second()
            assert_works(node)
    totals = node._statistics.summary(0.0).totals
    assert totals['bad'] > count / 50
    assert not [line for line in lines if not sentence_like(line)]
    assert not [text for _, text in health if not sentence_like(text)]
    # Nothing was a surprise: each fault was found where it came in.
    assert totals['failed'] == 0, {line for line in lines if 'could not be processed' in line}
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < MOST_MEGABYTES
    assert len(node._pipeline._scaler.speeds._entries) < 1000


def sentence_like(line):
    return bool(line) and 'Traceback' not in line and not line.rstrip().endswith(':')


def assert_works(node):
    """A good image with its camera_info goes out, in metres."""
    node.set_parameters([Parameter('scale.mode', value='fixed')])
    before = node._statistics.summary(0.0).totals['published']
    info, image = make_info(), make_image(second=9)
    info.header.stamp = image.header.stamp
    node._camera._on_info(info)
    node._camera._on_image(image)
    for _ in range(10):  # those that wait in front of it
        node._camera.release()
    frames = node._camera.pairing.take(math.inf, 0.0)
    for frame in frames:
        node._camera._submit(frame)
    assert node._statistics.summary(0.0).totals['published'] > before
    assert not node._pipeline.findings
    assert node._pipeline.scale.state == 'fixed'


def test_mutated_messages_are_survived_with_sentences(node, monkeypatch):
    check(node, monkeypatch, FEW)


@pytest.mark.slow
def test_many_mutated_messages_are_survived_with_sentences(node, monkeypatch):
    check(node, monkeypatch, MANY)
