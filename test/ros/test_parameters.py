# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

import rclpy
import yaml
from rclpy.exceptions import ParameterException
from rclpy.parameter import Parameter

from sg_depth_ros.ros.parameter_table import FIELDS, DepthParameters
from sg_depth_ros.ros.parameters import read_parameters

NODE_YAML = Path(__file__).parents[2] / 'config' / 'node.yaml'


def test_defaults_are_those_of_the_table(rig):
    assert read_parameters(rig(start=False).node) == DepthParameters()


def test_configuration_file_lists_every_parameter_with_its_default():
    values = yaml.safe_load(NODE_YAML.read_text())['/**']['ros__parameters']
    assert values == {name: field.default for name, field in FIELDS.items()}
    assert list(values) == list(FIELDS)


def test_descriptors(rig):
    node = rig(start=False).node
    for name, field in FIELDS.items():
        descriptor = node.describe_parameter(name)
        assert len(descriptor.description) > 20
        assert descriptor.read_only == field.metadata['read_only']
    assert node.describe_parameter('engine').read_only
    assert 'onnxruntime' in node.describe_parameter('engine').additional_constraints
    (limits,) = node.describe_parameter('points_stride').integer_range
    assert (limits.from_value, limits.to_value) == (1, 64)
    (limits,) = node.describe_parameter('latency_budget_ms').floating_point_range
    assert limits.from_value == 1.0


@pytest.mark.parametrize(
    ('name', 'value', 'reason'),
    [
        ('depth_encoding', '64FC1', "depth_encoding must be one of 32FC1, 16UC1, found '64FC1'"),
        ('output_size', 'huge', 'one of network, image'),
        ('points_stride', 0, 'points_stride'),
        ('latency_budget_ms', 0.0, 'latency_budget_ms'),
        ('min_range', 2000.0, 'min_range'),
        ('max_range', 0.0, 'less than max_range, found 0.0 and 0.0'),
        ('scale.mode', 'guess', 'one of none, fixed, camera_height, odometry'),
        ('points_exclude_roles', 'road, rod', 'found rod'),
        ('bundle', 'other', 'read-only'),
    ],
)
def test_a_bad_value_is_refused_with_the_reason(rig, name, value, reason):
    node = rig(start=False).node
    (result,) = node.set_parameters([Parameter(name, value=value)])
    assert not result.successful
    assert reason in result.reason
    assert read_parameters(node) == DepthParameters()


def test_both_limits_may_move_at_once(rig):
    node = rig(start=False).node
    result = node.set_parameters_atomically(
        [Parameter('min_range', value=150.0), Parameter('max_range', value=200.0)]
    )
    assert result.successful, result.reason
    assert read_parameters(node).min_range == 150.0


def test_limits_above_the_default_are_accepted_at_start(rig):
    node = rig(start=False, min_range=150.0, max_range=200.0).node
    assert read_parameters(node).max_range == 200.0


def test_a_bad_value_at_start_is_refused(rig):
    with pytest.raises(ParameterException, match='image_transport must be one of raw, compressed'):
        rig(start=False, image_transport='theora')


@pytest.mark.parametrize(
    ('topic', 'entity'),
    [('depth/points', 'publisher'), ('image', 'subscription'), ('camera_info', 'subscription')],
)
def test_qos_can_be_overridden(rig, topic, entity):
    made = rig()
    made.listen('depth/points')
    made.connect()
    name = f'qos_overrides.{made.namespace}/{topic}.{entity}.reliability'
    expected = 'reliable' if entity == 'publisher' else 'best_effort'
    assert made.node.get_parameter(name).value == expected


def test_reliable_images_on_request(rig):
    made = rig(image_reliability='reliable')
    made.listen('depth/points')
    made.connect()
    (info,) = made.node.get_subscriptions_info_by_topic(made.node._camera.topic)
    assert info.qos_profile.reliability.name == 'RELIABLE'


def test_a_parameter_that_the_node_does_not_have_is_named(rig, monkeypatch):
    lines = []
    logger = type(rclpy.logging.get_logger('x'))
    monkeypatch.setattr(logger, 'warning', lambda _, line, **options: lines.append(line))
    known = {'use_sim_time': False, 'start_type_description_service': True, 'scale.gate': 0.3}
    known['qos_overrides./depth/points.publisher.reliability'] = 'reliable'
    rig(start=False, scale_mode='fixed', output_siz='image', wheel_radius=0.2, **known)
    assert lines == [
        'this node has no parameter scale_mode, its value is ignored; did you mean scale.mode?',
        'this node has no parameter output_siz, its value is ignored; did you mean output_size?',
        'this node has no parameter wheel_radius, its value is ignored; config/node.yaml has all '
        'that there are',
    ]
