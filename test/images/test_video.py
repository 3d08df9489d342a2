# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Videos as recorders and editors leave them: cut off, of uneven times, turned, too large."""

import struct
from pathlib import Path

import numpy as np
import pytest

from sg_depth_ros.images.video import VideoReader, VideoWriter

FRAMES = 12


def picture(index: int) -> np.ndarray:
    """Upright: bright above, and the index as a gray level."""
    rgb = np.full((48, 64, 3), 60 + 10 * index, np.uint8)
    rgb[:10] = 255
    return rgb


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / 'v.mp4'
    with VideoWriter(path, 10) as writer:
        for index in range(FRAMES):
            writer.write(picture(index))
    if not path.exists():
        pytest.skip('this OpenCV has no MPEG-4 encoder')
    return path


def test_the_times_of_an_even_video(video: Path) -> None:
    reader = VideoReader(video)
    times = [frame.seconds for frame in reader.timed()]
    np.testing.assert_allclose(times, np.arange(FRAMES) / 10, atol=1e-6)
    assert reader.fault == ''


def uneven(video: Path, shown: list[int]) -> Path:
    """Let each frame be shown for that many tenths: another table of times in the MP4."""
    data = bytearray(video.read_bytes())
    place = data.index(b'stts')
    size = struct.unpack_from('>I', data, place - 4)[0]
    (unit,) = struct.unpack_from('>I', data, place + 16)
    entries = b''.join(struct.pack('>II', 1, unit * tenths) for tenths in shown)
    table = b'stts' + struct.pack('>II', 0, len(shown)) + entries
    longer = len(table) + 4 - size
    for box in (b'moov', b'trak', b'mdia', b'minf', b'stbl', b'stts'):
        start = data.index(box) - 4
        struct.pack_into('>I', data, start, struct.unpack_from('>I', data, start)[0] + longer)
    data[place : place - 4 + size] = table
    # The list of edits has the length that it was.
    data[data.index(b'edts') : data.index(b'edts') + 4] = b'free'
    path = video.with_name('uneven.mp4')
    path.write_bytes(data)
    return path


def test_uneven_times_are_read_and_written(video: Path, tmp_path: Path) -> None:
    shown = [1, 1, 5, 1, 1, 10, 1, 1, 2, 1, 1, 1]
    reader = VideoReader(uneven(video, shown))
    frames = list(reader.timed())
    expected = np.cumsum([0, *shown[:-1]]) / 10
    # OpenCV before 4.6 knows no times for the last frames.
    np.testing.assert_allclose([f.seconds for f in frames[:-2]], expected[:-2], atol=1e-3)
    assert reader.fault == ''
    with VideoWriter(tmp_path / 'again.mp4', 10) as writer:
        for frame, seconds in zip(frames, expected, strict=True):
            writer.write(frame.rgb, float(seconds))
    again = [int(image[30, 30, 0]) for image in VideoReader(tmp_path / 'again.mp4')]
    changes = np.flatnonzero(np.abs(np.diff(again)) > 5) + 1
    np.testing.assert_array_equal(changes, np.cumsum(shown[:-1]))


def test_no_time_makes_a_written_video_endless(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / 'v.mp4', 10) as writer:
        for index, seconds in enumerate((0.0, 1e9, 1e9, 2e9)):
            writer.write(picture(index), seconds)
    assert len(list(VideoReader(tmp_path / 'v.mp4'))) < 400


def with_the_index_first(video: Path) -> bytes:
    """Order an MP4 as recorders do that write for the network."""
    data, boxes, place = video.read_bytes(), {}, 0
    while place < len(data):
        (size,) = struct.unpack_from('>I', data, place)
        boxes[data[place + 4 : place + 8]] = data[place : place + size]
        place += size
    index = bytearray(boxes.pop(b'moov'))
    kind = boxes.pop(b'ftyp')
    before = data.index(b'mdat') - 4 - len(kind)
    offsets = index.index(b'stco') + 8
    (count,) = struct.unpack_from('>I', index, offsets)
    for entry in range(offsets + 4, offsets + 4 + 4 * count, 4):
        (old,) = struct.unpack_from('>I', index, entry)
        struct.pack_into('>I', index, entry, old + len(index) - before)
    return kind + bytes(index) + boxes[b'mdat']


def test_a_video_that_was_cut_off_is_not_taken_for_whole(video: Path) -> None:
    data = with_the_index_first(video)
    path = video.with_name('w.mp4')
    path.write_bytes(data)
    whole = VideoReader(path)
    assert len(list(whole)) == FRAMES
    assert whole.fault == ''
    path.write_bytes(data[: len(data) - (len(data) - data.index(b'mdat')) // 2])
    cut = VideoReader(path)
    found = len(list(cut))
    assert 0 < found < FRAMES
    assert f'w.mp4 is cut off or damaged: {found} frames of about 12' in cut.fault


def test_a_video_that_says_it_is_turned_comes_upright(video: Path) -> None:
    data = bytearray(video.read_bytes())
    matrix = data.index(b'tkhd') + 4 + 40
    one = 1 << 16
    # A quarter turn clockwise, as phones write it that are held upright.
    struct.pack_into('>9i', data, matrix, 0, one, 0, -one, 0, 0, 0, 0, 1 << 30)
    turned = video.with_name('turned.mp4')
    turned.write_bytes(data)
    image = next(iter(VideoReader(turned)))
    assert image.shape == (64, 48, 3)
    np.testing.assert_allclose(image, np.rot90(next(iter(VideoReader(video))), -1), atol=2)


def test_what_is_no_video_is_refused(tmp_path: Path, video: Path) -> None:
    (tmp_path / 'text.mp4').write_text('no video')
    for name, message in (('none.mp4', 'is no file'), ('text.mp4', 'is no video'), ('.', 'file')):
        with pytest.raises(ValueError, match=message):
            VideoReader(tmp_path / name)
    with pytest.raises(ValueError, match='64x48 pixels, more than 100; make'):
        VideoReader(video, max_pixels=100)


def test_a_disk_that_is_full_leaves_no_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VideoWriter, '_append', lambda self, bgr: setattr(self, '_count', 99))
    with (
        pytest.raises(OSError, match='could not be written whole, 0 of 99 frames'),
        VideoWriter(tmp_path / 'v.mp4', 10) as writer,
    ):
        writer.write(picture(0))
    assert list(tmp_path.iterdir()) == []
