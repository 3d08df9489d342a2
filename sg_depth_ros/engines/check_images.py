# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images of network size to compare engines on: of the synthetic street, or recorded ones."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.resize import resize_image

COUNT = 6
_STREET_FPS = 0.5
"""So slow that each image shows another part of the street."""


def street_images(width: int, height: int, count: int = COUNT) -> Iterator[NDArray[np.uint8]]:
    """Give images (H, W, 3) uint8 RGB of the synthetic street, the same each time."""
    # Drawing needs much that an engine which is only run does not.
    from sg_depth_ros.synthetic import drive, street_camera

    for frame in drive(street_camera(width, height), count, seed=0, fps=_STREET_FPS):
        yield frame.image


def recorded_images(
    path: Path, width: int, height: int, count: int = COUNT
) -> Iterator[NDArray[np.uint8]]:
    """Give images of a bag or of a folder of images, evenly spread, stretched to a size.

    :raises ImageFileError, BagError: if ``path`` holds no images, or broken ones
    """
    from sg_depth_ros.bags import BagReader
    from sg_depth_ros.image_files import SUFFIXES, list_images, read_rgb

    folder = path / 'images' if (path / 'images').is_dir() else path
    if any(file.suffix.lower() in SUFFIXES for file in folder.glob('*')):
        files = list(list_images(folder).values())
        for file in files[:: max(1, len(files) // count)][:count]:
            yield resize_image(read_rgb(file), width, height)
        return
    with BagReader(path) as bag:
        topic = bag.choose_image_topic()
        step = max(1, bag.topics[topic].msgcount // count)
        for image in islice(bag.images(topic), 0, step * count, step):
            yield resize_image(image.rgb, width, height)
