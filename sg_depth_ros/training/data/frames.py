# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Random access to the images of a sequence, whatever file they lie in."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.images.decoding import decode_compressed
from sg_depth_ros.images.files import read_rgb
from sg_depth_ros.images.video import VideoReader


class Frames(Protocol):
    """Images in the order of time."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> NDArray[np.uint8]:
        """Give image ``index`` as (H, W, 3) uint8 RGB; raises ValueError if it is broken."""


class ImageFiles:
    """Images that lie in files of their own."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = list(paths)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return read_rgb(self.paths[index])

    def fingerprint(self) -> str:
        """Give a text that is another one when a file is; images are not read for it."""
        stats = [(path.name, path.stat()) for path in self.paths]
        files = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
        return hashlib.sha256(repr(files).encode()).hexdigest()


class SpooledFrames:
    """Compressed images of a video or a bag, kept in a temporary file for random access.

    A video is slow to seek and a bag cannot be; memory would not hold an hour of either. The
    file has no name, so that the system frees its space even when the process is killed.

    :param images: compressed images and the ``CompressedImage`` format of each
    """

    def __init__(self, images: Iterable[tuple[bytes, str]]) -> None:
        self._entries: list[tuple[int, int, str]] = []
        self._file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as this)
        for data, image_format in images:
            self._entries.append((self._file.tell(), len(data), image_format))
            self._file.write(data)
        self._file.flush()

    @classmethod
    def of_images(cls, images: Iterable[NDArray[np.uint8]]) -> SpooledFrames:
        """Keep RGB images as JPEG of high quality: a tenth of the space of raw pixels."""
        return cls((encode_jpeg(rgb), 'jpeg') for rgb in images)

    @classmethod
    def of_video(cls, path: Path) -> SpooledFrames:
        """Read a whole video; raises ValueError if it has no readable frame."""
        if not path.is_file():
            raise ValueError(f'{path}: no such video; correct the path in the configuration')
        frames = cls.of_images(VideoReader(path))
        if not len(frames):
            raise ValueError(f'{path} has no frame that can be read; convert it to H.264 MP4')
        return frames

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        start, size, image_format = self._entries[index]
        # Without a shared position, so that processes that were forked may share the file.
        data = os.pread(self._file.fileno(), size, start)
        return decode_compressed(data, image_format)

    def fingerprint(self) -> str:
        """Give a text that is another one when an image or their order is."""
        digest = hashlib.sha256()
        for start, size, image_format in self._entries:
            digest.update(f'{image_format} {size}'.encode())
            digest.update(os.pread(self._file.fileno(), size, start))
        return digest.hexdigest()

    def reorder(self, order: Iterable[int]) -> None:
        """Bring the images into another order, given by their present indices."""
        self._entries = [self._entries[index] for index in order]

    def __getstate__(self) -> dict[str, Any]:
        """Name the file by its owner, for worker processes that are not forked."""
        path = f'/proc/{os.getpid()}/fd/{self._file.fileno()}'
        return {'_entries': self._entries, '_file': path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Open it again."""
        self._entries = state['_entries']
        self._file = Path(state['_file']).open('rb')  # noqa: SIM115 (as above)


def encode_jpeg(rgb_hw3: NDArray[np.uint8], quality: int = 95) -> bytes:
    """Compress an RGB image as JPEG."""
    bgr = cv2.cvtColor(rgb_hw3, cv2.COLOR_RGB2BGR)
    data: bytes = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
    return data
