# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node as a process: how it ends, and what other processes see of it."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from children import start_process

pytest.importorskip('rclpy', reason='ROS 2 is not installed')
pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')

import rclpy
from formula import HEIGHT, SEGMENTATION_TEXT, WIDTH
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor

from sg_depth_ros.ros.fast_dds import profile_environment

HERE = Path(__file__).parent
TIMEOUT = 60


@pytest.fixture
def processes():
    """Starts Python programs in a domain of their own; ends those that are left."""
    domain = str(1 + (os.getpid() + 50) % 100)
    environment = {**os.environ, 'ROS_DOMAIN_ID': domain, 'PYTHONUNBUFFERED': '1'}
    environment.update(profile_environment(environment))
    started = []

    def start(*arguments):
        started.append(
            start_process(
                [sys.executable, *map(str, arguments)],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        )
        return started[-1]

    start.domain = domain
    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def start_node(processes, bundle, *arguments):
    """Start the node and wait until it says that it is ready."""
    node = processes(
        *('-m', 'sg_depth_ros.ros.depth_node', '--ros-args', '-p', f'bundle:={bundle}'),
        *('-p', 'engine:=onnxruntime', '-p', 'threads:=1', *arguments),
    )
    lines = []
    timer = threading.Timer(TIMEOUT, node.kill)
    timer.start()
    for line in node.stdout:
        lines.append(line)
        if 'ready after' in line:
            timer.cancel()
            return node
    timer.cancel()
    pytest.fail(f'the node ended or did not get ready in time: {"".join(lines)}')


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_in_order(processes, formula_bundle, number):
    node = start_node(processes, formula_bundle.path)
    node.send_signal(number)
    output, _ = node.communicate(timeout=TIMEOUT)
    assert node.returncode == 0, output
    assert 'Traceback' not in output


# A node that gets the signal of the command line where its last word says, once or again, and
# goes on at once or, as under load, when the signal has taken the context down.
SIGNALLED = """
import os, sys, time
from sg_depth_ros.ros import depth_node
number, place = int(sys.argv.pop(1)), sys.argv.pop(1)
place, _, later = place.partition(' ')
def kill():
    os.kill(os.getpid(), number)
    while later and sys.modules['rclpy'].ok():
        time.sleep(0.01)
def before(owner, name):
    original = getattr(owner, name)
    def replaced(*arguments, **options):
        kill()
        return original(*arguments, **options)
    setattr(owner, name, replaced)
class Finder:
    def find_spec(name, path, target=None):
        if name == 'rclpy':
            kill()
if place == 'import':
    sys.meta_path.insert(0, Finder)
else:
    from sg_depth_ros.ros import node, program
    from sg_depth_ros.ros.worker import InferenceWorker
    owners = {'remove_ros_args': program, 'make_nodes': program, 'declare_parameters': node,
              'on_configure': node.DepthNode, 'on_activate': node.DepthNode}
    again = place == 'again'
    for name in ('on_activate', 'end_work', 'destroy_node') if again else (place,):
        before(owners.get(name, node.DepthNode), name)
sys.exit(depth_node.main())
"""


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    'place',
    [
        *('import', 'remove_ros_args', 'make_nodes', 'declare_parameters'),
        *('on_configure', 'on_activate', 'again'),
        *('make_nodes later', 'declare_parameters later', 'on_configure later'),
    ],
)
def test_a_signal_at_any_moment_ends_it_in_order(processes, formula_bundle, place, number):
    node = processes(
        *('-c', SIGNALLED, int(number), place, '--ros-args', '-p', 'engine:=onnxruntime'),
        *('-p', f'bundle:={formula_bundle.path}'),
    )
    output, _ = node.communicate(timeout=TIMEOUT)
    assert node.returncode == 0, output
    assert 'Traceback' not in output
    assert 'cannot be configured' not in output


def test_without_ros_it_says_what_to_install(processes):
    program = 'import sys; sys.modules["rclpy"] = None; from sg_depth_ros.ros import depth_node; '
    node = processes('-c', program + 'sys.exit(depth_node.main())')
    output, _ = node.communicate(timeout=TIMEOUT)
    assert node.returncode == 1
    assert re.fullmatch(r'depth_node cannot start: .*rclpy.*; source the setup.sh of .*\n', output)


def test_a_bad_parameter_ends_it_with_one_line(processes):
    node = processes('-m', 'sg_depth_ros.ros.depth_node', '--ros-args', '-p', 'engine:=steam')
    output, _ = node.communicate(timeout=TIMEOUT)
    assert node.returncode == 1
    assert 'engine must be one of auto, tensorrt, tensorrt_rtx, openvino, onnxruntime' in output
    assert len(output.strip().splitlines()) == 1


