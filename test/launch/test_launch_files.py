# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the launch files start, with ROS's launch; and the files that they hand on."""

from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROFILE = ROOT / 'config' / 'fastdds_shm.xml'


def test_rviz_shows_the_topics_of_the_node():
    pytest.importorskip('rclpy', reason='ROS 2 is not installed')
    from sg_depth_ros.ros.outputs import ALL_TOPICS

    manager = yaml.safe_load((ROOT / 'config' / 'sg_depth.rviz').read_text())[
        'Visualization Manager'
    ]
    shown = {
        display['Topic']['Value']: display['Class'].split('/')[1]
        for display in manager['Displays']
        if 'Topic' in display
    }
    assert shown == {
        'depth/points': 'PointCloud2',
        'ground/points': 'PointCloud2',
        'obstacles/points': 'PointCloud2',
        'ground/plane': 'Pose',
        'depth/image_rect': 'Image',
        'semantic/color': 'Image',
    }
    kinds = {topic: ALL_TOPICS[topic].__name__.removesuffix('Stamped') for topic in shown}
    assert kinds == shown
    assert any(display['Class'].endswith('/TF') for display in manager['Displays'])


def test_profile_has_a_large_segment_and_both_transports():
    root = ElementTree.parse(PROFILE).getroot()
    texts = {}
    for element in root.iter():
        texts.setdefault(element.tag.split('}')[-1], []).append((element.text or '').strip())
    assert texts['segment_size'] == [str(64 * 2**20)]
    assert texts['type'] == ['SHM', 'UDPv4']
    assert texts['transport_id'][:2] == texts['transport_id'][2:]
    assert texts['name'] == ['fastdds.type_propagation']
    assert texts['value'] == ['disabled']


@pytest.mark.parametrize(
    ('environment', 'variable'),
    [
        ({}, 'FASTDDS_DEFAULT_PROFILES_FILE'),
        ({'ROS_DISTRO': 'kilted'}, 'FASTDDS_DEFAULT_PROFILES_FILE'),
        ({'ROS_DISTRO': 'humble'}, 'FASTRTPS_DEFAULT_PROFILES_FILE'),
        ({'FASTDDS_DEFAULT_PROFILES_FILE': 'mine.xml'}, None),
        ({'FASTRTPS_DEFAULT_PROFILES_FILE': 'mine.xml'}, None),
        ({'FASTDDS_BUILTIN_TRANSPORTS': 'LARGE_DATA'}, None),
    ],
)
def test_profile_is_set_where_the_user_has_set_none(environment, variable):
    from sg_depth_ros.ros.fast_dds import profile_environment

    assert profile_environment(environment) == ({variable: str(PROFILE)} if variable else {})


@pytest.fixture
def start(monkeypatch):
    """Gives the actions of a launch file, without running them."""
    # On PyPI another program has the name launch.
    pytest.importorskip('launch_ros.actions', reason='launch_ros is not installed')
    for name in ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'):
        monkeypatch.delenv(name, raising=False)
    from launch import LaunchContext
    from launch.launch_description_sources import (
        get_launch_description_from_python_launch_file as read,
    )

    def run(name, **arguments):
        context = LaunchContext()
        context.launch_configurations.update({k: str(v) for k, v in arguments.items()})
        for entity in read(str(ROOT / 'launch' / name)).entities:
            found = entity.visit(context)
        return context, found

    return run


def text(context, substitutions):
    from launch.utilities import normalize_to_list_of_substitutions as normalize
    from launch.utilities import perform_substitutions

    return perform_substitutions(context, normalize(substitutions))


def describe(context, node):
    """Give package/executable, namespace, remappings and parameters of a Node action."""
    from launch_ros.utilities import evaluate_parameters

    name = f'{text(context, node.node_package)}/{text(context, node.node_executable)}'
    remappings = {text(context, a): text(context, b) for a, b in node._Node__remappings}
    parameters = evaluate_parameters(context, node._Node__parameters)
    return name, text(context, node._Node__node_namespace), remappings, parameters


