# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stretching of images, depth and labels to another size.

Pixels are areas, so corners stay on corners: exactly what ``PinholeCamera.resized`` assumes.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_EDGE = 0.05
"""Relative step of inverse depth, within one source pixel, that is taken for an edge."""


def resize_image(image_hw3: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Stretch an image (H, W, 3) uint8; an image of that size is returned itself.

    Shrinking averages over areas, which keeps fine texture from aliasing.
    """
    rows, columns = image_hw3.shape[:2]
    if (rows, columns) == (height, width):
        return image_hw3
    # cv2 averages only if both sides shrink, and answers with something else if not.
    shrinks = width <= columns and height <= rows
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image_hw3, (width, height), interpolation=method), np.uint8)


def resize_labels(labels_hw: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Stretch a labels image (H, W) uint8 by the nearest pixel."""
    resized = cv2.resize(labels_hw, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(resized, np.uint8)


def resize_depth(depth_hw: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """Stretch a depth image (H, W) float32 without points that fly between surfaces.

    Inverse depth is interpolated linearly, which is exact on planes, as their inverse depth is
    linear in the image. Across an edge (also of NaN, unknown, and +inf, sky) any mixture of near
    and far would be a point in the void: there the nearest pixel is taken.
    """
    with np.errstate(divide='ignore', invalid='ignore'):
        inverse = np.reciprocal(depth_hw)
        linear = cv2.resize(inverse, (width, height), interpolation=cv2.INTER_LINEAR)
        nearest = cv2.resize(inverse, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
        smooth = np.abs(linear - nearest) <= _EDGE * nearest
        np.copyto(linear, nearest, where=~smooth)
        return np.asarray(np.reciprocal(linear, out=linear), np.float32)
