# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0

import cv2
import numpy as np
import pytest

from sg_depth_ros.bags import BagError, BagWriter, image_message
from sg_depth_ros.bags.recorded_images import spread_images
from sg_depth_ros.images.video import VideoWriter
from sg_depth_ros.synthetic import drive, street_camera, write_bag, write_folder


@pytest.fixture(scope='module')
def frames():
    return list(drive(street_camera(64, 32), 7, seed=1))


def write_images(folder, frames):
    folder.mkdir(parents=True)
    for index, frame in enumerate(frames):
        cv2.imwrite(str(folder / f'{index:06d}.png'), frame.image[..., ::-1])


def write(kind, path, frames):
    """Write a recording of a kind; gives its path."""
    if kind == 'bag':
        write_bag(path, frames, 'mcap')
    elif kind == 'drive':
        write_folder(path, frames)
    elif kind == 'video':
        path = path.with_suffix('.mp4')
        with VideoWriter(path, 10.0) as video:
            for frame in frames:
                video.write(frame.image)
    else:
        write_images(path / kind if kind == 'frames' else path, frames)
    return path


@pytest.mark.parametrize('kind', ['bag', 'drive', 'frames', 'flat', 'video'])
def test_images_are_spread_from_the_first_to_the_last(kind, frames, tmp_path):
    path = write(kind, tmp_path / 'recording', frames)
    found = list(spread_images(path, 3, 64, 32))
    # Video is compressed, which dark or noisy pixels show most.
    limit = 30 if kind == 'video' else 0
    for image, index in zip(found, (0, 3, 6), strict=True):
        difference = np.abs(image.astype(int) - frames[index].image)
        assert difference.mean() <= limit / 4 and np.median(difference) <= limit
    assert len(list(spread_images(path, 99, 32, 16))) == 7
    assert next(spread_images(path, 1, 32, 16)).shape == (16, 32, 3)


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ValueError, match='nothing does not exist; give a bag, a folder'):
        list(spread_images(tmp_path / 'nothing', 2, 64, 32))
    with pytest.raises(BagError):
        list(spread_images(tmp_path, 2, 64, 32))
    with BagWriter(tmp_path / 'stereo') as bag:
        for eye in ('left', 'right'):
            bag.write(f'/{eye}/image', image_message(np.zeros((8, 8, 3), np.uint8), 1, eye), 1)
    with pytest.raises(BagError, match=r'/left/image, /right/image.* give a bag of one camera'):
        list(spread_images(tmp_path / 'stereo', 2, 64, 32))
