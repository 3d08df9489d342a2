# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0

import logging

import cv2
import numpy as np
import pytest
from training_worlds import picture

from sg_depth_ros.bundle.labels import VOID
from sg_depth_ros.training.data.augmentation import JitterConfig
from sg_depth_ros.training.data.labelled import (
    CamVidLabels,
    CityscapesLabels,
    FolderLabels,
    StreetLabels,
    VideoLabels,
    refine_camvid,
)
from sg_depth_ros.training.data.order import Draw
from sg_depth_ros.training.data.segmentation import SegmentationDataset
from sg_depth_ros.training.data.sources import StreetSource

PLAIN = {'scale': (1, 1), 'stretch': 1, 'flip': False, 'jitter': JitterConfig(probability=0)}


def save(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


def labels(value=3):
    found = np.full((32, 64), value, np.uint8)
    found[:8] = 10
    return found


def write_folder(root, names=('a', 'b', 'c')):
    for number, name in enumerate(names):
        save(root / f'images/{name}.png', picture(number)[..., ::-1])
        save(root / f'labels/{name}.png', labels())
    return FolderLabels(images=root / 'images', labels=root / 'labels')


def test_a_folder_pairs_images_and_labels_by_name(tmp_path):
    source = write_folder(tmp_path)
    (tmp_path / 'labels/b.png').unlink()
    pairs = [load() for load in source.loaders()]
    assert len(pairs) == 2
    np.testing.assert_array_equal(pairs[1].image, picture(2))
    np.testing.assert_array_equal(pairs[1].labels, labels())
    with pytest.raises(ValueError, match='no label PNG has the name'):
        FolderLabels(images=tmp_path / 'images', labels=tmp_path).loaders()


def test_cityscapes_has_its_own_layout(tmp_path):
    save(tmp_path / 'leftImg8bit/train/ulm/ulm_1_leftImg8bit.png', picture(0)[..., ::-1])
    save(tmp_path / 'gtFine/train/ulm/ulm_1_gtFine_labelTrainIds.png', labels())
    (load,) = CityscapesLabels(root=tmp_path).loaders()
    np.testing.assert_array_equal(load().image, picture(0))
    with pytest.raises(ValueError, match=r'no CITY/.*labelIds.png; unpack gtFine_trainvaltest'):
        CityscapesLabels(root=tmp_path, split='val').loaders()


def test_cityscapes_labels_are_taken_as_they_are_downloaded(tmp_path):
    """Label ids and train ids by Cityscapes' own table of labels."""
    published = {
        0: 255, 4: 255, 7: 0, 8: 1, 9: 255, 11: 2, 12: 3, 13: 4, 16: 255, 17: 5, 18: 255, 19: 6,
        20: 7, 21: 8, 22: 9, 23: 10, 24: 11, 25: 12, 26: 13, 27: 14, 28: 15, 29: 255, 30: 255,
        31: 16, 32: 17, 33: 18, 255: 255,
    }  # fmt: skip
    ids = np.tile(np.array(list(published), np.uint8), (2, 1))
    for stem in ('ulm_1', 'ulm_2'):
        save(tmp_path / f'leftImg8bit/train/ulm/{stem}_leftImg8bit.png', picture(0)[..., ::-1])
        save(tmp_path / f'gtFine/train/ulm/{stem}_gtFine_labelIds.png', ids)
    # Where the scripts of Cityscapes have run, what they made is taken.
    save(tmp_path / 'gtFine/train/ulm/ulm_2_gtFine_labelTrainIds.png', labels())
    first, second = CityscapesLabels(root=tmp_path).loaders()
    assert first().labels[1].tolist() == list(published.values())
    np.testing.assert_array_equal(second().labels, labels())


def test_a_video_has_labels_of_some_frames(tmp_path):
    writer = cv2.VideoWriter(
        str(tmp_path / 'v.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 10, (64, 32)
    )
    for frame in range(4):
        writer.write(picture(frame)[..., ::-1])
    writer.release()
    save(tmp_path / 'labels/000002.png', labels())
    (load,) = VideoLabels(video=tmp_path / 'v.avi', labels=tmp_path / 'labels').loaders()
    assert np.abs(load().image.astype(int) - picture(2)).mean() < 8
    with pytest.raises(ValueError, match='no such video'):
        VideoLabels(video=tmp_path / 'w.avi', labels=tmp_path / 'labels').loaders()


def test_camvid_by_hand_decides_and_the_network_refines():
    hand = np.array([[3, 1, 5, 8, 1, 11, 8]], np.uint8)
    network = np.array([[2, 3, 9, 14, 0, 0, 0]], np.uint8)
    # Road; wall, a kind of building; terrain; truck; a building that the network calls road;
    # void; a car that the network calls road.
    expected = [[0, 3, 9, 14, 2, VOID, 13]]
    assert refine_camvid(hand, network).tolist() == expected


def test_camvid_is_read_by_split(tmp_path):
    folder = tmp_path / 'train'
    save(folder / 'images/x.png', picture(0)[..., ::-1])
    save(folder / 'labels/x.png', np.full((32, 64), 3, np.uint8))
    save(folder / 'cityscapes_labels/x.png', np.full((32, 64), 1, np.uint8))
    (load,) = CamVidLabels(root=tmp_path).loaders()
    assert (load().labels == 0).all()


def test_the_street_has_labels_too(tmp_path):
    street = StreetSource(cache=tmp_path, clips=1, frames=1, size=(64, 32))
    loaders = StreetLabels(street=street).loaders()
    assert len(loaders) == 1
    assert loaders[0]().labels.shape == (32, 64)


def test_the_plain_view_is_the_whole_image(tmp_path):
    data = SegmentationDataset([write_folder(tmp_path)], (64, 32), network_size=(64, 32), **PLAIN)
    image, found = data[Draw(1, 0)]
    expected = (image * 255).round().byte().permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(expected, picture(1))
    np.testing.assert_array_equal(found.numpy(), labels())


def test_views_move_image_and_labels_together(tmp_path):
    """The label is the brightness of the picture, so any shift between them would show."""
    ramp = np.tile(np.linspace(0, 18.99, 120).astype(np.uint8), (60, 1))
    save(tmp_path / 'images/a.png', np.repeat(ramp[..., None] * 13, 3, 2))
    save(tmp_path / 'labels/a.png', ramp)
    source = FolderLabels(images=tmp_path / 'images', labels=tmp_path / 'labels')
    data = SegmentationDataset(
        [source],
        (64, 32),
        network_size=(64, 32),
        scale=(0.6, 1.6),
        jitter=JitterConfig(probability=0),
    )
    sizes = set()
    for seed in range(12):
        image, found = data[Draw(0, seed)]
        known = found != VOID
        sizes.add(int(known.sum()))
        assert known.any()
        assert (image[:, ~known] == 0).all()
        shade = image[0][known] * 255 / 13
        assert (shade - found[known]).abs().mean() < 0.3
    assert len(sizes) > 1
    assert {draw.shape for draw in [data[Draw(0, 1)][0]]} == {(3, 32, 64)}


def test_broken_labels_are_replaced_and_named(tmp_path, caplog):
    source = write_folder(tmp_path)
    (tmp_path / 'labels/a.png').write_bytes(b'broken')
    data = SegmentationDataset([source], (64, 32), network_size=(64, 32), **PLAIN)
    with caplog.at_level(logging.WARNING):
        image, _ = data[Draw(0, 0)]
    assert (image * 255).round().byte().permute(1, 2, 0).numpy().tolist() == picture(1).tolist()
    assert 'a.png' in caplog.text
    for name in 'bc':
        (tmp_path / f'images/{name}.png').write_bytes(b'broken')
    with pytest.raises(ValueError, match='20 labelled images in a row'):
        data[Draw(0, 0)]
