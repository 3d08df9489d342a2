# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The whole command lines that ROS's launch makes of the launch files, as programs get them."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

# On PyPI another program has the name launch.
pytest.importorskip('launch_ros.actions', reason='launch_ros is not installed')

from installation import RECORDER
from launch import LaunchDescription, LaunchService
from launch.actions import GroupAction, IncludeLaunchDescription, RegisterEventHandler, Shutdown
from launch.event_handlers import OnProcessStart
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import PushRosNamespace, SetParameter

ROOT = Path(__file__).parents[2]
PROFILE = str(ROOT / 'config' / 'fastdds_shm.xml')
VARIABLES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')


@pytest.fixture(autouse=True)
def sourced(installation, monkeypatch, tmp_path_factory):
    """The node's package is installed, as a recorder; no DDS profile is chosen."""
    installation.add('sg_depth_ros', 'depth_node')
    for name, value in installation.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv('ROS_LOG_DIR', str(tmp_path_factory.mktemp('log')))
    for name in (*VARIABLES, 'FASTDDS_BUILTIN_TRANSPORTS'):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run(installation):
    """Runs a launch file until all that it starts has ended; gives what that was."""

    def launch(name, around=lambda include: [include], **arguments):
        service = LaunchService(noninteractive=True)
        source = PythonLaunchDescriptionSource(str(ROOT / 'launch' / name))
        given = {key: str(value) for key, value in arguments.items()}
        include = IncludeLaunchDescription(source, launch_arguments=given.items())
        service.include_launch_description(LaunchDescription(around(include)))
        launch.status = service.run()
        return installation.recorded()

    return launch


def ros_arguments(started):
    """Give the remappings and the parameters of a command line, of which the last win."""
    remappings, parameters = {}, {}
    for option, value in pairwise(started.arguments):
        if option == '-r':
            source, _, target = value.partition(':=')
            assert source not in remappings, started.arguments
            remappings[source] = target
        elif option == '--params-file':
            for section in yaml.safe_load(Path(value).read_text()).values():
                parameters.update(section['ros__parameters'] or {})
    return remappings, parameters


def profiles(started):
    return {name: started.environment.get(name) for name in VARIABLES}


def test_defaults(run):
    (node,) = run('sg_depth.launch.py')
    assert run.status == 0
    remappings, parameters = ros_arguments(node)
    assert remappings == {
        '__node': 'sg_depth',
        'image': 'image',
        'camera_info': 'camera_info',
    }
    file = yaml.safe_load((ROOT / 'config' / 'node.yaml').read_text())
    assert parameters == file['/**']['ros__parameters']
    assert '--cameras' not in node.arguments
    assert node.arguments[node.arguments.index('--log-level') + 1] == 'info'


def test_arguments(run):
    (node,) = run(
        'sg_depth.launch.py',
        image='/front/image_rect/compressed',
        bundle='mine',
        engine='openvino',
        namespace='front',
        use_sim_time='true',
        log_level='warn',
    )
    remappings, parameters = ros_arguments(node)
    assert remappings == {
        '__node': 'sg_depth',
        '__ns': '/front',
        'image': '/front/image_rect',
        'camera_info': '/front/camera_info',
    }
    given = {key: parameters[key] for key in ('bundle', 'engine', 'image_transport')}
    assert given == {'bundle': 'mine', 'engine': 'openvino', 'image_transport': 'compressed'}
    assert parameters['use_sim_time'] is True
    assert node.arguments[node.arguments.index('--log-level') + 1] == 'warn'


def test_the_time_of_a_whole_robot_is_left_alone(run):
    def simulated(include):
        return [GroupAction([SetParameter('use_sim_time', True), include])]

    (node,) = run('sg_depth.launch.py', simulated)
    assert any(argument.startswith('use_sim_time:=') for argument in node.arguments)
    assert 'use_sim_time' not in ros_arguments(node)[1]


def pushed(*namespaces):
    return lambda include: [GroupAction([*map(PushRosNamespace, namespaces), include])]


@pytest.mark.parametrize(
    ('around', 'arguments', 'cameras'),
    [
        (lambda include: [include], {}, '/front,/left'),
        (lambda include: [include], {'namespace': 'robot'}, '/robot/front,/robot/left'),
        (lambda include: [include], {'namespace': '/robot'}, '/robot/front,/robot/left'),
        (pushed('fleet'), {}, '/fleet/front,/fleet/left'),
        (pushed('fleet', 'two'), {'namespace': 'top'}, '/fleet/two/top/front,/fleet/two/top/left'),
        (pushed('fleet'), {'namespace': '/robot'}, '/robot/front,/robot/left'),
    ],
)
def test_nothing_overrides_the_namespaces_of_cameras(run, around, arguments, cameras):
    (node,) = run(
        'sg_depth.launch.py', around, cameras='[front, left]', image='image_rect', **arguments
    )
    assert node.arguments[node.arguments.index('--cameras') + 1] == cameras
    remappings, parameters = ros_arguments(node)
    assert remappings == {
        '__node': 'sg_depth',
        'image': 'image_rect',
        'camera_info': 'camera_info',
    }
    assert parameters['bundle'] == 'sg_depth_small'


