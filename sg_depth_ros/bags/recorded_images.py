# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A few images of a recording, evenly spread: of a bag, a folder of images or a video."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.images.files import image_files, read_rgb
from sg_depth_ros.images.resize import resize_image
from sg_depth_ros.images.video import VIDEO_SUFFIXES, VideoReader

Image = NDArray[np.uint8]


def spread_images(source: Path, count: int, width: int, height: int) -> Iterator[Image]:
    """Give up to ``count`` images (H, W, 3) uint8 RGB of a recording, stretched to a size.

    :param source: a bag, a folder of images (or with ``images/`` or ``frames/``), or a video
    :raises ValueError: if it holds no images, or broken ones; the message says what to do
    """
    for image in _chosen(source, count):
        yield np.ascontiguousarray(resize_image(image, width, height))


def _chosen(source: Path, count: int) -> Iterator[Image]:
    if not source.exists():
        raise ValueError(f'{source} does not exist; give a bag, a folder of images or a video')
    folder = next((source / n for n in ('images', 'frames') if (source / n).is_dir()), source)
    if folder.is_dir() and (files := image_files(folder)):
        yield from (read_rgb(files[index]) for index in _spread(len(files), count))
    elif source.suffix.lower() in VIDEO_SUFFIXES:
        # What a container says of its length is a hint only.
        wanted = set(_spread(sum(1 for _ in VideoReader(source)), count))
        yield from (image for i, image in enumerate(VideoReader(source)) if i in wanted)
    else:
        # Bags bring much that is slow to import.
        from sg_depth_ros.bags import BagError, BagReader

        with BagReader(source) as bag:
            try:
                topic = bag.choose_image_topic()
            except BagError as error:
                raise BagError(
                    f'{error}. No topic can be named here: give a bag of one camera, as '
                    '"ros2 bag convert" makes it, or a folder of images'
                ) from error
            wanted = set(_spread(bag.topics[topic].msgcount, count))
            for index, item in enumerate(bag.messages([topic])):
                if index in wanted:
                    yield bag.decode(item)


def _spread(total: int, count: int) -> list[int]:
    """Give the indices of ``count`` of ``total`` things, the first and the last among them."""
    chosen: list[int] = np.linspace(0, total - 1, min(count, total)).astype(int).tolist()
    return chosen
