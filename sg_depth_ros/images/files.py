# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image files: pictures, depth in KITTI's convention, labels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.files import atomic_path, is_hidden, read_bounded
from sg_depth_ros.images.decoding import decode_picture
from sg_depth_ros.images.encoded import decode_pixels
from sg_depth_ros.images.structure import ImageError

PNG_STEPS_PER_METRE = np.float32(256)
"""16-bit PNG holds depth * 256, and 0 for none, as KITTI's does."""
SUFFIXES = ('.jpg', '.jpeg', '.png')
MAX_BYTES = 1 << 29
"""Of an image file: more than the largest image takes as it is stored without compression."""


class ImageFileError(ValueError):
    """A file that is missing or not what it should be; the message says what to do."""


def image_files(folder: Path) -> list[Path]:
    """Give the images of a folder, sorted; hidden files are none of them."""
    return sorted(
        path
        for path in folder.glob('*')
        if path.suffix.lower() in SUFFIXES and not is_hidden(path)
    )


def list_images(folder: Path) -> dict[str, Path]:
    """Give the images of a folder by stem, sorted.

    :raises ImageFileError: if there are none, or two that have one stem
    """
    files = image_files(folder)
    if not files:
        raise ImageFileError(f'{folder} holds no images; expected .jpg or .png files there')
    named = {path.stem: path for path in files}
    if len(named) < len(files):
        twice = next(path for path in files if named[path.stem] != path)
        raise ImageFileError(
            f'{folder} holds {twice.name} and {named[twice.stem].name}, which have one name; '
            'remove or rename one of them'
        )
    return named


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """Read an image as (H, W, 3) uint8 RGB, upright as EXIF says; raises ImageFileError."""
    with _named(path):
        return decode_picture(read_bounded(path, MAX_BYTES))


def read_depth(path: Path) -> NDArray[np.float32]:
    """Read depth in KITTI's convention as (H, W) float32 metres, NaN = none.

    A 16-bit PNG holds metres times 256, 0 where there is no truth. Raises ImageFileError.
    """
    depth = _read_pixels(path)
    if depth.ndim != 2 or depth.dtype != np.uint16:
        raise ImageFileError(
            f'{path}: found {depth.shape} {depth.dtype}, expected a 16-bit gray PNG, metres * 256'
        )
    return np.where(depth > 0, depth / PNG_STEPS_PER_METRE, np.nan).astype(np.float32)


def depth_to_png(depth_hw: NDArray[np.floating]) -> NDArray[np.uint16]:
    """Give depth in metres as metres * 256 in 16 bits, 0 where it is unknown, sky or too large."""
    steps = np.rint(np.where(np.isfinite(depth_hw), depth_hw, 0) * PNG_STEPS_PER_METRE)
    # What 16 bits cannot hold is unknown, not 256 m.
    return np.where(steps < 65536, steps, 0).astype(np.uint16)


def read_labels(path: Path) -> NDArray[np.uint8]:
    """Read labels as (H, W) uint8 ids; raises ImageFileError."""
    labels = _read_pixels(path)
    if labels.ndim != 2 or labels.dtype != np.uint8:
        raise ImageFileError(
            f'{path}: found {labels.shape} {labels.dtype}, expected an 8-bit gray PNG of class ids'
        )
    return np.asarray(labels, np.uint8)


def _read_pixels(path: Path) -> NDArray[Any]:
    with _named(path):
        return decode_pixels(read_bounded(path, MAX_BYTES), upright=True)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Let errors name the file."""
    try:
        yield
    except ImageError as error:
        raise ImageFileError(f'{path}: {error}') from error
    except OSError as error:
        raise ImageFileError(f'{path} cannot be read ({error.strerror})') from error


def write_image(path: Path, image: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    """Write an (H, W, 3) uint8 RGB or (H, W) uint8 or uint16 image; raises OSError on failure."""
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    done, data = cv2.imencode(path.suffix, pixels)
    if not done:
        raise OSError(f'{path} could not be written: OpenCV cannot encode {image.shape}')
    # OpenCV would not say why it cannot write.
    with atomic_path(path) as temporary:
        temporary.write_bytes(data.tobytes())
