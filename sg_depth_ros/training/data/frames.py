# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Random access to the images of a sequence, whatever file they lie in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.evaluation.sources.images import list_images, read_rgb


class Frames(Protocol):
    """Images in the order of time."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> NDArray[np.uint8]:
        """Give image ``index`` as (H, W, 3) uint8 RGB."""


class ImageFiles:
    """Images that lie in files of their own."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = list(paths)

    @classmethod
    def in_folder(cls, folder: Path) -> ImageFiles:
        """Take a folder's images in the order of their names; raises ValueError if none."""
        return cls(list(list_images(folder).values()))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return read_rgb(self.paths[index])


class MemoryFrames:
    """Images of a video or a bag, decoded forward once and kept as JPEG."""

    def __init__(self, images: Iterable[NDArray[np.uint8]]) -> None:
        # A tenth of the memory of raw pixels, and quicker to read than a video is to seek.
        quality = [cv2.IMWRITE_JPEG_QUALITY, 95]
        self._encoded = [cv2.imencode('.jpg', to_bgr(rgb), quality)[1] for rgb in images]

    @classmethod
    def of_video(cls, path: Path) -> MemoryFrames:
        """Read a whole video; raises ValueError if it has no readable frame."""
        frames = cls(_video_images(path))
        if not len(frames):
            raise ValueError(f'{path} cannot be read as a video; correct the path or convert it')
        return frames

    def __len__(self) -> int:
        return len(self._encoded)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return to_rgb(cv2.imdecode(self._encoded[index], cv2.IMREAD_COLOR))


def _video_images(path: Path) -> Iterable[NDArray[np.uint8]]:
    capture = cv2.VideoCapture(str(path))
    try:
        while True:
            ok, frame = capture.read()
            if not ok:
                return
            yield to_rgb(frame)
    finally:
        capture.release()


def to_rgb(bgr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn OpenCV's channel order into ours."""
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))


def to_bgr(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn our channel order into OpenCV's."""
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