def test_a_pushed_namespace_holds_for_one_camera_and_for_what_comes_after(run):
    def twice(include):
        return [GroupAction([PushRosNamespace('fleet'), include, include])]

    first, second = run('sg_depth.launch.py', twice, namespace='robot')
    assert ros_arguments(first)[0]['__ns'] == ros_arguments(second)[0]['__ns'] == '/fleet/robot'


def test_a_group_of_cameras_leaves_the_pushed_namespace_to_others(run):
    other = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(ROOT / 'launch' / 'sg_depth.launch.py')),
        launch_arguments={'cameras': ''}.items(),
    )
    both = run(
        'sg_depth.launch.py',
        lambda include: [GroupAction([PushRosNamespace('fleet'), include, other])],
        cameras='front',
    )
    single, several = sorted(both, key=lambda started: '--cameras' in started.arguments)
    assert several.arguments[1] == '/fleet/front'
    assert ros_arguments(single)[0]['__ns'] == '/fleet'


def refusal(run, caplog, name='sg_depth.launch.py', **arguments):
    """Give what launch says of arguments with which it must start nothing."""
    assert run(name, **arguments) == []
    assert run.status == 1
    return ' '.join(caplog.text.split())


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        ({'cameras': '[a, b]', 'image': '/rect'}, 'image must be relative .* found /rect'),
        ({'cameras': '[a, b]', 'camera_info': '/i'}, 'camera_info must be relative .* found /i'),
        ({'cameras': '[a, b, a]'}, 'cameras names /a more than once'),
        ({'cameras': '[a, /robot/a]', 'namespace': 'robot'}, 'cameras names /robot/a more than'),
        ({'params_file': '/no/such.yaml'}, 'no file /no/such.yaml, which params_file names'),
        ({'engine': 'steam'}, '"steam" is not valid. Valid options are: .*openvino'),
        ({'log_level': 'loud'}, '"loud" is not valid'),
        ({'rviz': 'perhaps'}, '"perhaps" is not valid'),
    ],
)
def test_bad_arguments_start_nothing(run, caplog, arguments, words):
    assert re.search(words, refusal(run, caplog, **arguments))


@pytest.mark.parametrize(
    ('section', 'arguments', 'node'),
    [
        ('sg_depth', {'namespace': 'robot'}, '/robot/sg_depth'),
        ('front/sg_depth', {'cameras': '[front, left]', 'image': 'rect'}, '/left/sg_depth'),
        ('other_node', {}, '/sg_depth'),
    ],
)
def test_a_file_without_a_section_for_the_node_starts_nothing(
    run, caplog, tmp_path, section, arguments, node
):
    file = tmp_path / 'robot.yaml'
    file.write_text(yaml.safe_dump({section: {'ros__parameters': {'scale.mode': 'fixed'}}}))
    said = refusal(run, caplog, params_file=file, **arguments)
    assert f'has sections for /{section}, and none for {node}; name the section' in said
    file.write_text(yaml.safe_dump({'/**/sg_depth': {'ros__parameters': {'threads': 1}}}))
    assert run('sg_depth.launch.py', params_file=file, **arguments)


def test_rviz_that_is_missing_starts_nothing(run, caplog, installation):
    installation.add('tf2_ros', 'static_transform_publisher')
    said = refusal(run, caplog, rviz='true')
    assert 'nothing was started, since rviz:=true needs rviz2, not found here' in said
    assert 'sudo apt install ros-$ROS_DISTRO-rviz2' in said


def add_rviz(installation):
    installation.add('tf2_ros', 'static_transform_publisher')
    installation.add('rviz2', 'rviz2')


def by_name(started):
    return {process.name: process for process in started}


def test_rviz_stands_upright_behind_the_camera(run, installation):
    np = pytest.importorskip('numpy')
    add_rviz(installation)
    arguments = {'rviz': 'true', 'camera_frame': 'eye', 'use_sim_time': 'true'}
    started = by_name(run('sg_depth.launch.py', pushed('robot'), cameras='[front]', **arguments))
    assert set(started) == {'depth_node', 'static_transform_publisher', 'rviz2'}
    value = dict(pairwise(started['static_transform_publisher'].arguments))
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
    rviz = started['rviz2']
    options = dict(pairwise(rviz.arguments))
    assert (options['-d'], options['-f']) == (str(ROOT / 'config/sg_depth.rviz'), 'eye_upright')
    remappings, parameters = ros_arguments(rviz)
    assert remappings == {'__ns': '/robot/front'}
    assert parameters == {'use_sim_time': True}


