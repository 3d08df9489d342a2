# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Play a bag of a camera through the depth node, with RViz."""

import os
from pathlib import Path

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    SetEnvironmentVariable,
    Shutdown,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource

from sg_depth_ros.bags import BagReader
from sg_depth_ros.ros.fast_dds import profile_environment

ARGUMENTS = {
    'bag': ('Folder of the rosbag2', None),
    'rate': ('Speed against real time', '1.0'),
    'loop': ('Whether to begin again at the end', 'false'),
    'image': ("Image topic; empty: the bag's only one", ''),
    'camera_info': ('Its CameraInfo topic; empty: camera_info beside the image', ''),
    'rviz': ('Whether to start RViz; without it, the end of the bag is the end', 'true'),
    'bundle': ('Folder or name of the model bundle; empty: the default', ''),
    'engine': ('Run-time of the networks; empty: the default', ''),
}


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; the bag is looked into when launch runs."""
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, (description, default) in ARGUMENTS.items()
            ),
            OpaqueFunction(function=_start),
        ]
    )


def _start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    value = {name: context.launch_configurations[name] for name in ARGUMENTS}
    with BagReader(value['bag']) as bag:
        image = bag.choose_image_topic(value['image'] or None)
        frame = bag.frame_id(image) or 'camera_optical'
    node = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(Path(__file__).with_name('sg_depth.launch.py'))),
        launch_arguments={
            **{name: value[name] for name in ('camera_info', 'rviz', 'bundle', 'engine')},
            'image': image,
            'camera_frame': frame,
        }.items(),
    )
    play = ['ros2', 'bag', 'play', value['bag'], '--rate', value['rate']]
    # Time for the networks to load, so that the first frames are not lost.
    play += ['--delay', '3'] + (['--loop'] if value['loop'].lower() in ('true', '1') else [])
    rviz = value['rviz'].lower() in ('true', '1')
    profile = profile_environment(os.environ)
    return [
        *(SetEnvironmentVariable(*variable) for variable in profile.items()),
        node,
        ExecuteProcess(
            cmd=play,
            output='screen',
            on_exit=[] if rviz else [Shutdown(reason='the bag has ended')],
        ),
    ]
