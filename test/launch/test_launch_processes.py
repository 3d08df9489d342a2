# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``ros2 launch`` with the real node: images go in, depth comes out where it should."""

import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')
pytest.importorskip('ros2launch', reason='ros2launch is not installed')
pytest.importorskip('launch_ros.actions', reason='launch_ros is not installed')
pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')

import cv2
import numpy as np
import rclpy
from formula import HEIGHT, WIDTH
from installation import NODE, RECORDER
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from sg_depth_ros.bags import BagWriter, image_message
from sg_depth_ros.ros.messages import image_message as fill

PROGRAM = 'import sys; from ros2cli.cli import main; sys.exit(main())'
TIMEOUT = 90
DOMAIN = 1 + (os.getpid() + 25) % 100
PUSHED = """
from launch import LaunchDescription
from launch.actions import GroupAction, IncludeLaunchDescription
from launch_ros.actions import PushRosNamespace
from launch.launch_description_sources import AnyLaunchDescriptionSource

def generate_launch_description():
    return LaunchDescription([GroupAction([
        PushRosNamespace('robot'),
        IncludeLaunchDescription(
            AnyLaunchDescriptionSource({file!r}), launch_arguments={arguments!r}.items()
        ),
    ])])
"""


@pytest.fixture
def ros2_launch(installation, tmp_path):
    """Starts ``ros2 launch`` and ends what is left of it."""
    installation.add('sg_depth_ros', 'depth_node', NODE)
    environment = {
        **os.environ,
        **installation.environment(),
        'ROS_DOMAIN_ID': str(DOMAIN),
        'ROS_LOG_DIR': str(tmp_path / 'log'),
        'PYTHONUNBUFFERED': '1',
    }
    started = []

    def start(*arguments):
        log = (tmp_path / f'launch_{len(started)}.log').open('w+')
        process = subprocess.Popen(
            [sys.executable, '-c', PROGRAM, 'launch', '--noninteractive', *map(str, arguments)],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        started.append((process, log))

        def said():
            log.flush()
            return (tmp_path / f'launch_{len(started) - 1}.log').read_text()

        return SimpleNamespace(process=process, said=said)

    yield start
    for process, log in started:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        log.close()


@pytest.fixture
def peer():
    """A node of this process, in the domain of those that are launched."""
    context = Context()
    rclpy.init(context=context, domain_id=DOMAIN)
    node = rclpy.create_node('peer', context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    yield SimpleNamespace(node=node, spin=lambda: executor.spin_once(timeout_sec=0.1))
    node.destroy_node()
    context.shutdown()


def colored(red, green):
    return np.full((HEIGHT, WIDTH, 3), (red, green, 50), np.uint8)


def information():
    info = CameraInfo(width=WIDTH, height=HEIGHT)
    info.header.frame_id = 'eye'
    focal, x, y = 40.0, WIDTH / 2, HEIGHT / 2
    info.k = [focal, 0.0, x, 0.0, focal, y, 0.0, 0.0, 1.0]
    return info


def message_of(array, compressed):
    if compressed:
        _, data = cv2.imencode('.png', array[..., ::-1])
        message = CompressedImage(format='png', data=data.tobytes())
    else:
        message = Image()
        fill(message.header, 'rgb8', array, message)
    message.header.frame_id = 'eye'
    message.header.stamp.sec = 7
    return message


def flow(peer, cameras, launched, compressed=False):
    """Publish images of the cameras until each has its depth back; give the depth by camera.

    :param cameras: image topic, red and green by the namespace that gets the depth
    """
    kind = CompressedImage if compressed else Image
    depths, publishers = {}, []
    for namespace, (topic, red, green) in cameras.items():
        peer.node.create_subscription(
            Image,
            f'{namespace}/depth/image_rect',
            lambda m, n=namespace: depths.setdefault(n, m),
            5,
        )
        info = peer.node.create_publisher(
            CameraInfo, topic.removesuffix('/compressed').rpartition('/')[0] + '/camera_info', 5
        )
        message = message_of(colored(red, green), compressed)
        publishers.append((info, peer.node.create_publisher(kind, topic, 5), message))
    end = time.monotonic() + TIMEOUT
    while set(depths) != set(cameras):
        assert time.monotonic() < end, launched.said()
        assert launched.process.poll() is None, launched.said()
        for info, images, message in publishers:
            info.publish(information())
            images.publish(message)
        peer.spin()
    return {name: np.frombuffer(m.data, np.float32) for name, m in depths.items()}


def ratio(depth, red, green):
    """Give depth over the formula's, which is the same factor of the focal length everywhere."""
    ratios = np.unique((depth / (1 + green + 100 * red)).round(4))
    assert len(ratios) == 1
    return ratios[0]


@pytest.mark.parametrize(
    ('image', 'topic'),
    [
        ('camera/image_rect', '/robot/camera/image_rect'),
        ('/camera/image_raw/compressed', '/camera/image_raw/compressed'),
    ],
)
def test_one_camera(ros2_launch, peer, formula_bundle, image, topic):
    launched = ros2_launch(
        'sg_depth_ros',
        'sg_depth.launch.py',
        'namespace:=robot',
        f'image:={image}',
        f'bundle:={formula_bundle.path}',
        'engine:=onnxruntime',
    )
    compressed = topic.endswith('/compressed')
    depths = flow(peer, {'/robot': (topic, 7, 3)}, launched, compressed)
    training = formula_bundle.manifest.depth.training_focal_length
    assert ratio(depths['/robot'], 7, 3) == pytest.approx(40 / training, abs=1e-3)
    assert ('sg_depth', '/robot') in peer.node.get_node_names_and_namespaces()


def test_cameras_in_a_pushed_namespace_are_apart(ros2_launch, peer, formula_bundle, tmp_path):
    file = tmp_path / 'pushed.launch.py'
    arguments = {
        'cameras': '[front, left]',
        'image': 'camera/image_rect',
        'bundle': str(formula_bundle.path),
        'engine': 'onnxruntime',
    }
    inner = str(tmp_path / 'installed/share/sg_depth_ros/launch/sg_depth.launch.py')
    file.write_text(PUSHED.format(file=inner, arguments=arguments))
    launched = ros2_launch(file)
    cameras = {
        f'/robot/{name}': (f'/robot/{name}/camera/image_rect', red, green)
        for name, red, green in (('front', 7, 3), ('left', 20, 9))
    }
    depths = flow(peer, cameras, launched)
    ratios = {ratio(depths[name], *cameras[name][1:]) for name in cameras}
    assert len(ratios) == 1, 'each camera has its own image, and all one bundle'
    nodes = [item for item in peer.node.get_node_names_and_namespaces() if item[0] == 'sg_depth']
    assert sorted(nodes) == [('sg_depth', '/robot/front'), ('sg_depth', '/robot/left')]


@pytest.fixture
def bag(tmp_path, installation):
    """A bag of one image, and a recorder as its player."""
    installation.add('ros2bag')
    installation.write(installation.bin / 'ros2', RECORDER)
    with BagWriter(tmp_path / 'bag') as writer:
        image = image_message(colored(7, 3), 5, 'eye')
        writer.write('/front/image_rect', image, 5)
    return tmp_path / 'bag'


def test_a_replay_plays_when_the_node_is_ready(ros2_launch, installation, bag, formula_bundle):
    launched = ros2_launch(
        'sg_depth_ros',
        'replay.launch.py',
        f'bag:={bag}',
        'rate:=0.5',
        'rviz:=false',
        f'bundle:={formula_bundle.path}',
        'engine:=onnxruntime',
    )
    launched.process.wait(TIMEOUT)
    said = launched.said()
    (player,) = installation.recorded()
    assert player.arguments[:3] == ['bag', 'play', str(bag)]
    assert player.arguments[player.arguments.index('--rate') + 1] == '0.5'
    assert -1 < said.find('ready after') < said.find('[ros2-'), said
    assert launched.process.returncode == 0, said


def test_a_replay_of_a_bad_bundle_ends_and_plays_nothing(ros2_launch, installation, bag, tmp_path):
    launched = ros2_launch(
        'sg_depth_ros',
        'replay.launch.py',
        f'bag:={bag}',
        'rviz:=false',
        f'bundle:={tmp_path / "none"}',
    )
    launched.process.wait(TIMEOUT)
    said = launched.said()
    assert 'cannot be configured' in said
    assert 'exit code 1' in said
    assert installation.recorded() == []
