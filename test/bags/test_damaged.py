# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings as crashes, other systems and full disks leave them."""

import re
import shutil
import sqlite3
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from sg_depth_ros.bags import (
    BagError,
    BagReader,
    BagWriter,
    image_message,
    point_cloud_array,
    point_cloud_message,
)
from sg_depth_ros.bags.messages import typestore

START = 1_700_000_000_000_000_000


def picture(index: int) -> np.ndarray:
    return np.full((12, 20, 3), index, np.uint8)


def write_bag(path: Path, storage: str = 'mcap', frames: int = 4) -> Path:
    with BagWriter(path, storage) as bag:
        for i in range(frames):
            bag.write('/eye/image', image_message(picture(i), START + i, 'eye'), START + i)
    return path


def levels(path: Path) -> list[int]:
    with BagReader(path) as bag:
        return [int(image.rgb[0, 0, 0]) for image in bag.images()]


@pytest.mark.parametrize('mode', ['WAL', 'PERSIST'])
def test_what_a_crashed_recorder_had_not_written_yet_is_read(tmp_path: Path, mode: str) -> None:
    """Half in the database and half in the log (or a half-made change, which is undone)."""
    live = write_bag(tmp_path / 'live', 'sqlite3', 2) / 'live.db3'
    connection = sqlite3.connect(live, isolation_level=None)
    connection.execute(f'PRAGMA journal_mode={mode}')
    connection.execute('PRAGMA wal_autocheckpoint=0')
    connection.execute('PRAGMA cache_size=1')
    if mode == 'PERSIST':
        connection.execute('BEGIN')
    for i in (2, 3):
        data = typestore().serialize_cdr(
            image_message(picture(i), START + i, 'eye'), 'sensor_msgs/msg/Image'
        )
        row = (1, START + i, bytes(data))
        connection.execute('INSERT INTO messages(topic_id, timestamp, data) VALUES(?, ?, ?)', row)
    crashed = tmp_path / 'crashed'
    crashed.mkdir()
    for file in live.parent.glob('live.db3*'):
        shutil.copy(file, crashed / file.name)
    connection.close()
    before = {file.name: file.read_bytes() for file in crashed.iterdir()}
    assert levels(crashed) == ([0, 1, 2, 3] if mode == 'WAL' else [0, 1])
    assert levels(crashed / 'live.db3') == levels(crashed)
    shutil.copy(live.parent / 'metadata.yaml', crashed)
    assert levels(crashed) == ([0, 1, 2, 3] if mode == 'WAL' else [0, 1])
    assert {name: (crashed / name).read_bytes() for name in before} == before


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_signs_in_a_path_are_part_of_it(tmp_path: Path, storage: str) -> None:
    path = tmp_path / 'take#1?50%20[a]'
    write_bag(tmp_path / 'plain', storage).rename(path)
    assert levels(path) == [0, 1, 2, 3]
    (path / 'metadata.yaml').unlink()
    assert levels(path) == [0, 1, 2, 3]
    if storage == 'sqlite3':
        with pytest.raises(BagError, match=r'cannot be at a path with \?, # or %'):
            write_bag(path / 'new', storage)
    else:
        assert levels(write_bag(path / 'new', storage)) == [0, 1, 2, 3]


