# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import cv2
import numpy as np
import pytest

from sg_depth_ros.bundle.labels import palette
from sg_depth_ros.images import visualise
from sg_depth_ros.images.ply import write_ply
from sg_depth_ros.images.video import VideoReader, VideoWriter


def turbo(level: int) -> list[int]:
    bgr = cv2.applyColorMap(np.full((1, 1), level, np.uint8), cv2.COLORMAP_TURBO)
    return bgr[0, 0, ::-1].tolist()


def test_depth_is_coloured_by_inverse_depth() -> None:
    depth = np.array([[2.0, 40.0, 1.0, 99.0], [np.inf, np.nan, 0.0, -1.0]], np.float32)
    colors = visualise.colorize_depth(depth, 2.0, 40.0)
    assert colors.shape == (2, 4, 3)
    assert colors[0].tolist() == [turbo(255), turbo(0), turbo(255), turbo(0)]
    assert colors[1, 0].tolist() == list(visualise.SKY_COLOR)
    assert colors[1, 1:].tolist() == [[0, 0, 0]] * 3
    # Halfway in inverse depth between 1/2 and 1/40 lies 1/(0.2625) = 3.81 m.
    halfway = visualise.colorize_depth(np.array([[1 / 0.2625]]), 2.0, 40.0)
    assert halfway[0, 0].tolist() in (turbo(127), turbo(128))
    near, far = colors[0, 0].astype(int), colors[0, 1].astype(int)
    assert near[0] > near[2]  # near is red
    assert far[2] > far[0]  # far is blue


def test_depth_range_ignores_sky_and_unknown() -> None:
    depth = np.full((40, 40), np.inf, np.float32)
    depth[:20] = np.linspace(3, 53, 20, dtype=np.float32)[:, None]
    depth[4] = np.nan
    near, far = visualise.depth_range([depth])
    assert 3 <= near < 4
    assert 40 < far <= 53
    with pytest.raises(ValueError, match='no depth image has a finite'):
        visualise.depth_range([np.full((8, 8), np.nan)])
    near, far = visualise.depth_range([np.full((8, 8), 5.0)])
    assert near < far


def test_labels_and_legend() -> None:
    labels = np.array([[0, 13], [10, 255]], np.uint8)
    colors = visualise.colorize_labels(labels, palette())
    assert colors.tolist() == [[[128, 64, 128], [0, 0, 142]], [[70, 130, 180], [0, 0, 0]]]
    legend = visualise.depth_legend(2.0, 40.0, 300)
    assert legend.shape == (visualise.LEGEND_HEIGHT, 300, 3)
    assert legend[0, 0].tolist() == turbo(255)
    assert legend[0, -1].tolist() == turbo(0)


def test_pictures_are_joined() -> None:
    wide, small = np.full((40, 120, 3), 50, np.uint8), np.full((20, 60, 3), 200, np.uint8)
    stacked = visualise.side_by_side([wide, small], ['a', 'b'])
    assert stacked.shape == (80, 120, 3)
    assert stacked[35, 100].tolist() == [50] * 3
    assert stacked[75, 100].tolist() == [200] * 3
    assert wide.max() == 50  # titles are not written into the caller's picture
    beside = visualise.side_by_side([wide[:, :50], wide[:, :50]])
    assert beside.shape == (40, 100, 3)
    sheet = visualise.strip([wide, wide + 1, wide + 2])
    assert sheet.shape == (80, 240, 3)
    assert [int(v) for v in (sheet[0, 0, 0], sheet[0, 120, 0], sheet[40, 0, 0])] == [50, 51, 52]


