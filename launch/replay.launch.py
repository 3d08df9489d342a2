# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Play a bag of a camera through the depth node, with RViz, as soon as the node is ready."""

import sys
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
    Shutdown,
)
from launch.event_handlers import OnProcessExit
from launch.events.process import ProcessExited
from launch.launch_description_sources import PythonLaunchDescriptionSource

from sg_depth_ros.bags import BagReader
from sg_depth_ros.bags.reader import COMPRESSED_IMAGE
from sg_depth_ros.engines import AUTO, ENGINES
from sg_depth_ros.ros.fast_dds import profile_environment

YES, NO = ('true', 'True'), ('false', 'False')
NODE = 'depth_node'
DISCOVERY_SECONDS = '2'
"""Which the player lets pass before the first message, so that its subscribers have found it."""

ARGUMENTS = {
    'bag': ('Folder of the rosbag2', None, None),
    'rate': ('Speed against real time', '1.0', None),
    'loop': ('Whether to begin again at the end', 'false', (*YES, *NO)),
    'image': ("Image topic; empty: the bag's only one", '', None),
    'camera_info': ('Its CameraInfo topic; empty: camera_info beside the image', '', None),
    'rviz': (
        'Whether to start RViz; without it, the end of the bag is the end',
        'true',
        (*YES, *NO),
    ),
    'bundle': ('Folder or name of the model bundle; empty: the default', '', None),
    'engine': ('Run-time of the networks; empty: the default', '', ('', AUTO, *ENGINES)),
}


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; the bag is looked into when launch runs."""
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(
                    name, default_value=default, description=description, choices=choices
                )
                for name, (description, default, choices) in ARGUMENTS.items()
            ),
            OpaqueFunction(function=_start),
        ]
    )


def _start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    value = {name: context.launch_configurations[name] for name in ARGUMENTS}
    try:
        get_package_prefix('ros2bag')
    except PackageNotFoundError:
        raise RuntimeError(
            'nothing was started, since playing a bag needs ros2bag, not found here: sudo apt '
            'install ros-$ROS_DISTRO-ros2bag ros-$ROS_DISTRO-rosbag2-storage-mcap, or play it '
            'without launch by sg_depth replay'
        ) from None
    with BagReader(value['bag']) as bag:
        image = bag.choose_image_topic(value['image'] or None)
        frame = bag.frame_id(image) or 'camera_optical'
        compressed = bag.topics[image].msgtype == COMPRESSED_IMAGE
    remap = []
    if compressed and not image.endswith('/compressed'):
        # The only names by which nodes find compressed images.
        remap, image = ['--remap', f'{image}:={image}/compressed'], f'{image}/compressed'
    node = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(Path(__file__).with_name('sg_depth.launch.py'))),
        launch_arguments={
            **{name: value[name] for name in ('camera_info', 'rviz', 'bundle', 'engine')},
            'image': image,
            'camera_frame': frame,
        }.items(),
    )
    command = ['ros2', 'bag', 'play', value['bag'], '--rate', value['rate']]
    command += [
        '--delay',
        DISCOVERY_SECONDS,
        *(['--loop'] if value['loop'] in YES else []),
        *remap,
    ]
    play = ExecuteProcess(
        cmd=command,
        output='screen',
        additional_env=profile_environment(context.environment),
        on_exit=[] if value['rviz'] in YES else [Shutdown(reason='the bag has ended')],
    )
    wait = ExecuteProcess(
        cmd=[sys.executable, '-m', 'sg_depth_ros.ros.readiness', image],
        output='screen',
        on_exit=lambda event, _: [play] if event.returncode == 0 else [],
    )
    return [RegisterEventHandler(OnProcessExit(on_exit=_end_with_the_node)), node, wait]


def _end_with_the_node(
    event: ProcessExited, context: LaunchContext
) -> list[LaunchDescriptionEntity]:
    if context.is_shutdown or Path(event.cmd[0]).name != NODE:
        return []
    return [Shutdown(reason='the node has ended')]
