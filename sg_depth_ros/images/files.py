# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image files: pictures, depth in KITTI's convention, labels."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.files import atomic_path

PNG_STEPS_PER_METRE = np.float32(256)
"""16-bit PNG holds depth * 256, and 0 for none, as KITTI's does."""
SUFFIXES = ('.jpg', '.jpeg', '.png')


class ImageFileError(ValueError):
    """A file that is missing or not what it should be; the message says what to do."""


def list_images(folder: Path) -> dict[str, Path]:
    """Give the images of a folder by stem, sorted; raises ImageFileError if there are none."""
    files = sorted(path for path in folder.glob('*') if path.suffix.lower() in SUFFIXES)
    if not files:
        raise ImageFileError(f'{folder} holds no images; expected .jpg or .png files there')
    return {path.stem: path for path in files}


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """Read an image as (H, W, 3) uint8 RGB; raises ImageFileError."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise ImageFileError(f'{path} is no image that OpenCV can read; copy it again')
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def read_depth(path: Path) -> NDArray[np.float32]:
    """Read depth in KITTI's convention as (H, W) float32 metres, NaN = none.

    A 16-bit PNG holds metres times 256, 0 where there is no truth. Raises ImageFileError.
    """
    depth = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if depth is None or depth.ndim != 2 or depth.dtype != np.uint16:
        found = 'no image' if depth is None else f'{depth.shape} {depth.dtype}'
        raise ImageFileError(f'{path}: found {found}, expected a 16-bit gray PNG, metres * 256')
    return np.where(depth > 0, depth / PNG_STEPS_PER_METRE, np.nan).astype(np.float32)


def depth_to_png(depth_hw: NDArray[np.floating]) -> NDArray[np.uint16]:
    """Give depth in metres as metres * 256 in 16 bits, 0 where it is unknown, sky or too large."""
    steps = np.rint(np.where(np.isfinite(depth_hw), depth_hw, 0) * PNG_STEPS_PER_METRE)
    # What 16 bits cannot hold is unknown, not 256 m.
    return np.where(steps < 65536, steps, 0).astype(np.uint16)


def read_labels(path: Path) -> NDArray[np.uint8]:
    """Read labels as (H, W) uint8 ids; raises ImageFileError."""
    labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if labels is None or labels.ndim != 2 or labels.dtype != np.uint8:
        found = 'no image' if labels is None else f'{labels.shape} {labels.dtype}'
        raise ImageFileError(f'{path}: found {found}, expected an 8-bit gray PNG of class ids')
    return np.asarray(labels, np.uint8)


def write_image(path: Path, image: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    """Write an (H, W, 3) uint8 RGB or (H, W) uint8 or uint16 image; raises OSError on failure."""
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    with atomic_path(path) as temporary:
        if not cv2.imwrite(str(temporary), pixels):
            raise OSError(f'{path} could not be written; check the disk and the rights')
