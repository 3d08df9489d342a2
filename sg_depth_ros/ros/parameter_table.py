# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The table of the node's parameters: names, defaults, ranges and what they mean."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any, TypeAlias, get_args

from sg_depth_ros.bundle.labels import Role
from sg_depth_ros.engines import AUTO, ENGINES, Precision
from sg_depth_ros.estimator import DEFAULT_BUNDLE
from sg_depth_ros.geometry.camera import MAX_PIXELS
from sg_depth_ros.images import encoded
from sg_depth_ros.scale import MODES

Value: TypeAlias = 'bool | int | float | str'
ROLES: tuple[str, ...] = get_args(Role)


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
        '', f'The same by role, of {", ".join(ROLES)}; the sky never gives points'
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
