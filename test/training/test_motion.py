# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0

import pickle
import time
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from training_worlds import picture

from sg_depth_ros.training.data import motion
from sg_depth_ros.training.data.frames import ImageFiles, SpooledFrames
from sg_depth_ros.training.data.motion import change, select_targets, thumbnail
from sg_depth_ros.training.data.sequence import Sequence


class Broken(list):
    """Frames of which some cannot be read."""

    def __getitem__(self, index):
        if super().__getitem__(index) is None:
            raise ValueError(f'image {index} is broken')
        return super().__getitem__(index)


def large(shift, seed=0):
    """Give a smooth random picture (240, 400, 3), moved by whole pixels, with sensor noise."""
    noise = np.random.default_rng(seed).random((30, 60, 3)).astype(np.float32)
    world = cv2.resize(noise, (600, 300), interpolation=cv2.INTER_CUBIC)
    image = 40 + 170 * world[20:260, 50 + shift : 450 + shift]
    grain = np.random.default_rng(100 * seed + shift).normal(0, 2, image.shape)
    return np.clip(image + grain, 0, 255).astype(np.uint8)


def select(frames, step=1, min_motion=0.5, **known):
    return select_targets(Sequence('s', frames, None, **known), step, min_motion, 0.05)


def test_ends_have_no_neighbours():
    selection = select([picture(i) for i in range(6)], step=2, min_motion=0)
    assert selection.targets.tolist() == [2, 3]
    assert selection.left_out == {'no neighbour': 4}
    assert select([picture(0)]).targets.tolist() == []


def test_standing_is_seen_in_the_images():
    shifts = [0, 4, 8, 8, 8, 8, 12, 16]
    frames = SpooledFrames.of_images(large(shift) for shift in shifts)
    selection = select(frames)
    # Frames 2 and 5 move on one side alone, which is not enough.
    assert selection.targets.tolist() == [1, 6]
    assert selection.left_out == {'standing still': 4, 'no neighbour': 2}


def test_a_cut_is_not_taken_for_motion():
    frames = [large(4 * i, seed=1) for i in range(4)] + [large(4 * i, seed=2) for i in range(4)]
    selection = select(frames)
    assert selection.targets.tolist() == [1, 2, 5, 6]
    assert selection.left_out['cut'] == 2


def test_distances_are_believed_before_images():
    frames = Broken([None] * 6)
    selection = select(frames, moved=np.array([1.0, 1.0, 0.01, 1.0, 1.0]))
    assert selection.targets.tolist() == [1, 4]
    assert selection.left_out['standing still'] == 2
    # Images are looked at where the distance is unknown, and those that are broken named.
    selection = select(frames, moved=np.array([1.0, 1.0, np.nan, 1.0, 1.0]))
    assert selection.targets.tolist() == [1, 4]
    assert selection.left_out['broken image'] == 2
    assert selection.broken == ['image 2 is broken', 'image 3 is broken']


def test_gaps_in_time_are_not_stepped_over():
    stamps = np.array([0, 1, 2, 3, 7, 8, 9, 8.5, 10]) / 10
    frames = [picture(i) for i in range(9)]
    selection = select(frames, min_motion=0, stamps=stamps)
    assert selection.targets.tolist() == [1, 2, 5]
    assert selection.left_out['gap in time'] == 4
    # One lost image is no harm.
    stamps = np.array([0, 1, 3, 4]) / 10
    assert select(frames[:4], min_motion=0, stamps=stamps).targets.tolist() == [1, 2]


def test_a_split_limits_the_targets():
    listed = np.array([True, False, True, True, True])
    selection = select([picture(i) for i in range(5)], min_motion=0, listed=listed)
    assert selection.targets.tolist() == [2, 3]


def test_images_of_two_sizes_are_no_pair():
    frames = [picture(i) for i in range(3)] + [picture(i, 64, 48) for i in range(3, 6)]
    selection = select(frames, min_motion=0.1)
    assert selection.left_out['other size'] == 2


