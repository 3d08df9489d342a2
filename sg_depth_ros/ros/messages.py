# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image and cloud messages to arrays and back, without a copy more than needed."""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image, PointCloud2, PointField
from std_msgs.msg import Header

from sg_depth_ros.image_decoding import (
    ImageError,
    UnknownEncodingError,
    decode_compressed,
    decode_image,
)

_DATATYPES = {np.dtype(np.float32): PointField.FLOAT32, np.dtype(np.uint32): PointField.UINT32}


def rgb_from_message(message: Image | CompressedImage) -> NDArray[np.uint8]:
    """Give the pixels of a camera image as (H, W, 3) uint8 RGB, possibly a view of the message.

    Raw encodings that :mod:`sg_depth_ros.image_decoding` does not know are left to cv_bridge,
    where it is installed.

    :raises ImageError: when the image is broken or of an unknown encoding.
    """
    if isinstance(message, CompressedImage):
        return decode_compressed(message.data, message.format)
    try:
        return decode_image(
            message.encoding,
            message.height,
            message.width,
            message.step,
            message.data,
            bool(message.is_bigendian),
        )
    except UnknownEncodingError as unknown:
        return _with_cv_bridge(message, unknown)


def _with_cv_bridge(message: Image, unknown: UnknownEncodingError) -> NDArray[np.uint8]:
    try:
        from cv_bridge import CvBridge, CvBridgeError
    except ImportError:
        raise ImageError(f'{unknown}, or install cv_bridge, which knows more') from unknown
    try:
        rgb: NDArray[np.uint8] = CvBridge().imgmsg_to_cv2(message, 'rgb8')
    except CvBridgeError as error:
        raise ImageError(f'{unknown}; cv_bridge says: {error}') from error
    return rgb


def image_message(header: Header, encoding: str, pixels: NDArray[np.generic]) -> Image:
    """Give an array (H, W) or (H, W, channels) in the machine's byte order as a message."""
    height, width = pixels.shape[:2]
    message = Image(
        header=header,
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=sys.byteorder == 'big',
        step=pixels.nbytes // height,
    )
    _fill(message, pixels)
    return message


def cloud_message(header: Header, points: NDArray[np.void]) -> PointCloud2:
    """Give a structured array of points as a message, organised if it is (h, w).

    A point is invalid if its z is NaN; ``is_dense`` says whether there is none such.
    """
    fields = [
        PointField(name=name, offset=offset, datatype=_DATATYPES[kind], count=1)
        for name, (kind, offset, *_) in (points.dtype.fields or {}).items()
    ]
    height, width = points.shape if points.ndim == 2 else (1, points.size)
    message = PointCloud2(
        header=header,
        height=height,
        width=width,
        fields=fields,
        is_bigendian=False,
        point_step=points.itemsize,
        row_step=points.itemsize * width,
        is_dense=not np.isnan(points['z']).any(),
    )
    _fill(message, points)
    return message


def _fill(message: Image | PointCloud2, values: NDArray[np.generic]) -> None:
    """Copy the bytes of an array into the data of a new message.

    Assigning an array or a list would check each of its bytes in Python.
    """
    message.data.frombytes(np.ascontiguousarray(values).reshape(-1).view(np.uint8))
