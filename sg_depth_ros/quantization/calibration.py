# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames to calibrate with, and others to measure on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.bags import BagReader
from sg_depth_ros.image_files import SUFFIXES, read_rgb
from sg_depth_ros.resize import resize_image
from sg_depth_ros.video import VIDEO_SUFFIXES, VideoReader

Image = NDArray[np.uint8]
MEASURED_OF = 4
"""Every fourth frame is measured on, the others are calibrated with."""


class QuantizationError(ValueError):
    """A bundle cannot be quantised as asked; the message says what to do."""


def read_frames(source: Path, count: int, width: int, height: int) -> list[Image]:
    """Give up to ``count`` frames (H, W, 3) uint8 RGB, evenly spread over a source.

    :param source: a bag, a folder of images (or with ``images/`` or ``frames/``), or a video
    :raises QuantizationError: if it holds fewer than ``MEASURED_OF`` frames
    :raises ValueError: if it cannot be read; the message says what to do
    """
    total = sum(1 for _ in _read(source, count_only=True))
    if total < MEASURED_OF:
        raise QuantizationError(
            f'{source} holds {total} images, expected at least {MEASURED_OF}, better 50 of all '
            f'that the camera is to see; give another bag, folder or video'
        )
    wanted = set(np.linspace(0, total - 1, min(count, total)).astype(int).tolist())
    return [
        np.ascontiguousarray(resize_image(image, width, height))
        for index, image in enumerate(_read(source))
        if index in wanted and image is not None
    ]


def split_frames(frames: list[Image]) -> tuple[list[Image], list[Image]]:
    """Give the frames to calibrate with and those to measure on."""
    measured = frames[MEASURED_OF - 1 :: MEASURED_OF]
    return [f for i, f in enumerate(frames) if i % MEASURED_OF != MEASURED_OF - 1], measured


def _read(source: Path, count_only: bool = False) -> Iterator[Image | None]:
    """Yield the frames in order; None for each where they are only counted."""
    if not source.exists():
        raise QuantizationError(f'{source} does not exist; give a bag, a folder or a video')
    folder = next((source / n for n in ('images', 'frames') if (source / n).is_dir()), source)
    files = sorted(p for p in folder.glob('*') if p.suffix.lower() in SUFFIXES)
    if source.suffix.lower() in VIDEO_SUFFIXES:
        yield from VideoReader(source)
    elif files:
        yield from ((None if count_only else read_rgb(file)) for file in files)
    else:
        with BagReader(source) as bag:
            yield from (image.rgb for image in bag.images())
