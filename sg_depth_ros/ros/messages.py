# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image and cloud messages to arrays and back, without a copy more than needed."""

from __future__ import annotations

import sys
from array import array

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image, PointCloud2, PointField
from std_msgs.msg import Header

from sg_depth_ros.geometry.camera import MAX_PIXELS
from sg_depth_ros.images.decoding import (
    ImageError,
    UnknownEncodingError,
    decode_compressed,
    decode_image,
)

_DATATYPES = {np.dtype(np.float32): PointField.FLOAT32, np.dtype(np.uint32): PointField.UINT32}


def rgb_from_message(
    message: Image | CompressedImage, max_pixels: int = MAX_PIXELS
) -> NDArray[np.uint8]:
    """Give the pixels of a camera image as (H, W, 3) uint8 RGB, possibly a view of the message.

    Raw encodings that :mod:`sg_depth_ros.images.decoding` does not know are left to cv_bridge,
    where it is installed.

    :param max_pixels: a larger image is refused before memory is taken for it
    :raises ImageError: when the image is broken or of an unknown encoding.
    """
    if isinstance(message, CompressedImage):
        return decode_compressed(message.data, message.format, max_pixels)
    if message.height * message.width > max_pixels:
        raise ImageError(
            f'found an image of {message.width}x{message.height}, expected {max_pixels} pixels at '
            'most; correct the driver, or raise max_image_pixels'
        )
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


def image_message(
    header: Header, encoding: str, pixels: NDArray[np.generic], message: Image | None = None
) -> Image:
    """Give an array (H, W) or (H, W, channels) in the machine's byte order as a message.

    :param message: an earlier one to fill again, since fresh memory costs more than the copy.
    """
    message = Image() if message is None else message
    message.header = header
    message.height, message.width = pixels.shape[:2]
    message.encoding = encoding
    message.is_bigendian = sys.byteorder == 'big'
    message.step = pixels.nbytes // pixels.shape[0]
    _fill(message.data, pixels)
    return message


def compressed_message(
    header: Header, kind: str, data: bytes, message: CompressedImage | None = None
) -> CompressedImage:
    """Give compressed data as a message.

    :param kind: the format, as image_transport's plugins write it
    :param message: as for :func:`image_message`.
    """
    message = CompressedImage() if message is None else message
    message.header, message.format = header, kind
    _fill(message.data, np.frombuffer(data, np.uint8))
    return message


def cloud_message(
    header: Header, points: NDArray[np.void], message: PointCloud2 | None = None
) -> PointCloud2:
    """Give a structured array of points as a message, organised if it is (h, w).

    A point is invalid if its z is NaN; ``is_dense`` says whether there is none such.

    :param message: as for :func:`image_message`.
    """
    message = PointCloud2() if message is None else message
    message.header = header
    message.height, message.width = points.shape if points.ndim == 2 else (1, points.size)
    message.fields = [
        PointField(name=name, offset=offset, datatype=_DATATYPES[kind], count=1)
        for name, (kind, offset, *_) in (points.dtype.fields or {}).items()
    ]
    message.is_bigendian = False
    message.point_step = points.itemsize
    message.row_step = points.itemsize * message.width
    message.is_dense = not np.isnan(points['z']).any()
    _fill(message.data, points)
    return message


def _fill(data: array[int], values: NDArray[np.generic]) -> None:
    """Copy the bytes of an array into the data of a message.

    Assigning to the field would copy once more, or check each byte in Python.
    """
    flat = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    if len(data) == flat.size:
        np.copyto(np.frombuffer(data, np.uint8), flat)
    else:
        del data[:]
        data.frombytes(flat.data)
