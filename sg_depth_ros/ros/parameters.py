# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a node does with the table of its parameters: declares, checks and reads them."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from dataclasses import Field

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from sg_depth_ros.bundle.labels import Label
from sg_depth_ros.ros.parameter_table import FIELDS, ROLES, DepthParameters, Value
from sg_depth_ros.scale import ScaleSettings


def declare_parameters(node: Node) -> None:
    """Declare the table on a node and refuse bad values from then on.

    Given parameters of other names are no error, since nodes may share a file, but warned about.

    :raises rclpy.exceptions.ParameterException: when a value that the user has given is bad.
    """
    node.add_on_set_parameters_callback(lambda changed: _check(node, changed))
    for name, field in FIELDS.items():
        node.declare_parameter(name, field.default, _descriptor(name, field))
    for name in node._parameter_overrides:  # rclpy has no other way to what was given
        # Those of QoS are declared with each topic; rclpy has declared its own.
        if name.startswith('qos_overrides.') or node.has_parameter(name):
            continue
        near = difflib.get_close_matches(name, FIELDS, 1)
        node.get_logger().warning(
            f'this node has no parameter {name}, its value is ignored; '
            + (f'did you mean {near[0]}?' if near else 'config/node.yaml has all that there are')
        )


def read_parameters(node: Node) -> DepthParameters:
    """Give the values that hold now; cheap enough for every frame."""
    return DepthParameters(
        **{field.name: node.get_parameter(name).value for name, field in FIELDS.items()}
    )


def names_in(text: str) -> list[str]:
    """Give the names in a list that is separated by commas."""
    return [name.strip() for name in text.split(',') if name.strip()]


def check_labels(text: str, labels: Collection[Label]) -> str:
    """Give what is wrong with names in ``points_exclude_labels``; empty if nothing is."""
    known = [label.name for label in labels]
    unknown = [name for name in names_in(text) if name not in known]
    if not unknown:
        return ''
    return (
        f'points_exclude_labels names {", ".join(unknown)}, but the labels of the bundle are '
        f'{", ".join(known)}'
    )


def scale_settings(parameters: DepthParameters, height: float | None) -> ScaleSettings:
    """Give the settings of the scale.

    :param height: of the camera over the road by tf, if known; a parameter goes before it.
    """
    return ScaleSettings(
        mode=parameters.scale_mode,
        factor=parameters.scale_factor,
        camera_height=parameters.scale_camera_height or height,
        window=parameters.scale_window,
        gate=parameters.scale_gate,
        max_rate=parameters.scale_max_rate,
    )


def _descriptor(name: str, field: Field[Value]) -> ParameterDescriptor:
    choices, limits = field.metadata['choices'], field.metadata['range']
    descriptor = ParameterDescriptor(
        name=name,
        description=field.metadata['description'],
        read_only=field.metadata['read_only'],
        additional_constraints=f'One of: {", ".join(choices)}' if choices else '',
    )
    if isinstance(field.default, float):
        descriptor.floating_point_range = [
            FloatingPointRange(from_value=limits[0], to_value=limits[1])
        ]
    elif limits:
        descriptor.integer_range = [IntegerRange(from_value=limits[0], to_value=limits[1], step=1)]
    return descriptor


def _check(node: Node, changed: list[Parameter]) -> SetParametersResult:
    """Accept or refuse new values; parameters that are not in the table are others' business."""
    new = {parameter.name: parameter.value for parameter in changed}
    for name, value in new.items():
        if name not in FIELDS:
            continue
        choices, limits = (FIELDS[name].metadata[key] for key in ('choices', 'range'))
        if choices and value not in choices:
            return _refusal(f"{name} must be one of {', '.join(choices)}, found '{value}'")
        if limits and not limits[0] <= value <= limits[1]:
            return _refusal(f'{name} must be within {limits[0]} to {limits[1]}, found {value}')
    unknown = set(names_in(new.get('points_exclude_roles', ''))) - set(ROLES)
    if unknown:
        return _refusal(
            f'points_exclude_roles may name {", ".join(ROLES)}, found {", ".join(sorted(unknown))}'
        )
    low, high = (
        new.get(name, node.get_parameter_or(name).value) for name in ('min_range', 'max_range')
    )
    # While the table is being declared one of them has no value yet.
    if low is not None and high is not None and not low < high:
        return _refusal(
            f'min_range must be less than max_range, found {low} and {high}; set both at once'
        )
    return SetParametersResult(successful=True)


def _refusal(reason: str) -> SetParametersResult:
    return SetParametersResult(successful=False, reason=reason)
