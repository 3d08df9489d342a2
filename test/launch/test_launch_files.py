# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The files that the launch files hand on."""

import importlib.metadata
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from sg_depth_ros.ros.fast_dds import profile_environment

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


OLD, NEW = 'FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'


@pytest.mark.parametrize(
    ('environment', 'version', 'variables'),
    [
        ({}, '9.1.2', {NEW}),
        ({}, '7.1.5', {OLD}),
        ({}, '3.3.15', {OLD}),
        ({}, None, {OLD, NEW}),
        ({}, 'unknown', {OLD, NEW}),
        # What is installed counts: a container may have wheels beside another distribution.
        ({'ROS_DISTRO': 'kilted'}, '7.1.5', {OLD}),
        ({NEW: 'mine.xml'}, '9.1.2', set()),
        ({OLD: 'mine.xml'}, '9.1.2', set()),
        ({'FASTDDS_BUILTIN_TRANSPORTS': 'LARGE_DATA'}, '9.1.2', set()),
    ],
)
def test_profile_is_set_where_the_user_has_set_none(monkeypatch, environment, version, variables):
    def installed(name):
        assert name == 'rclpy'
        if version is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(importlib.metadata, 'version', installed)
    assert profile_environment(environment) == dict.fromkeys(variables, str(PROFILE))


def test_the_rviz_range_of_depth_is_where_the_launch_file_looks_for_it():
    """It is rewritten there for millimetres."""
    text = (ROOT / 'launch' / 'sg_depth.launch.py').read_text()
    sought = re.search(r"^DEPTH_METRES = '(.*?)'", text, re.MULTILINE).group(1)
    assert (ROOT / 'config' / 'sg_depth.rviz').read_text().count(f'{sought}\n') == 1
