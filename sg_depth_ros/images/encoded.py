# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""JPEG and PNG to the pixels that they hold: whole, within a bound, or refused.

Here alone OpenCV is given such data, and what it raises becomes an ImageError.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.images.jpeg_end import ends_in_stripes, lengthened
from sg_depth_ros.images.structure import ImageError, Scan, Structure, read_structure

MAX_PIXELS = 64_000_000
"""Of an image: a larger one is refused before memory is taken for it."""


def decode_pixels(
    data: bytes, max_pixels: int = MAX_PIXELS, upright: bool = False
) -> NDArray[Any]:
    """Decode JPEG or PNG as it is stored: (H, W) or (H, W, 3 or 4) in BGR order, 8 or 16 bits.

    :param upright: turn it as EXIF's orientation asks for
    :raises ImageError: when it is no such image, larger than ``max_pixels``, or not whole
    """
    found = read_structure(data)
    if found.width < 1 or found.height < 1:
        raise ImageError(f'found an empty {found.kind} image of {found.width}x{found.height}')
    if found.width * found.height > max_pixels:
        raise ImageError(
            f'the {found.kind} image has {found.width}x{found.height} pixels, more than '
            f'{max_pixels}; make it smaller'
        )
    pixels = _opencv(data, cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.shape[:2] != (found.height, found.width):
        raise ImageError(
            f'the {found.kind} image of {found.width}x{found.height} is damaged, OpenCV cannot '
            'decode it; copy or send it again'
        )
    if found.scan is not None and not found.interval and not _is_whole(data, found, found.scan):
        raise ImageError(
            'the JPEG image has lost a part or is damaged: its data are not as many as its size '
            'asks for; look at the connection to the camera, or copy it again'
        )
    return turn_upright(pixels, found.orientation) if upright else pixels


def _is_whole(data: bytes, found: Structure, scan: Scan) -> bool:
    """Tell by the means of blocks alone, which take a fraction of the time of all pixels."""
    flags = cv2.IMREAD_REDUCED_GRAYSCALE_8 | cv2.IMREAD_IGNORE_ORIENTATION
    return any(
        longer is data or ends_in_stripes(_opencv(longer, flags), found)
        for longer in lengthened(data, found, scan)
    )


def _opencv(data: bytes, flags: int) -> NDArray[Any] | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise ImageError(f'the image cannot be decoded: {error.err}') from error


def turn_upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn and mirror an image (H, W, ...) as EXIF's orientation, 1 to 8, asks for."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return np.ascontiguousarray(pixels[::rows, ::columns])
