# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``rosbags``' readers, with bounds, and undisturbed by channels that are not ROS 2's.

Importing this module is slow.
"""

from __future__ import annotations

import struct
import sys
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

from rosbags.rosbag2 import Reader
from rosbags.rosbag2.errors import ReaderError
from rosbags.rosbag2.reader import DirectoryReader
from rosbags.rosbag2.storage_mcap import DECOMPRESSORS, McapReader
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Reader

# rosbags brings both.
zstd: Any = import_module('compression.zstd' if sys.version_info >= (3, 14) else 'backports.zstd')
lz4: Any = import_module('lz4.frame')

MAX_CHUNK = 1 << 29
"""Bytes of a chunk, or of a message, after decompression; recorders' chunks have a few million."""
MAX_SUMMARY = 1 << 28
"""Bytes of an index at the end of an mcap file, which has about a hundred for each chunk."""
_SCHEMA, _FOOTER, _SUMMARY_OFFSET = 0x03, 0x02, 0x0E
_ROS2_SCHEMAS = (b'ros2msg', b'ros2idl', b'omgidl', b'')


def unzstd(data: bytes, size: int) -> bytes:
    """Decompress to at most ``size`` bytes; raises ReaderError where there are more."""
    parts: list[bytes] = []
    left = size + 1
    while data and left > 0:
        decompressor = zstd.ZstdDecompressor()
        parts.append(decompressor.decompress(data, left))
        left -= len(parts[-1])
        data = decompressor.unused_data
    return _bounded(b''.join(parts), size)


def unpacked_size(file: Path) -> int:
    """Give the bytes that a compressed file says it holds, 0 where it does not say so."""
    with file.open('rb') as opened:
        head = opened.read(64)
    try:
        return zstd.get_frame_info(head).decompressed_size or 0
    except zstd.ZstdError:
        return 0


def _unlz4(data: bytes, size: int) -> bytes:
    return _bounded(lz4.LZ4FrameDecompressor().decompress(data, size + 1), size)


def _bounded(data: bytes, size: int) -> bytes:
    if len(data) > size:
        raise ReaderError(f'compressed data are more than the {size} bytes that they should be')
    return data


def _chunk_size(size: int) -> int:
    if size > MAX_CHUNK:
        raise ReaderError(f'a chunk claims {size} bytes, more than {MAX_CHUNK}')
    return size


# Its own take as much memory as the data ask for, whatever size the file states.
DECOMPRESSORS['zstd'] = lambda data, size: unzstd(data, _chunk_size(size))
DECOMPRESSORS['lz4'] = lambda data, size: _unlz4(data, _chunk_size(size))


class _Mcap(McapReader):
    """An mcap file whose channels of other systems (JSON, protobuf) are there without a type."""

    def read_index(self) -> None:
        """Read the index as if it described ROS 2's types alone."""
        file = self.bio
        assert file is not None
        if file.seek(0, 2) - self.data_end > MAX_SUMMARY:
            raise ReaderError(f'its index has more than {MAX_SUMMARY} bytes')
        file.seek(self.data_end)
        summary = file.read()
        self.bio = _Shifted(_without_foreign_schemas(summary), self.data_end)
        try:
            super().read_index()
        finally:
            self.bio = file


class _Shifted(BytesIO):
    """The end of a file, at the place where it is in that file."""

    def __init__(self, data: bytes, start: int) -> None:
        super().__init__(data)
        self._start = start

    def seek(self, offset: int, whence: int = 0) -> int:
        return super().seek(offset - self._start if whence == 0 else offset, whence)


def _without_foreign_schemas(summary: bytes) -> bytes:
    kept, place = [], 0
    while place + 9 <= len(summary) and summary[place] not in (_FOOTER, _SUMMARY_OFFSET):
        (size,) = struct.unpack_from('<Q', summary, place + 1)
        record = summary[place : place + 9 + size]
        if summary[place] != _SCHEMA or _is_ros2(record[9:]):
            kept.append(record)
        place += 9 + size
    return b''.join(kept) + summary[place:]


def _is_ros2(schema: bytes) -> bool:
    """Tell from a schema's record: an id of two bytes, name, encoding and text by length."""
    try:
        (length,) = struct.unpack_from('<I', schema, 2)
        (size,) = struct.unpack_from('<I', schema, 6 + length)
    except struct.error:
        return True  # damaged, for rosbags to tell
    return schema[10 + length : 10 + length + size] in _ROS2_SCHEMAS


class _Directory(DirectoryReader):
    """A bag folder; messages that are compressed one by one are given as they are."""

    STORAGE_PLUGINS = {'mcap': _Mcap, 'sqlite3': Sqlite3Reader}  # noqa: RUF012 (rosbags' own)
    compressed_messages = False

    def open(self) -> None:
        """Open all files."""
        super().open()
        if self.metadata.compression_mode == 'message':
            self.compressed_messages = True
            self.metadata = self.metadata._replace(compression_mode=None)


class BoundedReader(Reader):
    """A bag folder, an .mcap or a .db3 file."""

    STORAGE_PLUGINS = {'dir': _Directory, '.mcap': _Mcap, '.db3': Sqlite3Reader}  # noqa: RUF012

    @property
    def compressed_messages(self) -> bool:
        """Whether each message has to be decompressed."""
        return getattr(self.storage, 'compressed_messages', False)
