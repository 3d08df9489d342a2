# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Start the depth node on a camera, with RViz if wanted."""

import re
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    OpaqueFunction,
    UnsetLaunchConfiguration,
)
from launch.logging import launch_config
from launch_ros.actions import Node
from launch_ros.utilities import make_namespace_absolute, prefix_namespace

from sg_depth_ros.bundle.share import share_directory
from sg_depth_ros.engines import AUTO, ENGINES
from sg_depth_ros.ros.fast_dds import profile_environment
from sg_depth_ros.ros.parameter_file import is_meant, sections

CONFIG = share_directory() / 'config'
COMPRESSED = '/compressed'
# From an optical frame (z forward) to one with x forward and z up.
UPRIGHT = {'qx': '0.5', 'qy': '-0.5', 'qz': '0.5', 'qw': '0.5'}
RESPAWN_SECONDS = 2.0
YES, NO = ('true', 'True'), ('false', 'False')
DEPTH_METRES = 'Max Value: 60'  # in RViz's configuration
LEVELS = ('debug', 'info', 'warn', 'error', 'fatal')

ARGUMENTS = {
    'image': ('image', 'Image topic; one that ends in /compressed is read compressed', None),
    'camera_info': ('', 'Its CameraInfo topic; empty: camera_info beside the image', None),
    'bundle': ('', 'Folder or name of the model bundle; empty: as in params_file', None),
    'engine': ('', 'Run-time of the networks; empty: as in params_file', ('', AUTO, *ENGINES)),
    'cameras': (
        '',
        "Namespaces of cameras that share an engine: '[front, left]'; image is relative then",
        None,
    ),
    'namespace': ('', 'Namespace of the node and its topics', None),
    'params_file': (str(CONFIG / 'node.yaml'), 'YAML file with the other parameters', None),
    'use_sim_time': (
        '',
        'Whether time is that of /clock; empty: as in params_file',
        ('', *YES, *NO),
    ),
    'respawn': ('false', 'Whether to start the node again when it has ended', (*YES, *NO)),
    'log_level': ('info', 'What the node says', LEVELS),
    'rviz': ('false', 'Whether to start RViz; of several cameras it shows the first', (*YES, *NO)),
    'camera_frame': ('camera_optical', 'frame_id of the images, for RViz', None),
}


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; what they mean is known when launch runs."""
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(
                    name, default_value=default, description=description, choices=choices
                )
                for name, (default, description, choices) in ARGUMENTS.items()
            ),
            OpaqueFunction(function=_start),
        ]
    )


def _start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    value = {name: context.launch_configurations[name] for name in ARGUMENTS}
    # All that can be wrong is looked at before anything starts: launch stops what it has started,
    # but not always what those have started.
    if not Path(value['params_file']).is_file():
        raise RuntimeError(
            f'found no file {value["params_file"]}, which params_file names; give the path of a '
            'YAML file, or leave params_file out'
        )
    if value['rviz'] in YES:
        _require('rviz:=true', 'rviz2', 'tf2_ros')
    image = value['image'].removesuffix(COMPRESSED)
    info = value['camera_info'] or '/'.join([*image.split('/')[:-1], 'camera_info'])
    overrides = {name: value[name] for name in ('bundle', 'engine') if value[name]}
    if image != value['image']:
        overrides['image_transport'] = 'compressed'
    time = {'use_sim_time': value['use_sim_time'] in YES} if value['use_sim_time'] else {}
    cameras = value['cameras'].strip('[]').replace(',', ' ').split()
    for name, topic in (('image', image), ('camera_info', info)):
        if cameras and topic.startswith('/'):
            raise RuntimeError(
                f'with several cameras {name} must be relative to their namespaces, found '
                f'{topic}; give for example image:=image_rect'
            )
    names = _absolute(context, value['namespace'], cameras)
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise RuntimeError(
            f'cameras names {", ".join(twice)} more than once; give each camera a namespace of '
            'its own'
        )
    _check_sections(value['params_file'], names or _absolute(context, value['namespace'], ['']))
    # Both ends need it, and nothing else that an including launch file starts.
    environment = profile_environment(context.environment)
    node = Node(
        package='sg_depth_ros',
        executable='depth_node',
        name='sg_depth',
        # A namespace of the process, be it the root's, would be that of all its nodes.
        namespace=None if cameras else value['namespace'] or None,
        parameters=[value['params_file'], {**overrides, **time}],
        remappings=[('image', image), ('camera_info', info)],
        arguments=[*_option(names), '--ros-args', '--log-level', value['log_level']],
        additional_env=environment,
        respawn=value['respawn'] in YES,
        respawn_delay=RESPAWN_SECONDS,
        output='screen',
        emulate_tty=True,
    )
    started: list[LaunchDescriptionEntity] = [node]
    if cameras:
        # What PushRosNamespace has pushed is in the names already.
        started = [GroupAction([UnsetLaunchConfiguration('ros_namespace'), node])]
    if value['rviz'] in YES:
        namespace = names[0] if names else value['namespace']
        rviz = str(_rviz_config(value['params_file']))
        started += _rviz(rviz, value['camera_frame'], namespace, time, environment)
    return started


def _check_sections(params_file: str, namespaces: list[str]) -> None:
    """Refuse a file that has nothing to say to a node, which would start with its defaults."""
    found = sections(params_file)
    for namespace in namespaces:
        node = f'{namespace.rstrip("/")}/sg_depth'
        if not any(is_meant(section, node) for section in found):
            raise RuntimeError(
                f'{params_file} has sections for {", ".join(found) or "no node"}, and none for '
                f'{node}; name the section {node} or /** there, or leave params_file out'
            )


def _require(asked: str, *packages: str) -> None:
    """Look packages up that only some arguments need."""
    missing = []
    for package in packages:
        try:
            get_package_prefix(package)
        except PackageNotFoundError:
            missing.append(package)
    if missing:
        names = ' '.join(f'ros-$ROS_DISTRO-{name.replace("_", "-")}' for name in missing)
        raise RuntimeError(
            f'nothing was started, since {asked} needs {" and ".join(missing)}, not found here: '
            f'sudo apt install {names}, or leave {asked} out'
        )


def _absolute(context: LaunchContext, namespace: str, cameras: list[str]) -> list[str]:
    """Give the whole namespaces of cameras, with what an including launch file has pushed."""
    pushed = context.launch_configurations.get('ros_namespace')
    base = prefix_namespace(pushed, namespace or None)
    return [make_namespace_absolute(prefix_namespace(base, camera)) for camera in cameras]


def _option(cameras: list[str]) -> list[str]:
    return ['--cameras', ','.join(cameras)] if cameras else []


def _rviz_config(params_file: str) -> Path:
    """Give RViz's configuration, whose range of depth is metres, or one for millimetres.

    Its own range of each image would end at the infinity of the sky.
    """
    path = CONFIG / 'sg_depth.rviz'
    if not re.search(r"""^\s*depth_encoding:\s*['"]?16UC1""", Path(params_file).read_text(), re.M):
        return path
    text = path.read_text().replace(DEPTH_METRES, f'{DEPTH_METRES}000')
    written = Path(launch_config.get_log_file_path('sg_depth.rviz'))
    written.write_text(text)
    return written


def _rviz(
    config: str,
    frame: str,
    namespace: str,
    time: dict[str, bool],
    environment: dict[str, str],
) -> list[LaunchDescriptionEntity]:
    """Show everything from behind the camera, upright, whether or not a robot has other frames."""
    upright = f'{frame}_upright'
    rotation = [text for name, number in UPRIGHT.items() for text in (f'--{name}', number)]
    return [
        Node(
            package='tf2_ros',
            executable='static_transform_publisher',
            namespace=namespace or None,
            arguments=[*rotation, '--frame-id', frame, '--child-frame-id', upright],
        ),
        Node(
            package='rviz2',
            executable='rviz2',
            # The topics in the configuration are relative.
            namespace=namespace or None,
            parameters=[time] if time else [],
            additional_env=environment,
            arguments=['-d', config, '-f', upright],
        ),
    ]