def test_node_with_defaults(start):
    context, (environment, node) = start('sg_depth.launch.py')
    assert text(context, environment.name) == 'FASTDDS_DEFAULT_PROFILES_FILE'
    assert text(context, environment.value) == str(PROFILE)
    name, namespace, remappings, (params_file, *overrides) = describe(context, node)
    assert (name, namespace) == ('sg_depth_ros/depth_node', '')
    assert remappings == {'image': 'image', 'camera_info': 'camera_info'}
    assert Path(params_file) == ROOT / 'config' / 'node.yaml'
    assert not any(overrides)


def test_node_with_arguments(start):
    context, (_, node) = start(
        'sg_depth.launch.py',
        image='/front/image_rect/compressed',
        bundle='mine',
        engine='openvino',
        namespace='front',
    )
    _, namespace, remappings, (_, overrides) = describe(context, node)
    assert namespace == 'front'
    assert remappings == {'image': '/front/image_rect', 'camera_info': '/front/camera_info'}
    assert overrides == {
        'bundle': 'mine',
        'engine': 'openvino',
        'image_transport': 'compressed',
    }


def test_several_cameras_are_one_process(start):
    context, (_, node) = start(
        'sg_depth.launch.py', cameras='[front, left]', namespace='robot', image='image_rect'
    )
    _, namespace, remappings, _ = describe(context, node)
    assert namespace == ''
    assert remappings == {'image': 'image_rect', 'camera_info': 'camera_info'}
    command = [text(context, part) for part in node.cmd[1:3]]
    assert command == ['--cameras', 'robot/front,robot/left']


def test_several_cameras_cannot_have_one_image(start):
    with pytest.raises(RuntimeError, match='image must be relative'):
        start('sg_depth.launch.py', cameras='[front, left]', image='/image_rect')


def test_rviz_stands_upright_behind_the_camera(start):
    np = pytest.importorskip('numpy')
    context, (_, _, transform, rviz) = start('sg_depth.launch.py', rviz='true', camera_frame='eye')
    assert describe(context, rviz)[0] == 'rviz2/rviz2'
    # After the executable, which is looked up, come twelve arguments and what ROS adds.
    arguments = [text(context, part) for part in transform.cmd[1:13]]
    value = dict(pairwise(arguments))
    assert (value['--frame-id'], value['--child-frame-id']) == ('eye', 'eye_upright')
    x, y, z, w = (float(value[f'--q{axis}']) for axis in 'xyzw')
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    np.testing.assert_allclose(rotation @ [1, 0, 0], [0, 0, 1])  # forward
    np.testing.assert_allclose(rotation @ [0, 0, 1], [0, -1, 0])  # up


def test_replay_finds_the_topic_and_the_frame_of_the_bag(start, tmp_path):
    np = pytest.importorskip('numpy')
    from sg_depth_ros.bags import BagWriter, image_message

    with BagWriter(tmp_path / 'bag') as bag:
        image = image_message(np.zeros((2, 2, 3), np.uint8), 5, 'eye')
        bag.write('/front/image_rect', image, 5)
    context, (_, node, play) = start('replay.launch.py', bag=tmp_path / 'bag', rate='0.5')
    arguments = dict(node.launch_arguments)
    assert (arguments['image'], arguments['camera_frame']) == ('/front/image_rect', 'eye')
    command = [text(context, part) for part in play.cmd]
    assert command[:4] == ['ros2', 'bag', 'play', str(tmp_path / 'bag')]
    assert command[command.index('--rate') + 1] == '0.5'


def test_replay_of_images_that_cannot_be_decoded_and_have_no_frame(start, tmp_path):
    np = pytest.importorskip('numpy')
    from sg_depth_ros.bags import BagWriter, image_message

    with BagWriter(tmp_path / 'bag') as bag:
        image = image_message(np.zeros((2, 2, 3), np.uint8), 5, '')
        image.encoding = 'bayer_rggb16'
        bag.write('/front/image_raw', image, 5)
    _, (_, node, _) = start('replay.launch.py', bag=tmp_path / 'bag', rate='1.0')
    assert dict(node.launch_arguments)['camera_frame'] == 'camera_optical'
