# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Start the depth node on a camera, with RViz if wanted."""

import os

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch_ros.actions import Node

from sg_depth_ros.bundle.share import share_directory
from sg_depth_ros.ros.fast_dds import profile_environment

CONFIG = share_directory() / 'config'
COMPRESSED = '/compressed'
# From an optical frame (z forward) to one with x forward and z up.
UPRIGHT = {'qx': '0.5', 'qy': '-0.5', 'qz': '0.5', 'qw': '0.5'}

ARGUMENTS = {
    'image': ('image', 'Image topic; one that ends in /compressed is read compressed'),
    'camera_info': ('', 'Its CameraInfo topic; empty: camera_info beside the image'),
    'bundle': ('', 'Folder or name of the model bundle; empty: as in params_file'),
    'engine': ('', 'Run-time of the networks, such as openvino; empty: as in params_file'),
    'cameras': (
        '',
        "Namespaces of cameras that share an engine: '[front, left]'; image is relative then",
    ),
    'namespace': ('', 'Namespace of the node and its topics'),
    'params_file': (str(CONFIG / 'node.yaml'), 'YAML file with the other parameters'),
    'log_level': ('info', 'debug, info, warn, error or fatal'),
    'rviz': ('false', 'Whether to start RViz; of several cameras it shows the first'),
    'camera_frame': ('camera_optical', 'frame_id of the images, for RViz'),
}


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; what they mean is known when launch runs."""
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, (default, description) in ARGUMENTS.items()
            ),
            OpaqueFunction(function=_start),
        ]
    )


def _start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    value = {name: context.launch_configurations[name] for name in ARGUMENTS}
    image = value['image'].removesuffix(COMPRESSED)
    sibling = '/'.join([*image.split('/')[:-1], 'camera_info'])
    overrides = {name: value[name] for name in ('bundle', 'engine') if value[name]}
    if image != value['image']:
        overrides['image_transport'] = 'compressed'
    cameras = value['cameras'].strip('[]').replace(',', ' ').split()
    if cameras and image.startswith('/'):
        raise RuntimeError(
            f'with several cameras image must be relative to their namespaces, found {image}; '
            'give for example image:=image_rect'
        )
    # A namespace for the process would be that of all its nodes.
    names = [f'{value["namespace"]}/{camera}'.strip('/') for camera in cameras]
    node = Node(
        package='sg_depth_ros',
        executable='depth_node',
        name='sg_depth',
        namespace='' if cameras else value['namespace'],
        parameters=[value['params_file'], overrides],
        remappings=[('image', image), ('camera_info', value['camera_info'] or sibling)],
        arguments=[*_option(names), '--ros-args', '--log-level', value['log_level']],
        output='screen',
        emulate_tty=True,
    )
    profile = profile_environment(os.environ)
    environment = [SetEnvironmentVariable(*variable) for variable in profile.items()]
    namespace = names[0] if names else value['namespace']
    shown = value['rviz'].lower() in ('true', '1')
    rviz = _rviz(value['camera_frame'], namespace) if shown else []
    return [*environment, node, *rviz]


def _option(cameras: list[str]) -> list[str]:
    return ['--cameras', ','.join(cameras)] if cameras else []


def _rviz(frame: str, namespace: str) -> list[LaunchDescriptionEntity]:
    """Show everything from behind the camera, upright, whether or not a robot has other frames."""
    upright = f'{frame}_upright'
    rotation = [text for name, number in UPRIGHT.items() for text in (f'--{name}', number)]
    return [
        Node(
            package='tf2_ros',
            executable='static_transform_publisher',
            namespace=namespace,
            arguments=[*rotation, '--frame-id', frame, '--child-frame-id', upright],
        ),
        Node(
            package='rviz2',
            executable='rviz2',
            # The topics in the configuration are relative.
            namespace=namespace,
            arguments=['-d', str(CONFIG / 'sg_depth.rviz'), '-f', upright],
        ),
    ]
