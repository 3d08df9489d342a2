# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A video and a strip of pictures of images, their depth and their labels; knows no ROS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.bundle import Bundle
from sg_depth_ros.bundle.labels import VOID, palette
from sg_depth_ros.images.files import write_image
from sg_depth_ros.images.video import VideoWriter
from sg_depth_ros.images.visualise import (
    colorize_depth,
    colorize_labels,
    depth_legend,
    depth_range,
    side_by_side,
    strip,
)

PICTURE_WIDTH = 960
STRIP_FRAMES = 6
RANGE_FRAMES = 8

Progress = Callable[[int, int, str], None]
"""Called with what is done, what there is in all, and a few words on what is going on."""


@dataclass(frozen=True)
class ReplayedFrame:
    """What belongs to one stamp: ``rgb`` as it was sent, depth and labels as they came back."""

    stamp_ns: int
    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    labels: NDArray[np.uint8] | None


def write_pictures(
    frames: Iterator[ReplayedFrame],
    total: int,
    out: Path,
    bundle: Bundle,
    scale: str,
    fps: float,
    progress: Progress,
) -> None:
    """Write ``depth.mp4`` (where OpenCV has an encoder) and ``depth.png``, a few frames."""
    first = list(islice(frames, RANGE_FRAMES))
    known = [frame.depth for frame in first if np.isfinite(frame.depth).any()]
    if not known:
        return
    near, far = depth_range(known)
    unit = 'm' if scale == 'metric' else ''
    colors = palette(bundle.labels)
    chosen = set(np.linspace(0, total - 1, min(STRIP_FRAMES, total)).astype(int))
    kept = []
    with VideoWriter(out / 'depth.mp4', fps) as video:
        for i, frame in enumerate(chain(first, frames)):
            height = round(frame.rgb.shape[0] * PICTURE_WIDTH / frame.rgb.shape[1])
            small = cv2.resize(frame.rgb, (PICTURE_WIDTH, height), interpolation=cv2.INTER_AREA)
            labels = np.full((1, 1), VOID, np.uint8) if frame.labels is None else frame.labels
            panels = [
                np.asarray(small, np.uint8),
                colorize_depth(frame.depth, near, far),
                colorize_labels(labels, colors),
            ]
            joined = side_by_side(panels, ['image', 'depth', 'labels'])
            picture = np.concatenate([joined, depth_legend(near, far, joined.shape[1], unit)])
            video.write(picture)
            if i in chosen:
                kept.append(picture)
            progress(i + 1, total, 'drawing')
    write_image(out / 'depth.png', strip(kept))
