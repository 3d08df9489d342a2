# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node's parameters: one table that declares, checks, reads and documents them."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, TypeAlias, get_args

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from sg_depth_ros.bundle.labels import Label, Role
from sg_depth_ros.engines import AUTO, ENGINES, Precision
from sg_depth_ros.estimator import DEFAULT_BUNDLE
from sg_depth_ros.geometry.camera import MAX_PIXELS
from sg_depth_ros.images import encoded
from sg_depth_ros.scale import MODES, ScaleSettings

Value: TypeAlias = 'bool | int | float | str'
_ROLES: tuple[str, ...] = get_args(Role)


def _option(
    default: Value,
    description: str,
    *,
    choices: tuple[str, ...] = (),
    low: float | None = None,
    high: float | None = None,
    read_only: bool = False,
    name: str = '',
) -> Any:
    """Make the field of one parameter; numbers need ``low`` and ``high``.

    :param name: in ROS, where it is another than the field's
    """
    metadata = {
        'name': name,
        'description': description,
        'choices': choices,
        'range': None if low is None else (low, high),
        'read_only': read_only,
    }
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class DepthParameters:
    """Values of all parameters at one moment; names are those that ROS users see."""

    bundle: str = _option(
        DEFAULT_BUNDLE, 'Model bundle: its folder or the name of an installed one', read_only=True
    )
    engine: str = _option(
        AUTO,
        'Run-time of the networks; auto takes the fastest that is installed and works',
        choices=(AUTO, *ENGINES),
        read_only=True,
    )
    engine_precision: str = _option(
        'bundle',
        'Precision of a TensorRT engine; bundle is that of the bundle, which all others run as it '
        'is',
        choices=('bundle', *get_args(Precision)),
        read_only=True,
    )
    threads: int = _option(
        0, 'CPU threads of the networks; 0 is all cores', low=0, high=256, read_only=True
    )
    autostart: bool = _option(
        True, 'Configure and activate at start, without a lifecycle manager', read_only=True
    )
    image_transport: str = _option(
        'raw',
        'Subscribe to image (raw) or to image/compressed (compressed)',
        choices=('raw', 'compressed'),
        read_only=True,
    )
    image_reliability: str = _option(
        'best_effort',
        'Reliability of the image subscription; best_effort receives from every publisher',
        choices=('best_effort', 'reliable'),
        read_only=True,
    )
    depth_encoding: str = _option(
        '32FC1',
        'Depth image in metres (32FC1) or millimetres (16UC1, 0 is invalid)',
        choices=('32FC1', '16UC1'),
    )
    output_size: str = _option(
        'network',
        'Size of depth, labels and cloud: that of the network or that of the camera image',
        choices=('network', 'image'),
    )
    points_organized: bool = _option(
        True, 'Keep the rows and columns of the image in the cloud, with NaN where no point is'
    )
    points_stride: int = _option(
        1, 'Make points of every n-th row and column of the depth image', low=1, high=64
    )
    points_exclude_labels: str = _option(
        '', 'Names of labels that give no points, separated by commas, such as: person, rider'
    )
    points_exclude_roles: str = _option(
        '', f'The same by role, of {", ".join(_ROLES)}; the sky never gives points'
    )
    points_edge_ratio: float = _option(
        0.0,
        'Leave out points between a nearer and a farther surface, if each is off by this share '
        '(0.05 is a good value); 0 keeps them',
        low=0.0,
        high=1.0,
    )
    points_voxel_size: float = _option(
        0.0,
        'Keep one point in each cube of a grid with this edge; 0 keeps all',
        low=0.0,
        high=10.0,
    )
    ground_tolerance: float = _option(
        0.2,
        'Height over the plane of the road from which on a point is an obstacle, in the unit of '
        'depth',
        low=0.0,
        high=10.0,
    )
    ground_label_tolerance: float = _option(
        0.5,
        'The same for points whose label has the role ground, where it is more: depth of far road '
        'is off, and roads bend',
        low=0.0,
        high=10.0,
    )
    min_range: float = _option(
        0.0, 'Depth below this is too near and becomes -Inf; no points', low=0.0, high=1000.0
    )
    max_range: float = _option(
        1e6, 'Depth above this is too far and becomes +Inf; no points', low=0.0, high=1e6
    )
    # Named as image_transport's plugins name them, with the plugins' limits and defaults; but PNG,
    # since JPEG would smear the labels' colours.
    compressed_depth_max: float = _option(
        10.0,
        'Depth from here on is unknown in depth/image_rect/compressedDepth, in the unit of depth',
        low=1.0,
        high=100.0,
        name='depth.image_rect.compressedDepth.depth_max',
    )
    compressed_depth_quantization: float = _option(
        100.0,
        'Depth at which that of compressedDepth is off by up to 1, in the unit of depth',
        low=1.0,
        high=150.0,
        name='depth.image_rect.compressedDepth.depth_quantization',
    )
    compressed_depth_png_level: int = _option(
        3,
        'Effort of compressedDepth, from 0 to 9: more is smaller and slower',
        low=0,
        high=9,
        name='depth.image_rect.compressedDepth.png_level',
    )
    compressed_colors_format: str = _option(
        'png',
        'Compression of semantic/color/compressed; jpeg smears the colours',
        choices=('png', 'jpeg'),
        name='semantic.color.compressed.format',
    )
    scale_mode: str = _option(
        'none', 'How depth gets its unit, metres; see the README', choices=MODES
    )
    scale_factor: float = _option(
        1.0, 'Metres per unit of the network, in the mode fixed', low=1e-4, high=1e4
    )
    scale_camera_height: float = _option(
        0.0,
        'Metres from the road up to the camera, in the mode camera_height; 0 asks /tf_static for '
        'the height over scale.base_frame',
        low=0.0,
        high=100.0,
    )
    scale_base_frame: str = _option(
        'base_footprint', 'Frame on the road under the robot, z up, for the height of the camera'
    )
    scale_before_first: str = _option(
        'nothing',
        'What goes out before the scale is known: nothing but labels, or relative depth with a '
        'warning',
        choices=('nothing', 'relative'),
    )
    scale_window: float = _option(
        5.0, 'Seconds of measurements that make the scale', low=0.5, high=600.0
    )
    scale_gate: float = _option(
        0.2, 'Share by which a measurement may differ to be believed at once', low=0.01, high=5.0
    )
    scale_max_rate: float = _option(
        0.1, 'Largest change of the scale per second, as a share of it', low=0.001, high=10.0
    )
    camera_info_timeout: float = _option(
        2.0,
        'Seconds that the first images wait for camera_info before depth goes out without it',
        low=0.0,
        high=60.0,
    )
    max_image_pixels: int = _option(
        encoded.MAX_PIXELS,
        'Pixels that an image may have; a larger one is refused before memory is taken for it',
        low=1,
        high=MAX_PIXELS,
    )
    stall_timeout: float = _option(
        3.0,
        'Seconds without images, or with images but without depth, until diagnostics say so',
        low=0.5,
        high=600.0,
    )
    latency_budget_ms: float = _option(
        150.0,
        'Latency from reception to publication whose 95th percentile diagnostics warn about',
        low=1.0,
        high=60000.0,
    )


def _ros_name(field: dataclasses.Field[Value]) -> str:
    """Give the parameter's name in ROS: those of the scale are a group."""
    if field.metadata['name']:
        return str(field.metadata['name'])
    return re.sub('^scale_', 'scale.', field.name)


FIELDS = {_ros_name(field): field for field in dataclasses.fields(DepthParameters)}


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


def _descriptor(name: str, field: dataclasses.Field[Value]) -> ParameterDescriptor:
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
    unknown = set(names_in(new.get('points_exclude_roles', ''))) - set(_ROLES)
    if unknown:
        return _refusal(
            f'points_exclude_roles may name {", ".join(_ROLES)}, '
            f'found {", ".join(sorted(unknown))}'
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