def run_node(processes, *parameters):
    """Run the node until it ends; give what it says."""
    given = [word for parameter in parameters for word in ('-p', parameter)]
    node = processes('-m', 'sg_depth_ros.ros.depth_node', '--ros-args', *given)
    output, _ = node.communicate(timeout=TIMEOUT)
    assert 'the process ends, since this node could not start' in output
    return node.returncode, output


def test_a_bundle_that_is_missing_ends_a_node_that_starts_itself(processes, tmp_path):
    status, output = run_node(processes, f'bundle:={tmp_path / "none"}')
    assert status == 1
    assert 'cannot be configured' in output


def test_networks_that_cannot_be_loaded_end_a_node_that_starts_itself(processes, make_bundle):
    # Found in the thread that loads, when the node is active already.
    bundle = make_bundle(segmentation=SEGMENTATION_TEXT.replace('labels = Cast', 'other = Cast'))
    status, output = run_node(processes, f'bundle:={bundle.path}', 'engine:=onnxruntime')
    assert status == 1
    assert 'the networks cannot be loaded' in output


def test_a_bad_bundle_leaves_a_node_to_its_lifecycle_manager(processes, tmp_path):
    node = processes(
        *('-m', 'sg_depth_ros.ros.depth_node', '--ros-args', '-p', 'autostart:=false'),
        *('-p', f'bundle:={tmp_path / "none"}'),
    )
    context = Context()
    rclpy.init(context=context, domain_id=int(processes.domain))
    peer = rclpy.create_node('manager', context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(peer)
    try:
        client = peer.create_client(ChangeState, '/sg_depth/change_state')
        assert client.wait_for_service(TIMEOUT)
        for _ in range(2):
            request = ChangeState.Request(transition=Transition(label='configure'))
            future = client.call_async(request)
            executor.spin_until_future_complete(future, TIMEOUT)
            assert not future.result().success
        assert node.poll() is None
    finally:
        peer.destroy_node()
        context.shutdown()


def test_the_run_time_does_not_import_torch(processes):
    program = 'import sys, sg_depth_ros.ros.depth_node; sys.exit("torch" in sys.modules)'
    assert processes('-c', program).wait(TIMEOUT) == 0


def test_another_dds_reads_the_depth_of_large_best_effort_images(processes, formula_bundle):
    """2.8 MB images, which Fast DDS loses by default, and CycloneDDS as the subscriber."""
    pytest.importorskip('cyclonedds', reason='cyclonedds is not installed (pip)')
    width, height, color = 1280, 736, (1, 7, 50)
    training = formula_bundle.manifest.depth.training_focal_length
    focal = 2 * training * width / WIDTH
    start_node(
        processes,
        formula_bundle.path,
        *('-r', 'image:=/camera/image_rect', '-r', 'camera_info:=/camera/camera_info'),
    )
    processes(HERE / 'camera.py', width, height, focal, *color)
    reader = processes(HERE / 'cyclone_reader.py', processes.domain, '/depth/image_rect', TIMEOUT)
    output, _ = reader.communicate(timeout=2 * TIMEOUT)
    image = json.loads(output.splitlines()[-1])
    assert (image['stamp'], image['frame_id']) == ([1234, 567], 'eye')
    assert (image['size'], image['step'], image['encoding']) == (
        [WIDTH, HEIGHT],
        WIDTH * 4,
        '32FC1',
    )
    depth = np.frombuffer(bytes.fromhex(image['data']), np.float32)
    # The bundle's formula, twice since the focal length is twice that of the training.
    np.testing.assert_allclose(depth, np.full(WIDTH * HEIGHT, 2 * (1 + 7 + 100 * 1)), rtol=1e-6)


@pytest.mark.parametrize(
    ('arguments', 'reason'),
    [
        (['--cameras', 'a b'], 'namespace must not contain characters'),
        (['--cameras', 'front,left,/front'], '--cameras names /front twice'),
        (
            ['--cameras', 'front,left', '--ros-args', '-r', '__ns:=/robot'],
            '__ns:=/robot would put all cameras into one .* --cameras /robot/front$',
        ),
        (['--ros-args', '--params-file', '/no/such.yaml'], 'params file: .*/no/such.yaml'),
        (
            ['--ros-args', '-p', 'qos_overrides./diagnostics.publisher.reliability:=steam'],
            'reliability.*steam',
        ),
    ],
)
def test_bad_arguments_end_it_with_one_line(processes, arguments, reason):
    node = processes('-m', 'sg_depth_ros.ros.depth_node', *arguments)
    output, _ = node.communicate(timeout=TIMEOUT)
    assert node.returncode == 1
    assert re.search(reason, output)
    assert len(output.strip().splitlines()) == 1
