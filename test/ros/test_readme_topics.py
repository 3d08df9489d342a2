# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""That every topic in README.md's table is there, with the type and the frame that it says."""

import importlib
import re
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from rclpy.qos import DurabilityPolicy, QoSProfile
from rig import make_image, make_info
from test_scale import Road

from sg_depth_ros.ros.outputs import ALL_TOPICS
from sg_depth_ros.ros.semantic_outputs import LATCHED

README = (Path(__file__).parents[2] / 'README.md').read_text()
FRAME = 'camera_of_this_test'


def rows():
    """Give topic, type, frame and text of each row; a row may name two topics."""
    section = README.partition('\n### Topics\n')[2].partition('\n### ')[0]
    for line in re.findall(r'^\| `.*\|$', section, re.MULTILINE):
        topics, kinds, frame, text = (cell.strip() for cell in line.strip('|').split('|'))
        pairs = zip(re.findall('`(.*?)`', topics), re.findall('`(.*?)`', kinds), strict=True)
        for topic, kind in pairs:
            yield topic, kind, frame, text


def message_class(kind):
    package, name = kind.split('/')
    return getattr(importlib.import_module(f'{package}.msg'), name)


def test_outputs_are_published_with_their_types_and_frames(rig):
    made = rig(create=Road)
    outputs = {
        topic.replace('~', 'sg_depth'): (kind, frame)
        for topic, kind, frame, text in rows()
        if text.startswith('out') and topic in {*ALL_TOPICS, '/diagnostics'}
    }
    assert len(outputs) == len(ALL_TOPICS) + 1
    for topic, (kind, _) in outputs.items():
        latched = topic in LATCHED
        durability = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
        qos = QoSProfile(depth=5, durability=durability)
        made.listen(topic, kind=message_class(kind), qos=qos)
    made.connect()
    made.until(lambda: made.node._networks.worker.state == 'ready')
    made.send(make_info(frame_id=FRAME))
    made.send(make_image(frame_id=FRAME, second=5))
    made.until(lambda: all(made.received[topic] for topic in outputs))
    graph = {
        name: kinds
        for name, kinds in made.node.get_publisher_names_and_types_by_node(
            'sg_depth', made.namespace
        )
    }
    for topic, (kind, frame) in outputs.items():
        name = made.peer.resolve_topic_name(topic)
        assert graph[name] == [kind.replace('/', '/msg/')]
        assert frame in ("image's", ''), frame
        if frame:
            header = made.received[topic][-1].header
            assert (header.frame_id, header.stamp.sec) == (FRAME, 5), topic


def test_inputs_are_subscribed_with_their_types(rig):
    inputs = {topic: kind for topic, kind, _, text in rows() if text.startswith('in')}
    assert len(inputs) == 6
    found = {}
    for transport in ('raw', 'compressed'):
        made = rig(create=Road, **{'image_transport': transport, 'scale.mode': 'odometry'})
        made.listen('depth/image_rect')
        made.until(lambda m=made: m.node._camera.subscribed)
        subscribed = made.node.get_subscriber_names_and_types_by_node('sg_depth', made.namespace)
        found |= {name.removeprefix(f'{made.namespace}/'): kinds for name, kinds in subscribed}
    for topic, kind in inputs.items():
        try:
            message_class(kind)
        except ImportError:
            assert topic == '/tf_static'  # whose type has no wheel
            assert topic not in found
            continue
        assert found[topic] == [kind.replace('/', '/msg/')]
