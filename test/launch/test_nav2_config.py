# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""config/nav2_costmap.yaml against the parameters that Nav2 declares.

The lists were read in the sources, at the commits that are named; Humble, Jazzy and Kilted declare
all of these with the same types. Nav2 ignores a name that it does not declare, and ends at a value
of another type: a number without a point is no double.
"""

from pathlib import Path

import pytest
import yaml

from sg_depth_ros.bundle.labels import CITYSCAPES

ROOT = Path(__file__).parents[2]
FILE = ROOT / 'config' / 'nav2_costmap.yaml'
CONFIG = yaml.safe_load(FILE.read_text())
COSTMAP = CONFIG['local_costmap']['local_costmap']['ros__parameters']
STRINGS = 'list of str'

# ros-navigation/navigation2 a3a97043e, nav2_lifecycle_manager/src/lifecycle_manager.cpp
MANAGER = {
    'autostart': bool,
    'node_names': STRINGS,
    'bond_timeout': float,
    'service_timeout': float,
    'bond_respawn_max_duration': float,
    'attempt_respawn_reconnection': bool,
    'bond_heartbeat_period': float,
}
# The same, nav2_costmap_2d/src/costmap_2d_ros.cpp
COSTMAP_ROS = {
    'always_send_full_costmap': bool,
    'footprint_padding': float,
    'footprint': str,
    'global_frame': str,
    'height': int,
    'width': int,
    'origin_x': float,
    'origin_y': float,
    'plugins': STRINGS,
    'filters': STRINGS,
    'publish_frequency': float,
    'resolution': float,
    'robot_base_frame': str,
    'robot_radius': float,
    'rolling_window': bool,
    'track_unknown_space': bool,
    'transform_tolerance': float,
    'update_frequency': float,
}
# The same, nav2_costmap_2d/plugins/obstacle_layer.cpp: of the layer and of a source
OBSTACLE_LAYER = {
    'plugin': str,
    'enabled': bool,
    'footprint_clearing_enabled': bool,
    'min_obstacle_height': float,
    'max_obstacle_height': float,
    'combination_method': int,
    'observation_sources': str,
}
OBSTACLE_SOURCE = {
    'topic': str,
    'sensor_frame': str,
    'observation_persistence': float,
    'expected_update_rate': float,
    'data_type': str,
    'min_obstacle_height': float,
    'max_obstacle_height': float,
    'inf_is_valid': bool,
    'marking': bool,
    'clearing': bool,
    'obstacle_max_range': float,
    'obstacle_min_range': float,
    'raytrace_max_range': float,
    'raytrace_min_range': float,
}
# The same, nav2_costmap_2d/plugins/denoise_layer.cpp and inflation_layer.cpp
DENOISE_LAYER = {
    'plugin': str,
    'enabled': bool,
    'minimal_group_size': int,
    'group_connectivity_type': int,
}
INFLATION_LAYER = {
    'plugin': str,
    'enabled': bool,
    'inflation_radius': float,
    'cost_scaling_factor': float,
    'inflate_unknown': bool,
    'inflate_around_unknown': bool,
}
# kiwicampus/semantic_segmentation_layer a70cf6e, src/semantic_segmentation_layer.cpp: of the
# layer, of a source, and of a type of classes
SEMANTIC_LAYER = {
    'plugin': str,
    'enabled': bool,
    'combination_method': int,
    'observation_sources': str,
    'publish_debug_topics': bool,
    'use_approximate_time_sync': bool,
}
SEMANTIC_SOURCE = {
    'segmentation_topic': str,
    'confidence_topic': str,
    'labels_topic': str,
    'pointcloud_topic': str,
    'observation_persistence': float,
    'expected_update_rate': float,
    'class_types': STRINGS,
    'max_obstacle_distance': float,
    'min_obstacle_distance': float,
    'tile_map_decay_time': float,
    'visualize_tile_map': bool,
    'use_cost_selection': bool,
}
SEMANTIC_TYPE = {
    'classes': STRINGS,
    'base_cost': int,
    'max_cost': int,
    'mark_confidence': int,
    'samples_to_max_cost': int,
    'dominant_priority': bool,
}


def kind(value):
    if isinstance(value, list):
        return STRINGS if {type(entry) for entry in value} == {str} else 'another list'
    return type(value)


def check(found, declared, nested=()):
    for name, value in found.items():
        if name not in nested:
            assert name in declared, name
            assert kind(value) == declared[name], (name, value)


def test_the_manager_and_the_costmap_have_parameters_of_nav2():
    check(CONFIG['lifecycle_manager_depth']['ros__parameters'], MANAGER)
    layers = {'obstacle_layer', 'denoise_layer', 'inflation_layer', 'semantic_layer'}
    check(COSTMAP, COSTMAP_ROS, layers)
    assert set(COSTMAP['plugins']) == layers - {'semantic_layer'}
    check(COSTMAP['denoise_layer'], DENOISE_LAYER)
    check(COSTMAP['inflation_layer'], INFLATION_LAYER)


def test_the_obstacle_layer_marks_obstacles_and_clears_by_the_ground():
    layer = COSTMAP['obstacle_layer']
    sources = layer['observation_sources'].split()
    check(layer, OBSTACLE_LAYER, sources)
    for name in sources:
        check(layer[name], OBSTACLE_SOURCE)
        assert layer[name]['data_type'] == 'PointCloud2'
        # The default of a source is 0: nothing that is higher would count.
        assert layer[name]['max_obstacle_height'] == layer['max_obstacle_height']
    roles = {layer[s]['topic']: (layer[s]['marking'], layer[s]['clearing']) for s in sources}
    assert roles == {'/obstacles/points': (True, False), '/ground/points': (False, True)}


def test_the_semantic_layer_knows_every_label_once():
    layer = COSTMAP['semantic_layer']
    check(layer, SEMANTIC_LAYER, ['camera'])
    source = layer['camera']
    check(source, SEMANTIC_SOURCE, source['class_types'])
    for name in source['class_types']:
        check(source[name], SEMANTIC_TYPE)
    classes = [label for name in source['class_types'] for label in source[name]['classes']]
    assert sorted(classes) == sorted(label.name for label in CITYSCAPES)


def test_topics_and_parameters_are_those_of_the_node():
    pytest.importorskip('rclpy', reason='ROS 2 is not installed')
    from sensor_msgs.msg import Image, PointCloud2

    from sg_depth_ros.ros.outputs import ALL_TOPICS
    from sg_depth_ros.ros.parameter_table import FIELDS
    from sg_depth_ros.ros.semantic_outputs import LABEL_INFO

    layer, source = COSTMAP['obstacle_layer'], COSTMAP['semantic_layer']['camera']
    clouds = [layer[name]['topic'] for name in layer['observation_sources'].split()]
    for topic in (*clouds, source['pointcloud_topic']):
        assert ALL_TOPICS[topic.strip('/')] is PointCloud2
    assert ALL_TOPICS[source['segmentation_topic'].strip('/')] is Image
    assert source['labels_topic'] == f'/{LABEL_INFO}'
    for name, value in CONFIG['**/sg_depth']['ros__parameters'].items():
        assert type(value) is type(FIELDS[name].default), name


@pytest.mark.parametrize('namespace', ['/', '/robot', '/fleet/robot/front'])
def test_the_parameters_of_the_node_hold_in_every_namespace(namespace):
    rclpy = pytest.importorskip('rclpy', reason='ROS 2 is not installed')
    from rclpy.context import Context

    context = Context()
    rclpy.init(args=['test', '--ros-args', '--params-file', str(FILE)], context=context)
    node = rclpy.create_node(
        'sg_depth',
        context=context,
        namespace=namespace,
        automatically_declare_parameters_from_overrides=True,
    )
    expected = CONFIG['**/sg_depth']['ros__parameters']
    found = {name: node.get_parameter_or(name).value for name in expected}
    node.destroy_node()
    context.shutdown()
    assert found == expected


def test_the_costmap_is_measured_by_what_the_file_says():
    """docs/nav2.md gives figures for this file; the measurement must be of it."""
    from sg_depth_ros.evaluation.costmap import LayerRule

    rule, layer = LayerRule(), COSTMAP['obstacle_layer']
    assert rule.resolution == COSTMAP['resolution']
    assert rule.obstacle_max_range == layer['obstacles']['obstacle_max_range']
    assert rule.raytrace_max_range == layer['ground']['raytrace_max_range']
    assert rule.minimal_group_size == COSTMAP['denoise_layer']['minimal_group_size']
    band = rule.min_obstacle_height, rule.max_obstacle_height
    assert band == (layer['min_obstacle_height'], layer['max_obstacle_height'])
    assert band == tuple(layer['obstacles'][f'{end}_obstacle_height'] for end in ('min', 'max'))
