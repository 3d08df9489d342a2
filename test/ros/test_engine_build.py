# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A running node whose engine takes long to build: what it says meanwhile, and how it stops."""

import os
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest
from children import start_process

pytest.importorskip('rclpy', reason='ROS 2 is not installed')
pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from formula import formula
from lifecycle_msgs.msg import Transition
from rig import DOMAIN, TIMEOUT, make_image, make_info

from sg_depth_ros.engines import ENGINES, EngineCancelled, EngineError
from sg_depth_ros.engines.onnxruntime import OnnxRuntimeEngine
from sg_depth_ros.ros.loading import create_estimator
from sg_depth_ros.ros.outputs import DEPTH


class SlowBuild:
    """Stands in the registry for TensorRT: builds until it is let go, then is ONNX Runtime."""

    def __init__(self):
        self.finish, self.cancelled = threading.Event(), threading.Event()
        self.precisions, self.fraction, self.error = [], 0.25, None

    def make(self, bundle, options):
        self.precisions.append(options.precision)
        while not self.finish.wait(0.05):
            if not options.progress('depth: timing tactics', self.fraction):
                self.cancelled.set()
                raise EngineCancelled('stopped')
        if self.error:
            raise self.error
        return OnnxRuntimeEngine(bundle, options)


@pytest.fixture
def slow(monkeypatch):
    built = SlowBuild()
    module = SimpleNamespace(make=built.make)
    monkeypatch.setitem(sys.modules, 'sg_depth_ros.engines.slow', module)
    entry = ENGINES['tensorrt']._replace(module='slow', factory='make')
    monkeypatch.setitem(ENGINES, 'tensorrt', entry)
    yield built
    built.finish.set()


@pytest.fixture
def building(rig, slow, formula_bundle):
    """Gives a node that builds."""

    def start(**parameters):
        made = rig(
            create=create_estimator,
            load=lambda _: formula_bundle,
            engine='tensorrt',
            threads=1,
            **parameters,
        )
        made.listen('/diagnostics', kind=DiagnosticArray)
        made.until(lambda: slow.precisions)
        return made

    return start


def statuses(made):
    name = f'{made.namespace[1:]}/sg_depth: depth'
    arrays = made.received['/diagnostics']
    return [status for array in arrays for status in array.status if status.name == name]


@pytest.fixture
def lines(monkeypatch):
    """What the node logs, with how often it may."""
    found = []
    logger = type(rclpy.logging.get_logger('x'))
    monkeypatch.setattr(logger, 'info', lambda _, line, **options: found.append((line, options)))
    return found


def test_it_tells_how_far_the_build_is_and_then_works(building, slow, lines, frame):
    made = building()
    made.until(lambda: any('25%' in s.message for s in statuses(made)))
    slow.fraction = 0.5
    made.until(lambda: any('50%' in s.message for s in statuses(made)))
    status = statuses(made)[-1]
    assert status.level == status.WARN
    assert 'building the engine, 50% (depth: timing tactics); images are dropped' in status.message
    values = {entry.key: entry.value for entry in status.values}
    assert values['engine build'] == '50% (depth: timing tactics)'
    said = [options for message, options in lines if message.startswith('building the engine: 25')]
    assert said and all(options == {'throttle_duration_sec': 5.0} for options in said)

    made.listen(DEPTH)
    made.connect()
    made.send(make_info(*frame.shape[1::-1]))
    made.send(make_image(frame))
    made.until(lambda: made.totals()['dropped_loading'] == 1)
    slow.finish.set()
    made.until(lambda: made.node._networks.worker.state == 'ready')
    made.send(make_image(frame))
    made.until(lambda: made.received[DEPTH])
    depth = np.frombuffer(made.received[DEPTH][0].data, np.float32).reshape(frame.shape[:2])
    expected = formula(frame)[0]  # for the camera of the training, of the same focal length
    np.testing.assert_allclose(depth, expected, rtol=1e-5)
    made.until(lambda: 'building' not in statuses(made)[-1].message)


