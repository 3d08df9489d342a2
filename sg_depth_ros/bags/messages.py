# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Arrays to messages of ``rosbags``' standard types, and back where decoding needs no ROS."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.bags.transforms import quaternion_from_rotation
from sg_depth_ros.geometry.camera import PinholeCamera

NS = 1_000_000_000
POINT_FIELD_TYPES = {1: 'i1', 2: 'u1', 3: 'i2', 4: 'u2', 5: 'i4', 6: 'u4', 7: 'f4', 8: 'f8'}
"""``sensor_msgs/msg/PointField`` datatype to numpy's name without byte order."""

_OTHER_TYPES = {
    'vision_msgs/msg/VisionClass': 'uint16 class_id\nstring class_name\n',
    'vision_msgs/msg/LabelInfo': (
        'std_msgs/Header header\nvision_msgs/VisionClass[] class_map\nfloat32 threshold\n'
    ),
}
"""Fields of messages that the node may publish and ``rosbags`` does not know."""


@cache
def typestore() -> Any:
    """Give the newest message set of ``rosbags``; what is used here is the same since Humble."""
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.LATEST)
    for name, fields in _OTHER_TYPES.items():
        store.register(get_types_from_msg(fields, name))
    return store


def make(msgtype: str, **fields: Any) -> Any:
    """Build a message of a type such as ``sensor_msgs/msg/Image``; every field must be given."""
    return typestore().types[msgtype](**fields)


def stamp_to_ns(stamp: Any) -> int:
    """Give nanoseconds of a ``builtin_interfaces/msg/Time``."""
    return int(stamp.sec) * NS + int(stamp.nanosec)


