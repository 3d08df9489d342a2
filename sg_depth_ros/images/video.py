# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Video files through OpenCV, whose pip wheels bring their own codecs."""

from __future__ import annotations

import logging
import math
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.images.encoded import MAX_PIXELS

VIDEO_SUFFIXES = ('.mp4', '.m4v', '.mkv', '.mov', '.avi', '.webm')

LONGEST_HOLD = 10.0
"""Seconds that a written frame is shown at most, whatever the times say."""
_HEIGHT = cv2.CAP_PROP_FRAME_HEIGHT

logger = logging.getLogger(__name__)


class VideoFrame(NamedTuple):
    """An image (H, W, 3) uint8 RGB and when it is shown, in seconds from the first."""

    seconds: float
    rgb: NDArray[np.uint8]


class VideoReader:
    """A video that is iterated over once, upright as its own mark of rotation says.

    ``fault`` says after the last frame whether it was that of the whole video, empty if it was.

    :raises ValueError: when OpenCV cannot open the file, or its images are too large.
    """

    def __init__(self, path: str | Path, max_pixels: int = MAX_PIXELS) -> None:
        self._path = Path(path)
        if not self._path.is_file():
            raise ValueError(f'{path} is no file; give the path of a video')
        self._capture = _opencv(path, lambda: cv2.VideoCapture(str(path)))
        if not self._capture.isOpened():
            raise ValueError(f'{path} is no video that OpenCV can read; convert it to H.264 MP4')
        width, height = (
            int(self._capture.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, _HEIGHT)
        )
        if width * height > max_pixels:
            self._capture.release()
            raise ValueError(
                f'{path} has images of {width}x{height} pixels, more than {max_pixels}; make them '
                'smaller'
            )
        # It is the default of some versions of OpenCV.
        self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        fps = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.fps = fps if 0 < fps < math.inf else 10.0
        # A hint only: some containers do not know, or count by the length.
        self.frames = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self.fault = ''

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the images."""
        return (frame.rgb for frame in self.timed())

    def timed(self) -> Iterator[VideoFrame]:
        """Yield the images with their times, which need not be evenly spaced."""
        seconds, count, longest = 0.0, 0, 1 / self.fps
        while True:
            found, bgr = _opencv(self._path, self._capture.read)
            if not found:
                break
            stamp = float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000
            # Old versions of OpenCV give no time for the last frames.
            if count:
                step = stamp - seconds if stamp > seconds else 1 / self.fps
                seconds, longest = seconds + step, max(longest, step)
            count += 1
            yield VideoFrame(seconds, np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8))
        self._capture.release()
        # The last frame may be shown as long as any other; where one is missing, twice as long.
        if count < self.frames and self.frames / self.fps - seconds > 1.5 * longest:
            self.fault = (
                f'{self._path.name} is cut off or damaged: {count} frames of about {self.frames} '
                f'could be read, {seconds + 1 / self.fps:.1f} of {self.frames / self.fps:.1f} s; '
                'copy or record it again'
            )
            logger.warning('%s', self.fault)


def _opencv(path: str | Path, call: Callable[[], Any]) -> Any:
    """Call OpenCV; raises ValueError that names the file."""
    try:
        return call()
    except cv2.error as error:
        raise ValueError(f'{path} cannot be read as a video: {error.err}') from error


class VideoWriter:
    """A context manager that leaves a finished MP4 at ``path``, or nothing after an error.

    Where OpenCV has no encoder, or no frame comes, there will be no file; the first is logged.

    :param fps: at least 1; faster than 120 it would be none that players show
    """

    def __init__(self, path: str | Path, fps: float) -> None:
        self.path = Path(path)
        # As `files.atomic_path` does it.
        self._temporary = self.path.with_name(
            f'.{self.path.stem}.{secrets.token_hex(8)}.tmp{self.path.suffix}'
        )
        self._fps = min(max(fps, 1.0), 120.0)
        self._writer: cv2.VideoWriter | None = None
        self._last: NDArray[np.uint8] | None = None
        self._count = 0

    def __enter__(self) -> VideoWriter:
        """Prepare; the first frame fixes the size."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the file and move it into place; raises OSError if it is not whole."""
        written = self._writer is not None and self._writer.isOpened()
        if self._writer is not None:
            self._writer.release()
        try:
            if written and kind is None:
                self._require_whole()
                self._temporary.replace(self.path)
        finally:
            self._temporary.unlink(missing_ok=True)

    def write(self, rgb: NDArray[np.uint8], seconds: float | None = None) -> None:
        """Append an (H, W, 3) uint8 RGB frame; an odd last row or column is left out.

        :param seconds: when it is shown, from the beginning; the frame before it is held until
            then (for ten seconds at most), and one that comes too early for a frame of its own is
            left out. By default right after the one before.
        """
        # MPEG-4 shares chroma between two rows and two columns.
        height, width = (side // 2 * 2 for side in rgb.shape[:2])
        bgr = np.asarray(cv2.cvtColor(rgb[:height, :width], cv2.COLOR_RGB2BGR), np.uint8)
        if self._writer is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            codec = cv2.VideoWriter.fourcc(*'mp4v')
            self._writer = cv2.VideoWriter(str(self._temporary), codec, self._fps, (width, height))
            if not self._writer.isOpened():
                logger.warning('this OpenCV writes no MP4, so there will be no %s', self.path)
        if seconds is not None and self._last is not None:
            due = round(seconds * self._fps)
            if due < self._count:
                return
            for _ in range(min(due - self._count, round(LONGEST_HOLD * self._fps))):
                self._append(self._last)
        self._append(bgr)
        self._last = bgr

    def _append(self, bgr: NDArray[np.uint8]) -> None:
        assert self._writer is not None
        self._writer.write(bgr)
        self._count += 1

    def _require_whole(self) -> None:
        # OpenCV says nothing of a disk that is full.
        capture = cv2.VideoCapture(str(self._temporary))
        found = round(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
        capture.release()
        if found < self._count:
            raise OSError(
                f'{self.path} could not be written whole, {found} of {self._count} frames; make '
                'room on the disk'
            )