@pytest.mark.parametrize('text', ['', '[' * 800, 'a: 1', 'rosbag2_bagfile_information: 3', '\x00'])
def test_the_only_file_is_read_where_metadata_is_of_no_use(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_bag(tmp_path / 'drive')
    (path / 'metadata.yaml').write_text(text)
    (path / '._drive.mcap').write_bytes(b'\0\5\x16\7')
    assert levels(path) == [0, 1, 2, 3]
    assert 'metadata.yaml is not used' in caplog.text
    (path / 'drive.mcap').unlink()
    with pytest.raises(BagError, match='cannot be read'), BagReader(path):
        pass


def test_a_renamed_file_is_found(tmp_path: Path) -> None:
    path = write_bag(tmp_path / 'drive')
    (path / 'drive.mcap').rename(path / 'other.mcap')
    assert levels(path) == [0, 1, 2, 3]


def test_a_recording_of_which_a_part_is_missing_is_refused(tmp_path: Path) -> None:
    path = write_bag(tmp_path / 'drive')
    metadata = path / 'metadata.yaml'
    text, count = re.subn(r'( *- drive)(\.mcap\n)', r'\1\2\1_1\2', metadata.read_text())
    assert count == 1
    metadata.write_text(text)
    with pytest.raises(BagError, match=r'lacks drive_1\.mcap of its recording; copy it there'):
        levels(path)
    assert levels(path / 'drive.mcap') == [0, 1, 2, 3]


def add_channel(path: Path, encoding: bytes, text: bytes) -> None:
    """Put a schema and a channel of another system before the others in an mcap's index."""
    data = path.read_bytes()
    (start,) = struct.unpack_from('<Q', data, len(data) - 28)

    def sized(content: bytes) -> bytes:
        return struct.pack('<I', len(content)) + content

    def record(code: int, content: bytes) -> bytes:
        return bytes([code]) + struct.pack('<Q', len(content)) + content

    schema = struct.pack('<H', 77) + sized(b'foxglove.Log') + sized(encoding) + sized(text)
    channel = struct.pack('<HH', 77, 77) + sized(b'/log') + sized(b'json') + sized(b'')
    added = record(3, schema) + record(4, channel)
    path.write_bytes(data[:start] + added + data[start:])


@pytest.mark.parametrize(
    ('encoding', 'text'), [(b'jsonschema', b'{}'), (b'protobuf', b'\x0a\xff\xfe\x80')]
)
def test_channels_that_nobody_asked_for_disturb_nobody(
    tmp_path: Path, encoding: bytes, text: bytes
) -> None:
    path = write_bag(tmp_path / 'drive') / 'drive.mcap'
    add_channel(path, encoding, text)
    assert levels(path) == [0, 1, 2, 3]
    with BagReader(path) as bag:
        assert '/log' in bag.topics
        with pytest.raises(BagError, match=r'/log holds .* which is not a standard type'):
            next(bag.messages(['/log']))


def test_a_recording_of_ros_1_in_mcap_is_named_so(tmp_path: Path) -> None:
    path = write_bag(tmp_path / 'drive') / 'drive.mcap'
    path.write_bytes(path.read_bytes().replace(b'ros2', b'ros1', 1))
    with pytest.raises(BagError, match=r'no recording of ROS 2; .*rosbags-convert'):
        levels(path)


def test_compressed_files_without_metadata_say_what_to_do(tmp_path: Path) -> None:
    (tmp_path / 'x.db3.zstd').write_bytes(b'')
    with pytest.raises(BagError, match=r'decompress them with "zstd -d x\.db3\.zstd"'):
        levels(tmp_path)


def packed(path: Path, mode: CompressionMode) -> Path:
    writer = Writer(path, version=8, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection(
            '/eye/image', 'sensor_msgs/msg/Image', typestore=typestore()
        )
        for i in range(3):
            message = image_message(picture(i), START + i, 'eye')
            data = typestore().serialize_cdr(message, message.__msgtype__)
            writer.write(connection, START + i, data)
    return path


@pytest.mark.parametrize('mode', list(CompressionMode))
def test_every_compression_is_read(tmp_path: Path, mode: CompressionMode) -> None:
    if mode == CompressionMode.NONE:
        pytest.skip('that is what all others here have')
    assert levels(packed(tmp_path / 'drive', mode)) == [0, 1, 2]


def test_decompression_stops_at_what_was_said() -> None:
    from sg_depth_ros.bags import storage

    bomb = storage.zstd.compress(bytes(1 << 24))
    assert storage.unzstd(bomb, 1 << 24) == bytes(1 << 24)
    packed_lz4 = storage.lz4.compress(bytes(1 << 24))
    tracemalloc.start()
    with pytest.raises(Exception, match='more than the 1000 bytes'):
        storage.DECOMPRESSORS['zstd'](bomb, 1000)
    with pytest.raises(Exception, match='more than the 1000 bytes'):
        storage.DECOMPRESSORS['lz4'](packed_lz4, 1000)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    with pytest.raises(Exception, match='a chunk claims'):
        storage.DECOMPRESSORS['zstd'](bomb, 1 << 40)


def test_a_message_that_is_broken_when_decompressed_is_skipped(tmp_path: Path) -> None:
    path = packed(tmp_path / 'drive', CompressionMode.MESSAGE)
    file = path / 'drive.mcap'
    data = bytearray(file.read_bytes())
    place = data.index(b'\x28\xb5\x2f\xfd')
    data[place] ^= 1
    file.write_bytes(data)
    with BagReader(path) as bag:
        assert len(list(bag.images())) == 2
        assert len(bag.skipped) == 1


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'datatype': 255}, "field 'x' .* has the datatype 255, expected 1 to 8"),
        ({'datatype': 0}, 'has the datatype 0'),
        ({'offset': 2**31}, "field 'x' .* ends at byte"),
        ({'count': 2**31}, "field 'x' .* ends at byte"),
    ],
)
def test_point_fields_that_are_none_are_named(change: dict[str, int], message: str) -> None:
    cloud = point_cloud_message(np.zeros((3, 4), np.float32), START, 'lidar')
    for name, value in change.items():
        setattr(cloud.fields[0], name, value)
    with pytest.raises(ValueError, match=message):
        point_cloud_array(cloud)


def test_points_without_size_or_fields_are_refused() -> None:
    cloud = point_cloud_message(np.zeros((3, 4), np.float32), START, 'lidar')
    cloud.fields = []
    with pytest.raises(ValueError, match='points have no fields'):
        point_cloud_array(cloud)


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit on the size of files stands for a disk that is full."""
    import resource
    import signal

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
        with (
            pytest.raises(BagError, match=r'drive cannot be written \('),
            BagWriter(tmp_path / 'drive', storage) as bag,
        ):
            for i in range(8):
                bag.write('/eye/image', image_message(noise, START + i, 'eye'), START + i)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert list(tmp_path.iterdir()) == []


def test_crc_of_a_chunk_is_still_looked_at(tmp_path: Path) -> None:
    """Registering decompressors of our own must not turn rosbags' check off."""
    from sg_depth_ros.bags.storage import DECOMPRESSORS

    assert DECOMPRESSORS[''](b'ab', 2) == b'ab'
    path = write_bag(tmp_path / 'drive') / 'drive.mcap'
    data = bytearray(path.read_bytes())
    chunk = data.index(b'\x06', 8)
    content = struct.unpack_from('<Q', data, chunk + 1 + 8 + 16)[0]
    struct.pack_into('<I', data, chunk + 1 + 8 + 24, zlib.crc32(bytes(content)) | 1)
    path.write_bytes(data)
    with pytest.raises(BagError, match='checksum'):
        levels(path)