def header(stamp_ns: int, frame_id: str) -> Any:
    """Build a ``std_msgs/msg/Header``."""
    stamp = make('builtin_interfaces/msg/Time', sec=stamp_ns // NS, nanosec=stamp_ns % NS)
    return make('std_msgs/msg/Header', stamp=stamp, frame_id=frame_id)


def image_message(image: NDArray[Any], stamp_ns: int, frame_id: str) -> Any:
    """Build an ``Image``: (H, W, 3) uint8 as rgb8; (H, W) as mono8, 16UC1 or 32FC1 by type.

    :raises ValueError: for any other shape or type.
    """
    encodings = {
        (3, 'uint8'): 'rgb8',
        (2, 'uint8'): 'mono8',
        (2, 'uint16'): '16UC1',
        (2, 'float32'): '32FC1',
    }
    encoding = encodings.get((image.ndim, image.dtype.name))
    if encoding is None or (image.ndim == 3 and image.shape[2] != 3):
        raise ValueError(
            f'an image message takes (H, W, 3) uint8 or (H, W) uint8, uint16 or float32, found '
            f'{image.shape} {image.dtype}'
        )
    height, width = image.shape[:2]
    data = np.ascontiguousarray(image)
    return make(
        'sensor_msgs/msg/Image',
        header=header(stamp_ns, frame_id),
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=data.nbytes // height,
        data=data.reshape(-1).view(np.uint8),
    )


def compressed_image_message(
    rgb: NDArray[np.uint8],
    stamp_ns: int,
    frame_id: str,
    image_format: Literal['jpeg', 'png'] = 'jpeg',
    quality: int = 95,
) -> Any:
    """Build a ``CompressedImage`` of an (H, W, 3) uint8 RGB image; ``quality`` is for JPEG."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if image_format == 'jpeg' else []
    data = cv2.imencode(f'.{image_format}', cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)[1]
    return make(
        'sensor_msgs/msg/CompressedImage',
        header=header(stamp_ns, frame_id),
        format=f'rgb8; {image_format} compressed bgr8',
        data=data.reshape(-1),
    )


def camera_info_message(camera: PinholeCamera, stamp_ns: int, frame_id: str) -> Any:
    """Build the ``CameraInfo`` of a rectified camera: no distortion, P = [K | 0]."""
    projection = np.hstack([camera.matrix, np.zeros((3, 1))])
    return make(
        'sensor_msgs/msg/CameraInfo',
        header=header(stamp_ns, frame_id),
        height=camera.height,
        width=camera.width,
        distortion_model='plumb_bob',
        d=np.zeros(5),
        k=camera.matrix.reshape(-1),
        r=np.eye(3).reshape(-1),
        p=projection.reshape(-1),
        binning_x=0,
        binning_y=0,
        roi=make(
            'sensor_msgs/msg/RegionOfInterest',
            x_offset=0,
            y_offset=0,
            height=0,
            width=0,
            do_rectify=False,
        ),
    )


def point_cloud_message(points_n4: NDArray[np.float32], stamp_ns: int, frame_id: str) -> Any:
    """Build an unorganised ``PointCloud2`` of (N, 4) float32: x, y, z in metres and intensity."""
    points = np.ascontiguousarray(points_n4, np.float32).reshape(-1, 4)
    fields = [
        make('sensor_msgs/msg/PointField', name=name, offset=4 * i, datatype=7, count=1)
        for i, name in enumerate(('x', 'y', 'z', 'intensity'))
    ]
    return make(
        'sensor_msgs/msg/PointCloud2',
        header=header(stamp_ns, frame_id),
        height=1,
        width=len(points),
        fields=fields,
        is_bigendian=False,
        point_step=16,
        row_step=16 * len(points),
        data=points.reshape(-1).view(np.uint8),
        is_dense=bool(np.isfinite(points).all()),
    )


def point_cloud_array(message: Any) -> NDArray[np.void]:
    """Give the points of a ``PointCloud2`` as a structured array (height * width,), by field name.

    :raises ValueError: when its fields are no points, its data shorter than the message says, or
        its rows overlap.
    """
    order = '>' if message.is_bigendian else '<'
    names, formats, offsets = [], [], []
    for field in message.fields:
        kind = POINT_FIELD_TYPES.get(field.datatype)
        if kind is None:
            raise ValueError(
                f'the field {field.name!r} of a point cloud has the datatype {field.datatype}, '
                'expected 1 to 8'
            )
        width = np.dtype(kind).itemsize * max(field.count, 1)
        if field.offset + width > message.point_step:
            raise ValueError(
                f'the field {field.name!r} of a point cloud ends at byte {field.offset + width} '
                f'of a point, which has {message.point_step}'
            )
        names.append(field.name)
        # A count of 1 written out would make an array of one value of each field.
        formats.append((f'{field.count}' if field.count > 1 else '') + order + kind)
        offsets.append(field.offset)
    if not names or message.point_step < 1:
        raise ValueError('found a point cloud whose points have no fields')
    layout = np.dtype(
        {
            'names': names,
            'formats': formats,
            'offsets': offsets,
            'itemsize': message.point_step,
        }
    )
    data = np.frombuffer(message.data, np.uint8)
    row = message.width * message.point_step
    # A single row has no next one: what its step says does not matter.
    step = message.row_step if message.height > 1 else row
    if step < row:
        raise ValueError(f'a row of {row} bytes of a point cloud has a row_step of only {step}')
    if data.size < step * message.height:
        raise ValueError(
            f'a point cloud of {message.height} rows of {step} bytes holds only {data.size} bytes'
        )
    rows = data[: step * message.height].reshape(message.height, step)
    packed = np.ascontiguousarray(rows[:, :row])
    return packed.reshape(-1).view(layout)


def static_transform_message(
    parent_from_child_44: NDArray[np.float64], parent: str, child: str, stamp_ns: int
) -> Any:
    """Build a ``TFMessage`` with one transform that takes points of ``child`` into ``parent``."""
    transform = make(
        'geometry_msgs/msg/TransformStamped',
        header=header(stamp_ns, parent),
        child_frame_id=child,
        transform=make(
            'geometry_msgs/msg/Transform',
            translation=_vector(parent_from_child_44[:3, 3]),
            rotation=_quaternion(parent_from_child_44[:3, :3]),
        ),
    )
    return make('tf2_msgs/msg/TFMessage', transforms=[transform])


def odometry_message(
    parent_from_child_44: NDArray[np.float64],
    speed: float,
    stamp_ns: int,
    frame_id: str = 'odom',
    child_frame_id: str = 'base_link',
) -> Any:
    """Build an ``Odometry``: pose of the child in ``frame_id``, speed in m/s along its x."""
    position = parent_from_child_44[:3, 3]
    zero = np.zeros(3)
    return make(
        'nav_msgs/msg/Odometry',
        header=header(stamp_ns, frame_id),
        child_frame_id=child_frame_id,
        pose=make(
            'geometry_msgs/msg/PoseWithCovariance',
            pose=make(
                'geometry_msgs/msg/Pose',
                position=make(
                    'geometry_msgs/msg/Point',
                    x=float(position[0]),
                    y=float(position[1]),
                    z=float(position[2]),
                ),
                orientation=_quaternion(parent_from_child_44[:3, :3]),
            ),
            covariance=np.zeros(36),
        ),
        twist=make(
            'geometry_msgs/msg/TwistWithCovariance',
            twist=make(
                'geometry_msgs/msg/Twist',
                linear=_vector(np.array([speed, 0.0, 0.0])),
                angular=_vector(zero),
            ),
            covariance=np.zeros(36),
        ),
    )


def _vector(xyz: NDArray[np.float64]) -> Any:
    return make('geometry_msgs/msg/Vector3', x=float(xyz[0]), y=float(xyz[1]), z=float(xyz[2]))


def _quaternion(rotation_33: NDArray[np.float64]) -> Any:
    x, y, z, w = (float(value) for value in quaternion_from_rotation(rotation_33))
    return make('geometry_msgs/msg/Quaternion', x=x, y=y, z=z, w=w)
