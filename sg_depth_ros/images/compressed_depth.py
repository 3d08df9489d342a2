# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth images as ``compressed_depth_image_transport`` sends them: a short header and a PNG.

Of floats the PNG holds inverse depth in 16 bits, finer for what is near. Its readers take 0 for
unknown, and anything else for ``a / (value - b)``, with a and b from the header.
"""

from __future__ import annotations

import struct
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_INVERSE_DEPTH = 0
"""The only kind that the transport's header knows; it names it for 16-bit images too."""
_MOST = 65535


def encode_metres(
    depth_hw: NDArray[np.float32], farthest: float, quantization: float, png_level: int
) -> bytes:
    """Compress a 32FC1 depth image (H, W).

    The reader's depth z is too great by less than ``z * z / (q * (q + 1))``, q the quantization.

    :param farthest: what is not nearer becomes unknown, and so does what is too near for 16 bits,
        what is infinite, not positive or NaN
    :param quantization: depth at which the error is about 1
    :param png_level: 0 to 9, where 9 is smallest and slowest
    """
    a = np.float32(quantization) * (np.float32(quantization) + np.float32(1))
    b = np.float32(1) - a / np.float32(farthest)
    known = (depth_hw > 0) & (depth_hw < np.float32(farthest))
    inverse = a / np.where(known, depth_hw, np.float32(farthest)) + b
    # The transport leaves to chance what does not fit into 16 bits.
    inverse[~known | (inverse >= _MOST + 1)] = 0
    return _joined(float(a), float(b), inverse.astype(np.uint16), png_level)


def encode_millimetres(depth_hw: NDArray[np.uint16], farthest: float, png_level: int) -> bytes:
    """Compress a 16UC1 depth image (H, W) without loss up to ``farthest`` metres; 0 beyond."""
    limit = min(int(farthest * 1000), _MOST)
    return _joined(0.0, 0.0, np.where(depth_hw > limit, np.uint16(0), depth_hw), png_level)


def _joined(a: float, b: float, pixels: NDArray[np.uint16], png_level: int) -> bytes:
    # The transport copies its struct as it lies in memory, and so reads it.
    header = struct.pack('=iff', _INVERSE_DEPTH, a, b)
    return header + _encoded('.png', pixels, [cv2.IMWRITE_PNG_COMPRESSION, png_level])


def encode_colors(rgb_hw3: NDArray[np.uint8], kind: str) -> bytes:
    """Compress an RGB image (H, W, 3) as ``png``, exact, or ``jpeg``."""
    return _encoded(f'.{kind}', np.ascontiguousarray(rgb_hw3[..., ::-1]), [])


def _encoded(suffix: str, pixels: NDArray[np.unsignedinteger[Any]], options: list[int]) -> bytes:
    done, data = cv2.imencode(suffix, pixels, options)
    if not done:
        height, width = pixels.shape[:2]
        raise ValueError(f'OpenCV cannot compress an image of {width}x{height} as {suffix}')
    return data.tobytes()
