# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Camera images as ROS 2 sends them, raw or compressed, to RGB arrays; needs no ROS.

Encodings are those of ``sensor_msgs/image_encodings``. 16-bit gray is brought to 8 bits by
dropping the low byte, as ``cv_bridge`` does: a constant scale, so that brightness does not flicker
from frame to frame as it would with each frame's own minimum and maximum. A sensor with fewer
bits that does not shift them up (10 or 12 bits in a 16-bit word) therefore comes out dark.
"""

from __future__ import annotations

from array import array
from typing import Any, NamedTuple, TypeAlias, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.images.encoded import MAX_PIXELS, decode_pixels
from sg_depth_ros.images.structure import ImageError as ImageError

Bytes: TypeAlias = 'bytes | bytearray | memoryview | array[int] | NDArray[np.uint8]'
"""What can hold the data of a message; rclpy gives ``array``."""


class UnknownEncodingError(ImageError):
    """An encoding that this module does not know."""


class _Encoding(NamedTuple):
    """How the pixels of an encoding lie in memory, and OpenCV's code that makes them RGB."""

    channels: int
    dtype: type[np.uint8] | type[np.uint16]
    code: int | None
    even: bool = False
    """Chroma is shared by two pixels, so that the width must be even."""
    rows_per_two: int = 2
    """Rows in memory for each two rows of the image: 3 where a half-height plane follows."""


_GRAY = _Encoding(1, np.uint8, cv2.COLOR_GRAY2RGB)
_GRAY_16 = _Encoding(1, np.uint16, cv2.COLOR_GRAY2RGB)
_UYVY = _Encoding(2, np.uint8, cv2.COLOR_YUV2RGB_UYVY, even=True)
_YUYV = _Encoding(2, np.uint8, cv2.COLOR_YUV2RGB_YUY2, even=True)
# OpenCV names a Bayer pattern by its second row and column, ROS by its first: hence BG for rggb.
_ENCODINGS = {
    'rgb8': _Encoding(3, np.uint8, None),
    'bgr8': _Encoding(3, np.uint8, cv2.COLOR_BGR2RGB),
    'rgba8': _Encoding(4, np.uint8, cv2.COLOR_RGBA2RGB),
    'bgra8': _Encoding(4, np.uint8, cv2.COLOR_BGRA2RGB),
    'mono8': _GRAY,
    '8UC1': _GRAY,
    'mono16': _GRAY_16,
    '16UC1': _GRAY_16,
    'bayer_rggb8': _Encoding(1, np.uint8, cv2.COLOR_BayerBG2RGB),
    'bayer_bggr8': _Encoding(1, np.uint8, cv2.COLOR_BayerRG2RGB),
    'bayer_gbrg8': _Encoding(1, np.uint8, cv2.COLOR_BayerGR2RGB),
    'bayer_grbg8': _Encoding(1, np.uint8, cv2.COLOR_BayerGB2RGB),
    'yuv422': _UYVY,
    'uyvy': _UYVY,
    'yuv422_yuy2': _YUYV,
    'yuyv': _YUYV,
    'nv12': _Encoding(1, np.uint8, cv2.COLOR_YUV2RGB_NV12, even=True, rows_per_two=3),
    'nv21': _Encoding(1, np.uint8, cv2.COLOR_YUV2RGB_NV21, even=True, rows_per_two=3),
}
ENCODINGS = tuple(_ENCODINGS)
"""The raw encodings that :func:`decode_image` knows."""


def decode_image(
    encoding: str,
    height: int,
    width: int,
    step: int,
    data: Bytes,
    is_bigendian: bool = False,
) -> NDArray[np.uint8]:
    """Decode the fields of a ``sensor_msgs/Image``.

    :param step: bytes from one row to the next; for nv12 and nv21 those of the luma plane.
    :param data: any buffer of bytes; the padding of the last row may be missing.
    :return: (H, W, 3) uint8 RGB; rgb8 comes back as a view of ``data``, copied nowhere.
    :raises UnknownEncodingError: for an encoding that is not in ``ENCODINGS``.
    :raises ImageError: when size, step and data do not belong together.
    """
    layout = _ENCODINGS.get(encoding)
    if layout is None:
        raise UnknownEncodingError(
            f"the image encoding '{encoding}' is not known; publish one of {', '.join(ENCODINGS)}"
        )
    pixels = _view(encoding, layout, height, width, step, data, is_bigendian)
    return _convert(_to_8_bits(pixels), layout.code)


