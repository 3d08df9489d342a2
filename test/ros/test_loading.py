# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The networks of a node over configure and cleanup: never two at a time, and nobody waits."""

import threading
import time

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from lifecycle_msgs.msg import Transition
from rig import TIMEOUT, FakeEstimator, fake_bundle, make_image, make_info

from sg_depth_ros.ros.loading import Networks
from sg_depth_ros.ros.outputs import DEPTH
from sg_depth_ros.ros.parameter_table import DepthParameters

LONG = 3600.0


class Silent:
    """Makes estimators that load until they are let, and report nothing."""

    def __init__(self):
        self.made, self.gate = [], threading.Event()

    def __call__(self, *arguments):
        estimator = FakeEstimator(*arguments)
        self.made.append(estimator)
        assert self.gate.wait(TIMEOUT)
        return estimator

    def open(self):
        return [e for e in self.made if not e.closed]


@pytest.fixture
def silent():
    made = Silent()
    yield made
    made.gate.set()


def start(networks, loaded, **parameters):
    networks.start(fake_bundle(), DepthParameters(**parameters), None, loaded.append)


def until(condition):
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_cycles_while_it_loads_make_one_loading_and_wait_for_nothing(silent):
    networks, loaded = Networks(silent), []
    start(networks, loaded)
    until(lambda: silent.made)
    for _ in range(20):
        assert networks.stop(LONG) == 'the networks are still being loaded'
        assert networks.worker is None and networks.left_behind
        start(networks, loaded)
    assert not loaded
    silent.gate.set()
    until(lambda: loaded)
    assert len(silent.made) == len(loaded) == 1
    assert networks.worker.state == 'ready'
    assert not networks.left_behind
    assert networks.stop(TIMEOUT) == ''
    assert not silent.open()


def test_what_is_loaded_for_nobody_is_freed(silent):
    networks = Networks(silent)
    start(networks, [])
    networks.stop(LONG)
    silent.gate.set()
    until(lambda: not networks.left_behind)
    assert not silent.open()


def test_another_choice_waits_for_the_end_of_the_one_before(silent):
    networks, loaded = Networks(silent), []
    start(networks, loaded)
    until(lambda: silent.made)
    networks.stop(LONG)
    start(networks, loaded, engine='onnxruntime')
    networks.stop(LONG)
    start(networks, loaded, engine='openvino')
    time.sleep(0.3)
    assert len(silent.made) == 1
    silent.gate.set()
    until(lambda: loaded)
    assert [e.engine.name for e in silent.open()] == ['fake-openvino']
    assert networks.stop(TIMEOUT) == ''


def test_the_node_works_after_cleanup_while_it_loads(rig, silent):
    made = rig(create=silent)
    made.listen(DEPTH)
    made.until(lambda: silent.made)
    for _ in range(3):
        assert made.transition(Transition.TRANSITION_DEACTIVATE)
        assert made.transition(Transition.TRANSITION_CLEANUP)
        assert made.transition(Transition.TRANSITION_CONFIGURE)
        assert made.transition(Transition.TRANSITION_ACTIVATE)
    silent.gate.set()
    made.until(lambda: made.node._networks.worker.state == 'ready')
    made.connect()
    made.send(make_info())
    made.send(make_image())
    made.until(lambda: made.received[DEPTH])
    assert len(silent.made) == 1


@pytest.mark.parametrize(
    ('error', 'text'),
    [
        (MemoryError(), 'MemoryError'),
        (KeyError('name'), "KeyError: 'name'"),
        (RuntimeError('no\n  GPU'), 'no GPU'),
    ],
)
def test_every_error_has_words(rig, error, text):
    def fail(*_):
        raise error

    made = rig(create=fail)
    made.until(lambda: made.node._failure)
    assert made.node._failure == f'the networks cannot be loaded: {text}'
    other = rig(start=False, load=fail)
    assert not other.transition(Transition.TRANSITION_CONFIGURE)
    assert other.node._failure == f'cannot be configured: {text}'
