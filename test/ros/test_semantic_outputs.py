# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labels as others read them: names by id, and obstacles by role."""

import importlib
import sys
from types import ModuleType, SimpleNamespace

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

import numpy as np
from builtin_interfaces.msg import Time
from rig import make_image, make_info
from test_scale import CAMERA, SIZE, Road

from sg_depth_ros.bundle.labels import CITYSCAPES, ID
from sg_depth_ros.engines import StageSeconds
from sg_depth_ros.estimator import Prediction
from sg_depth_ros.geometry.point_cloud import POINT
from sg_depth_ros.ros import semantic_outputs
from sg_depth_ros.ros.outputs import DYNAMIC, LABELS, OBSTACLES, POINTS, STATIC


class Traffic(Road):
    """The wall's left half is a car."""

    def predict(self, image, camera=None, size='network'):
        road = super().predict(image, camera, size)
        labels = road.labels.copy()
        left = labels[:, : SIZE[0] // 2]
        left[left == ID['building']] = ID['car']
        return Prediction(road.depth, labels, road.image, CAMERA, StageSeconds(0, 0))


def test_obstacles_by_role_are_those_of_the_obstacles(rig):
    made = rig(create=Traffic)
    topics = (OBSTACLES, STATIC, DYNAMIC)
    made.listen(*topics)
    made.connect()
    made.until(lambda: made.node._networks.worker.state == 'ready')
    made.send(make_info())
    made.send(make_image())
    made.until(lambda: all(made.received[topic] for topic in topics))
    every, static, dynamic = (np.frombuffer(made.received[t][0].data, POINT) for t in topics)
    assert len({str(made.received[t][0].header) for t in topics}) == 1
    assert set(dynamic['label']) == {ID['car']}
    assert set(static['label']) == {ID['building']}
    assert len(every) == len(static) + len(dynamic)
    assert (dynamic['x'] < 0).all() and (static['x'] > 0).all()


def test_mask_and_cloud_have_one_size_and_stamp(rig):
    """As semantic_segmentation_layer of Nav2 wants them: it goes through both by one index."""
    made = rig(create=Traffic)
    made.listen(LABELS, POINTS)
    made.connect()
    made.until(lambda: made.node._networks.worker.state == 'ready')
    made.send(make_info())
    made.send(make_image())
    made.until(lambda: made.received[LABELS] and made.received[POINTS])
    mask, cloud = made.received[LABELS][0], made.received[POINTS][0]
    assert mask.encoding == 'mono8'
    assert mask.header == cloud.header
    assert (mask.height, mask.width, mask.step) == (cloud.height, cloud.width, cloud.width)
    points = np.frombuffer(cloud.data, POINT)
    np.testing.assert_array_equal(points['label'], np.frombuffer(mask.data, np.uint8))


@pytest.fixture
def vision_msgs(monkeypatch):
    """A stand-in with the fields of vision_msgs 4, which has no wheel; it cannot be published."""

    class LabelInfo(SimpleNamespace):
        pass

    class VisionClass(SimpleNamespace):
        pass

    package, messages = ModuleType('vision_msgs'), ModuleType('vision_msgs.msg')
    messages.LabelInfo, messages.VisionClass = LabelInfo, VisionClass
    monkeypatch.setitem(sys.modules, 'vision_msgs', package)
    monkeypatch.setitem(sys.modules, 'vision_msgs.msg', messages)
    yield messages
    monkeypatch.undo()
    importlib.reload(semantic_outputs)


def test_label_info_is_a_topic_where_vision_msgs_is_installed(vision_msgs):
    module = importlib.reload(semantic_outputs)
    kind, make = module.LATCHED[module.LABEL_INFO]
    assert kind is vision_msgs.LabelInfo
    message = make(CITYSCAPES, Time(sec=7))
    assert message.header.stamp.sec == 7
    assert message.threshold == 0.0
    names = {entry.class_id: entry.class_name for entry in message.class_map}
    assert names == {label.id: label.name for label in CITYSCAPES}


def test_label_info_is_no_topic_where_it_is_not(monkeypatch):
    monkeypatch.setitem(sys.modules, 'vision_msgs.msg', None)
    try:
        module = importlib.reload(semantic_outputs)
        assert list(module.LATCHED) == [module.LABEL_NAMES]
    finally:
        monkeypatch.undo()
        importlib.reload(semantic_outputs)