def test_nearer_points_hide_farther_ones() -> None:
    rng = np.random.default_rng(0)
    front = np.stack([*rng.uniform(-1, 1, (2, 20000)), np.full(20000, 5.0)], 1)
    back = front * [1.5, 1.5, 2.0]
    points = np.concatenate([front, back, [[np.nan, 0, 1], [0, 0, -1]]])
    colors = np.zeros((len(points), 3), np.uint8)
    colors[:20000] = (255, 0, 0)
    colors[20000:] = (0, 255, 0)
    for order in (np.arange(len(points)), np.arange(len(points))[::-1]):
        picture = visualise.render_points(points[order], colors[order], 320, 180)
        red = (picture == (255, 0, 0)).all(2)
        green = (picture == (0, 255, 0)).all(2)
        assert red.sum() > 500
        assert green.sum() > 500
        inner = cv2.erode(red.astype(np.uint8), np.ones((9, 9))) > 0
        assert inner.sum() > 100
        assert not (inner & green).any()
    assert visualise.render_points(np.empty((0, 3)), np.empty((0, 3), np.uint8)).std() < 5


def test_up_is_up_in_the_rendered_cloud() -> None:
    ground = np.stack([*np.random.default_rng(0).uniform(-3, 3, (2, 4000)), np.zeros(4000)], 1)
    low = ground[:, [0, 2, 1]] + [0, 1.5, 10]
    high = ground[:, [0, 2, 1]] + [0, -1.5, 10]
    colors = np.repeat(np.array([[255, 0, 0], [0, 0, 255]], np.uint8), 4000, 0)
    picture = visualise.render_points(np.concatenate([low, high]), colors)
    rows = np.arange(picture.shape[0])
    low_row = np.average(rows, weights=(picture == (255, 0, 0)).all(2).sum(1))
    high_row = np.average(rows, weights=(picture == (0, 0, 255)).all(2).sum(1))
    assert high_row < low_row


def test_ply_is_binary_and_complete(tmp_path: Path) -> None:
    points = np.array([[1, 2, 3], [np.nan, 0, 0], [-1.5, 0.25, 9]], np.float32)
    colors = np.array([[255, 0, 1], [9, 9, 9], [2, 128, 3]], np.uint8)
    assert write_ply(tmp_path / 'a.ply', points, colors, np.array([13, 1, 0])) == 2
    header, _, body = (tmp_path / 'a.ply').read_bytes().partition(b'end_header\n')
    assert header.decode().splitlines() == [
        'ply',
        'format binary_little_endian 1.0',
        'element vertex 2',
        *(f'property float {axis}' for axis in 'xyz'),
        *(f'property uchar {name}' for name in ('red', 'green', 'blue', 'label')),
    ]
    assert len(body) == 2 * 16
    assert np.frombuffer(body[16:28], '<f4').tolist() == [-1.5, 0.25, 9]
    assert list(body[28:]) == [2, 128, 3, 0]
    write_ply(tmp_path / 'b.ply', points, colors)
    assert (tmp_path / 'b.ply').stat().st_size == len(header) + 11 + 2 * 15 - len(
        'property uchar label\n'
    )


def test_video_round_trip(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / 'v.mp4', 12.5) as writer:
        for level in (40, 120, 200):
            writer.write(np.full((49, 65, 3), (level, 0, 255 - level), np.uint8))
    if not (tmp_path / 'v.mp4').exists():
        pytest.skip('this OpenCV has no MPEG-4 encoder')
    reader = VideoReader(tmp_path / 'v.mp4')
    frames = list(reader)
    assert (reader.fps, reader.frames, len(frames)) == (12.5, 3, 3)
    assert frames[0].shape == (48, 64, 3)
    for frame, level in zip(frames, (40, 120, 200), strict=True):
        np.testing.assert_allclose(frame.mean((0, 1)), (level, 0, 255 - level), atol=8)


def test_no_video_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), VideoWriter(tmp_path / 'v.mp4', 10) as writer:
        writer.write(np.zeros((48, 64, 3), np.uint8))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    (tmp_path / 'no.mp4').write_text('text')
    with pytest.raises(ValueError, match='no video that OpenCV can read'):
        VideoReader(tmp_path / 'no.mp4')