def test_rviz_shows_millimetres_in_their_range(run, installation, tmp_path):
    add_rviz(installation)
    file = tmp_path / 'mine.yaml'
    file.write_text('/**:\n  ros__parameters:\n    depth_encoding: "16UC1"\n')
    started = by_name(run('sg_depth.launch.py', rviz='true', params_file=file))
    written = dict(pairwise(started['rviz2'].arguments))['-d']
    texts = [Path(written).read_text(), (ROOT / 'config/sg_depth.rviz').read_text()]
    configs = [yaml.safe_load(text)['Visualization Manager']['Displays'] for text in texts]
    ranges = [{d['Name']: d.get('Max Value') for d in displays} for displays in configs]
    assert ranges[0].pop('Depth') == 1000 * ranges[1].pop('Depth') == 60000
    assert ranges[0] == ranges[1]


def test_the_profile_of_dds_is_for_the_node_and_its_viewer_alone(run, installation):
    from sg_depth_ros.ros.fast_dds import profile_environment

    add_rviz(installation)
    started = by_name(run('sg_depth.launch.py', rviz='true'))
    chosen = profile_environment({})
    assert chosen
    expected = dict.fromkeys(VARIABLES) | chosen
    assert profiles(started['depth_node']) == profiles(started['rviz2']) == expected
    assert set(profiles(started['static_transform_publisher']).values()) == {None}


def test_a_profile_of_the_user_stays(run, monkeypatch):
    monkeypatch.setenv('FASTRTPS_DEFAULT_PROFILES_FILE', 'mine.xml')
    (node,) = run('sg_depth.launch.py')
    assert profiles(node) == {VARIABLES[0]: None, VARIABLES[1]: 'mine.xml'}


def test_respawn_starts_the_node_again(run, installation):
    installation.add('sg_depth_ros', 'depth_node', RECORDER + 'sys.exit(1)\n')
    starts = []

    def stop_at_the_second(event, context):
        starts.append(event.pid)
        return [Shutdown()] if len(starts) == 2 else []

    def watched(include):
        return [RegisterEventHandler(OnProcessStart(on_start=stop_at_the_second)), include]

    run('sg_depth.launch.py', watched, respawn='true')
    assert len(starts) == 2


@pytest.fixture
def replayed(run, installation):
    """Runs a replay until its node, its transform and RViz have started; gives them by name."""
    installation.add('ros2bag')
    add_rviz(installation)
    # The end of the node would be that of the others.
    wait = f"""
import glob
end = time.time() + 30
while len(glob.glob({str(installation.root / 'lib')!r} + '/*/*.json')) < 3:
    assert time.time() < end
    time.sleep(0.05)
"""
    installation.add('sg_depth_ros', 'depth_node', RECORDER + wait)
    return lambda **arguments: by_name(run('replay.launch.py', **arguments))


@pytest.fixture
def bag(tmp_path):
    """Writes a bag of one image."""
    np = pytest.importorskip('numpy')
    from sg_depth_ros.bags import BagWriter, image_message

    def write(topic='/front/image_rect', frame_id='eye', encoding='rgb8'):
        with BagWriter(tmp_path / 'bag') as writer:
            image = image_message(np.zeros((2, 2, 3), np.uint8), 5, frame_id)
            image.encoding = encoding
            writer.write(topic, image, 5)
        return tmp_path / 'bag'

    return write


def test_replay_finds_the_topic_and_the_frame_of_the_bag(replayed, bag):
    started = replayed(bag=bag())
    remappings, _ = ros_arguments(started['depth_node'])
    assert remappings['image'] == '/front/image_rect'
    assert remappings['camera_info'] == '/front/camera_info'
    assert '--frame-id eye ' in ' '.join(started['static_transform_publisher'].arguments)


def test_replay_of_images_that_cannot_be_decoded_and_have_no_frame(replayed, bag):
    started = replayed(bag=bag(frame_id='', encoding='bayer_rggb16'))
    transform = ' '.join(started['static_transform_publisher'].arguments)
    assert '--frame-id camera_optical ' in transform


def test_replay_without_a_player_starts_nothing(run, caplog, bag):
    said = refusal(run, caplog, 'replay.launch.py', bag=bag(), rviz='false')
    assert 'nothing was started, since playing a bag needs ros2bag, not found here' in said


def test_replay_without_rviz_starts_nothing(run, caplog, installation, bag):
    installation.add('ros2bag')
    assert 'rviz:=true needs rviz2 and tf2_ros' in refusal(
        run, caplog, 'replay.launch.py', bag=bag()
    )


def test_a_node_that_ends_is_the_end_of_a_replay(run, installation, bag):
    """Although the program that waits for it would wait for ever; nothing is played."""
    installation.add('ros2bag')
    installation.write(installation.bin / 'ros2', RECORDER)
    assert [p.name for p in run('replay.launch.py', bag=bag(), rviz='false')] == ['depth_node']