def test_wide_images_are_high_enough_for_the_flow():
    before, after = (thumbnail(large(shift)[:50]) for shift in (0, 8))
    assert before.shape == (32, 200)
    # 8 of 400 pixels.
    assert change(before, after).flow == pytest.approx(20, rel=0.1)


def test_flow_is_in_thousandths_of_the_width():
    small = [thumbnail(large(shift)) for shift in (0, 8)]
    flow, cut = change(*small)
    assert flow == pytest.approx(1000 * 8 / 400, rel=0.15)
    assert not cut


def test_the_cut_of_a_real_clip_is_found(real_data):
    video = cv2.VideoCapture(str(real_data / 'clips' / 'coast.mp4'))
    before, last, first = [thumbnail(video.read()[1]) for _ in range(92)][-3:]
    assert change(last, first).cut
    assert not change(before, last).cut


def test_what_was_seen_is_kept_and_looked_at_once(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    shifts = [0, 4, 8, 8, 8, 8, 12, 16]
    looked = []
    monkeypatch.setattr(motion, 'change', lambda a, b: looked.append(1) or change(a, b))
    images = [large(shift) for shift in shifts]
    first = select(SpooledFrames.of_images(images))
    assert len(looked) == 7
    again = select(SpooledFrames.of_images(images))
    assert len(looked) == 7
    assert again.targets.tolist() == first.targets.tolist() == [1, 6]
    assert again.left_out == first.left_out
    # Another limit needs no other look; another step or image does.
    assert select(SpooledFrames.of_images(images), min_motion=20).targets.tolist() == []
    assert len(looked) == 7
    select(SpooledFrames.of_images(images), step=2)
    assert len(looked) == 13
    select(SpooledFrames.of_images(images[1:]))
    assert len(looked) == 19
    for file in (tmp_path / 'sg_depth_ros/motion').glob('*.json'):
        file.write_text('{"pairs": {"0": [')
    assert select(SpooledFrames.of_images(images)).targets.tolist() == [1, 6]
    assert len(looked) == 26
    assert 'is damaged' in caplog.text


def test_files_are_told_again_by_name_size_and_time(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    for frame in range(4):
        cv2.imwrite(str(tmp_path / f'{frame}.png'), large(4 * frame))
    (tmp_path / '3.png').write_bytes(b'no image')
    paths = sorted(tmp_path.glob('*.png'))
    first = select(ImageFiles(paths))
    assert first.left_out['broken image'] == 1 and '3.png' in first.broken[0]
    with monkeypatch.context() as patch:
        patch.setattr(motion, 'thumbnail', lambda _: pytest.fail('looked again'))
        assert select(ImageFiles(paths)).broken == first.broken
    cv2.imwrite(str(tmp_path / '3.png'), large(12))
    assert select(ImageFiles(paths)).targets.tolist() == [1, 2]


def test_without_a_folder_for_it_images_are_looked_at_every_time(tmp_path, monkeypatch, caplog):
    (tmp_path / 'file').touch()
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
    frames = SpooledFrames.of_images(large(4 * frame) for frame in range(4))
    assert select(frames).targets.tolist() == [1, 2]
    assert 'set XDG_CACHE_HOME' in caplog.text


def test_of_two_processes_one_looks(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    frames = SpooledFrames.of_images(large(4 * frame) for frame in range(6))
    looked = []

    def slow(a, b):
        looked.append(1)
        time.sleep(0.05)
        return change(a, b)

    monkeypatch.setattr(motion, 'change', slow)
    # Locks of files are between their openings, so threads stand for processes.
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda _: select(frames).targets.tolist(), range(2)))
    assert found == [[1, 2, 3, 4]] * 2
    assert len(looked) == 5


def test_a_spool_keeps_order_and_is_read_by_other_processes():
    frames = SpooledFrames.of_images(picture(i) for i in range(3))
    assert np.abs(frames[2].astype(int) - picture(2)).mean() < 8
    copy = pickle.loads(pickle.dumps(frames))
    np.testing.assert_array_equal(copy[1], frames[1])
    frames.reorder([2, 0, 1])
    np.testing.assert_array_equal(frames[0], copy[2])
    assert len(frames) == 3
