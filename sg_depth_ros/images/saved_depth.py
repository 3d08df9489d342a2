# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth images that NumPy has written: .npy, and .npz of one array or with a known key."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.images.files import ImageFileError

KEYS = ('depth', 'velodyne_depth', 'groundtruth_depth')
"""Those that packnet-sfm writes."""
MAX_BYTES = 1 << 30
"""Of an array that is unpacked."""


def open_array(path: Path) -> NDArray[np.generic]:
    """Give the array of a file of numbers; of an .npy what is not looked at stays on disk.

    :raises ImageFileError: if it is damaged, too large or holds objects, which are never unpickled
    """
    try:
        if path.suffix == '.npz':
            return _unpacked(path)
        array = np.load(path, mmap_mode='r', allow_pickle=False)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ImageFileError(f'{path} cannot be read as numbers of NumPy ({error})') from error
    return _numbers(path, array)


def read_array(path: Path) -> NDArray[np.float32]:
    """Read a file of one depth image as float32; of (1, ..., h, w, 1) it gives (h, w)."""
    array = open_array(path)
    if array.nbytes > MAX_BYTES:
        raise ImageFileError(f'{path} has {array.nbytes >> 20} MB, too much for one depth image')
    image: NDArray[np.float32] = np.asarray(array, np.float32)
    while image.ndim > 2 and 1 in (image.shape[0], image.shape[-1]):
        image = image[0] if image.shape[0] == 1 else image[..., 0]
    return image


def read_packnet_depth(path: Path) -> NDArray[np.float32]:
    """Read true depth as packnet-sfm's downloads hold it: (H, W) metres, NaN = none."""
    depth = read_array(path)
    return np.where(depth > 0, depth, np.float32(np.nan))


def _unpacked(path: Path) -> NDArray[np.generic]:
    with zipfile.ZipFile(path) as archive:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
    names = [name.removesuffix('.npy') for name in sizes]
    key = next((key for key in KEYS if key in names), names[0] if len(names) == 1 else None)
    if key is None:
        raise ValueError(f'it holds {", ".join(names) or "nothing"}, expected one of {KEYS}')
    if (size := sizes[f'{key}.npy']) > MAX_BYTES:
        raise ValueError(f'{key} has {size >> 20} MB, at most {MAX_BYTES >> 20} are read')
    with np.load(path, allow_pickle=False) as content:
        return _numbers(path, content[key])


def _numbers(path: Path, array: NDArray[np.generic]) -> NDArray[np.generic]:
    if array.dtype.kind not in 'fiu':
        raise ImageFileError(f'{path} holds {array.dtype}, expected numbers')
    return array
