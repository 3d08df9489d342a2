# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Video files through OpenCV, whose pip wheels bring their own codecs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

VIDEO_SUFFIXES = ('.mp4', '.m4v', '.mkv', '.mov', '.avi', '.webm')

logger = logging.getLogger(__name__)


class VideoReader:
    """A video that is iterated over once; yields (H, W, 3) uint8 RGB.

    :raises ValueError: when OpenCV cannot open the file.
    """

    def __init__(self, path: str | Path) -> None:
        self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            raise ValueError(f'{path} is no video that OpenCV can read; convert it to H.264 MP4')
        self.fps = float(self._capture.get(cv2.CAP_PROP_FPS)) or 10.0
        # A hint only: some containers do not know.
        self.frames = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the frames."""
        while True:
            found, bgr = self._capture.read()
            if not found:
                self._capture.release()
                return
            yield np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


class VideoWriter:
    """A context manager that leaves a finished MP4 at ``path``, or nothing after an error.

    Where OpenCV has no encoder, or no frame comes, there will be no file; the first is logged.
    """

    def __init__(self, path: str | Path, fps: float) -> None:
        self.path = Path(path)
        self._temporary = self.path.with_name(f'.{self.path.name}')
        self._fps = fps
        self._writer: cv2.VideoWriter | None = None

    def __enter__(self) -> VideoWriter:
        """Prepare; the first frame fixes the size."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the file and move it into place."""
        written = self._writer is not None and self._writer.isOpened()
        if self._writer is not None:
            self._writer.release()
        if written and kind is None:
            self._temporary.replace(self.path)
        else:
            self._temporary.unlink(missing_ok=True)

    def write(self, rgb: NDArray[np.uint8]) -> None:
        """Append an (H, W, 3) uint8 RGB frame; an odd last row or column is left out."""
        # MPEG-4 shares chroma between two rows and two columns.
        height, width = (side // 2 * 2 for side in rgb.shape[:2])
        if self._writer is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            codec = cv2.VideoWriter.fourcc(*'mp4v')
            self._writer = cv2.VideoWriter(str(self._temporary), codec, self._fps, (width, height))
            if not self._writer.isOpened():
                logger.warning('this OpenCV writes no MP4, so there will be no %s', self.path)
        self._writer.write(cv2.cvtColor(rgb[:height, :width], cv2.COLOR_RGB2BGR))