@pytest.mark.parametrize(
    'transition', [Transition.TRANSITION_ACTIVE_SHUTDOWN, Transition.TRANSITION_DEACTIVATE]
)
def test_lifecycle_calls_are_answered_while_it_builds_and_end_the_build(
    building, slow, transition
):
    made = building()
    assert made.transition(transition)
    if transition == Transition.TRANSITION_DEACTIVATE:
        assert not slow.cancelled.is_set()  # it goes on, for the next activation
        assert made.transition(Transition.TRANSITION_CLEANUP)
    assert slow.cancelled.wait(TIMEOUT)
    assert made.node._networks.worker is None
    assert not made.node._failure


def test_it_can_be_configured_again_after_a_build_that_was_ended(building, slow):
    made = building()
    assert made.transition(Transition.TRANSITION_DEACTIVATE)
    assert made.transition(Transition.TRANSITION_CLEANUP)
    slow.finish.set()
    assert made.transition(Transition.TRANSITION_CONFIGURE)
    made.until(lambda: made.node._networks.worker.state == 'ready')
    assert made.node._identity['engine'] == 'onnxruntime'


def test_the_end_of_the_node_ends_the_build(building, slow):
    building().node.destroy_node()
    assert slow.cancelled.wait(TIMEOUT)


def test_a_build_that_fails_is_told(building, slow):
    made = building()
    slow.error = EngineError('no memory for the engine')
    slow.finish.set()
    made.until(lambda: any('no memory' in s.message for s in statuses(made)))
    status = statuses(made)[-1]
    assert status.level == status.ERROR
    assert 'tensorrt: no memory for the engine' in status.message


# A node whose engine is built by TensorRT-RTX again and again and cannot be stopped.
UNSTOPPABLE = """
import sys, time
from types import SimpleNamespace
from sg_depth_ros.engines import ENGINES
from sg_depth_ros.engines.tensorrt.builder import build_plan
from sg_depth_ros.engines.tensorrt.flavour import load_flavour
from sg_depth_ros.engines.tensorrt.graph import prepare_graph
from sg_depth_ros.ros import depth_node, node
def wait(phase, fraction):
    time.sleep(0.005)
    return True
def make(bundle, options):
    flavour, graph = load_flavour('tensorrt_rtx'), prepare_graph(bundle.depth_onnx)
    while True:
        options.progress('building for ever', 0.5)
        build_plan(flavour, graph, 'fp32', wait, (8, 9))
sys.modules['sg_depth_ros.engines.unstoppable'] = SimpleNamespace(make=make)
ENGINES['tensorrt'] = ENGINES['tensorrt']._replace(module='unstoppable', factory='make')
node.STOP_TIMEOUT = 0.1
sys.exit(depth_node.main())
"""


def test_a_build_that_cannot_be_stopped_does_not_make_the_end_an_abort(network_bundle):
    pytest.importorskip('onnx', reason='onnx is not installed')
    pytest.importorskip('tensorrt_rtx', reason='TensorRT-RTX is not installed (x86 only)')
    process = start_process(
        [
            *(sys.executable, '-c', UNSTOPPABLE, '--ros-args', '-p', 'engine:=tensorrt'),
            *('-p', f'bundle:={network_bundle.path}'),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, 'ROS_DOMAIN_ID': str(DOMAIN), 'PYTHONUNBUFFERED': '1'},
    )
    timer = threading.Timer(TIMEOUT, process.kill)
    timer.start()
    for line in process.stdout:
        if 'building for ever' in line:
            break
    process.send_signal(signal.SIGINT)
    output = process.communicate()[0]
    timer.cancel()
    assert 'left to itself' in output
    assert process.returncode == 0, output


@pytest.mark.parametrize(
    ('parameters', 'precision'),
    [({}, None), ({'engine_precision': 'fp16'}, 'fp16'), ({'engine_precision': 'int8'}, 'int8')],
)
def test_the_precision_reaches_the_engine(building, slow, parameters, precision):
    building(**parameters)
    assert slow.precisions == [precision]