def _view(
    encoding: str,
    layout: _Encoding,
    height: int,
    width: int,
    step: int,
    data: Bytes,
    is_bigendian: bool,
) -> NDArray[np.uint8]:
    """View the bytes as rows of pixels after checking that they are all there."""
    dtype = np.dtype(layout.dtype).newbyteorder('>' if is_bigendian else '<')
    row_bytes = width * layout.channels * dtype.itemsize
    what = f'{encoding} image of {width}x{height}'
    if width < 1 or height < 1:
        raise ImageError(f'found an empty {what}; the camera driver must fill width and height')
    if layout.even and (width % 2 or (layout.rows_per_two == 3 and height % 2)):
        raise ImageError(f'found the {what}; this encoding needs even sizes')
    if step < row_bytes:
        raise ImageError(f'the {what} needs a step of at least {row_bytes} bytes, found {step}')
    rows = height * layout.rows_per_two // 2
    buffer = np.frombuffer(data, np.uint8)
    needed = step * (rows - 1) + row_bytes
    if buffer.size < needed:
        raise ImageError(
            f'the {what} with step {step} needs {needed} bytes, found {buffer.size}; '
            'the message is truncated'
        )
    pixels: NDArray[np.uint8] = np.ndarray(
        (rows, width, layout.channels),
        dtype,
        buffer,
        strides=(step, layout.channels * dtype.itemsize, dtype.itemsize),
    )
    return pixels if layout.channels > 1 else pixels[..., 0]


def decode_compressed(
    data: Bytes, format: str = '', max_pixels: int = MAX_PIXELS
) -> NDArray[np.uint8]:
    """Decode the fields of a ``sensor_msgs/CompressedImage`` that holds JPEG or PNG.

    :param format: as ``compressed_image_transport`` writes it, such as ``jpeg`` or
        ``bayer_rggb8; png compressed bgr8``: the part before the semicolon names the camera's
        encoding, the part after it the order of the channels that were compressed.
    :param max_pixels: a larger image is refused before memory is taken for it
    :return: (H, W, 3) uint8 RGB; 16-bit PNG as in :func:`decode_image`. The rotation that EXIF
        asks for is not applied: the intrinsics belong to the pixels as they are stored.
    :raises ImageError: when the data are not whole, too large, or neither JPEG nor PNG.
    """
    if 'compressedDepth' in format:
        raise ImageError(f"found a depth image ('{format}'); subscribe to the camera's colours")
    pixels = decode_pixels(np.frombuffer(data, np.uint8).tobytes(), max_pixels)
    return _to_rgb(_to_8_bits(pixels), *(format.partition(';')[::2]))


def decode_picture(data: bytes, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Decode a file of JPEG or PNG, upright as EXIF says: (H, W, 3) uint8 RGB; raises ImageError.

    Unlike messages, whose camera_info belongs to the pixels as the sensor has them, photographs
    are shown upright by every viewer, and their intrinsics are those of the upright picture.
    """
    return _to_rgb(_to_8_bits(decode_pixels(data, max_pixels, upright=True)), '', '')


def _to_8_bits(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Drop the low byte of 16-bit values of either byte order; raises ImageError for floats."""
    if pixels.dtype.kind != 'u':
        raise ImageError(f'found pixels of type {pixels.dtype}, expected 8 or 16 bits')
    return pixels if pixels.dtype.itemsize == 1 else (pixels >> 8).astype(np.uint8)


def _convert(pixels: NDArray[np.uint8], code: int | None) -> NDArray[np.uint8]:
    """Convert with one of OpenCV's colour codes, if there is one to apply."""
    return pixels if code is None else cast(NDArray[np.uint8], cv2.cvtColor(pixels, code))


def _to_rgb(pixels: NDArray[np.uint8], encoding: str, compression: str) -> NDArray[np.uint8]:
    """Bring what OpenCV has read, (H, W) or (H, W, 3 or 4) in its BGR order, to RGB."""
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if channels == 1:
        # Bayer patterns are compressed as they come from the sensor.
        pattern = _ENCODINGS.get(encoding.strip().replace('16', '8'), _GRAY)
        code = pattern.code if encoding.startswith('bayer') else _GRAY.code
    elif 'compressed rgb' in compression:
        # The encoder was given RGB as if it were BGR, so that the order read is RGB already.
        code = None if channels == 3 else cv2.COLOR_RGBA2RGB
    else:
        code = cv2.COLOR_BGR2RGB if channels == 3 else cv2.COLOR_BGRA2RGB
    return _convert(pixels, code)
