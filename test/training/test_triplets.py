# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0

import logging

import cv2
import numpy as np
import pytest
import torch
from training_worlds import CAMERA, FPS, SPEED, picture, write_drive

from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.training.data.augmentation import JitterConfig
from sg_depth_ros.training.data.order import Draw
from sg_depth_ros.training.data.sources import FolderSource
from sg_depth_ros.training.data.triplets import TripletDataset

PLAIN = JitterConfig(probability=0)


def as_image(tensor):
    return (tensor * 255).round().byte().permute(1, 2, 0).numpy()


def test_a_sample_is_the_target_and_its_neighbours(drive_folder):
    data = TripletDataset([FolderSource(path=drive_folder)], (64, 32), PLAIN)
    assert len(data) == 6
    assert data.name(2).endswith('pattern:3')
    sample = data[Draw(2, 0)]
    for image, frame in zip(sample.images, (3, 2, 4), strict=True):
        np.testing.assert_array_equal(as_image(image), picture(frame))
    assert torch.equal(sample.images, sample.jittered)
    np.testing.assert_allclose(sample.intrinsics.numpy(), CAMERA.matrix, rtol=1e-6)
    np.testing.assert_allclose(sample.distance.numpy(), SPEED / FPS, rtol=1e-6)
    assert sample.mask.all() and sample.truth.isnan().all() and (sample.labels == 255).all()
    assert sample.camera == -1


def test_crop_mask_and_size_keep_the_geometry(tmp_path):
    folder = write_drive(tmp_path / 'a', poses=True)
    hood = np.full((32, 64), 255, np.uint8)
    hood[24:] = 0
    cv2.imwrite(str(tmp_path / 'hood.png'), hood)
    source = FolderSource(
        path=folder, mask=tmp_path / 'hood.png', crop=(0.25, 0.0, 0.75, 1.0), step=2
    )
    data = TripletDataset([source], (16, 16), PLAIN)
    sample = data[Draw(0, 0)]
    # 32 x 32 pixels from x = 16 on, halved; pixel centres stay centres.
    expected = [CAMERA.fx / 2, CAMERA.fy / 2, (CAMERA.cx - 16 + 0.5) / 2 - 0.5, 7.5]
    k = sample.intrinsics
    assert [k[0, 0], k[1, 1], k[0, 2], k[1, 2]] == pytest.approx(expected, rel=1e-6)
    assert sample.mask[0, :12].all() and not sample.mask[0, 12:].any()
    assert (data.mask(0) == sample.mask[0].numpy()).all()
    assert data.mask(0, (32, 32))[:24].all() and not data.mask(0, (32, 32))[24:].any()
    np.testing.assert_allclose(sample.distance.numpy(), 2 * SPEED / FPS, rtol=1e-6)
    image, camera = data.target(0)
    assert image.shape == (16, 16, 3)
    assert (camera.fx, camera.cx) == pytest.approx((expected[0], expected[2]))


def test_no_truth_is_learned_where_the_vehicle_hides_the_view(street_clip, tmp_path):
    hood = np.full((64, 192), 255, np.uint8)
    hood[48:] = 0
    cv2.imwrite(str(tmp_path / 'hood.png'), hood)
    source = FolderSource(
        path=street_clip[1], use_depth=True, stills=True, mask=tmp_path / 'hood.png'
    )
    truth = TripletDataset([source], (192, 64), PLAIN)[Draw(0, 0)].truth[0]
    assert truth[48:].isnan().all() and not truth[:48].isnan().any()


def test_a_target_of_an_unknown_camera_has_what_was_learned_or_the_guess(tmp_path):
    source = FolderSource(
        path=write_drive(tmp_path / 'a', camera=False), min_motion=0, crop=(0.0, 0.5, 1.0, 1.0)
    )
    data = TripletDataset([source], (32, 8), PLAIN)
    # The guess is of the whole image, of which the lower half is seen.
    _, guess = data.target(0)
    assert (guess.fx, guess.fy, guess.cy) == pytest.approx((28.8, 28.8, -0.5))
    _, learned = data.target(0, {f'{tmp_path.name}/a': CAMERA})
    assert learned == CAMERA.cropped(0, 16, 64, 16).resized(32, 8)


def test_a_zoomed_sample_shows_the_same_points(tmp_path):
    """Depth and intrinsics of a part of the image belong together: a slope stays that slope."""
    normal = np.array([0.3, -0.2, 1.0])
    depth = (6 / (CAMERA.rays() @ normal)).astype(np.float32)
    folder = write_drive(tmp_path / 'a')
    (folder / 'depth').mkdir()
    for frame in range(5):
        path = str(folder / f'depth/{frame:06d}.png')
        cv2.imwrite(path, np.round(depth * 256).astype(np.uint16))
    source = FolderSource(path=folder, use_depth=True)
    data = TripletDataset([source], (64, 32), PLAIN, zoom=0.5)
    focal = set()
    for seed in range(8):
        sample = data[Draw(0, seed)]
        k = sample.intrinsics.double().numpy()
        seen = PinholeCamera.from_matrix(k, 64, 32)
        points = seen.rays() * sample.truth[0].numpy()[..., None]
        # Nearest pixels are up to half a pixel of the whole image away.
        np.testing.assert_allclose(points @ normal, 6, rtol=0.02)
        focal.add(round(k[0, 0], 3))
        assert 0.99 * CAMERA.fx <= k[0, 0] <= 2.01 * CAMERA.fx
    assert len(focal) > 4


def test_the_seed_of_a_draw_decides_its_changes(drive_folder):
    data = TripletDataset([FolderSource(path=drive_folder)], (32, 32), JitterConfig(probability=1))
    first, again, other = data[Draw(1, 7)], data[Draw(1, 7)], data[Draw(1, 8)]
    for a, b in zip(first, again, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)
    assert not torch.equal(first.jittered, other.jittered)
    assert torch.equal(first.images, other.images)
    assert len({bool(data[Draw(1, seed)].mirror) for seed in range(12)}) == 2


def test_broken_samples_are_replaced_counted_and_named(tmp_path, caplog):
    folder = write_drive(tmp_path / 'a', frames=8, poses=True)
    data = TripletDataset([FolderSource(path=folder)], (64, 32), PLAIN)
    (folder / 'images' / '000003.png').write_bytes(b'\x89PNG broken')
    with caplog.at_level(logging.WARNING):
        sample = data[Draw(2, 0)]  # target 3; 4 has it as a neighbour, 5 is whole
    assert sample.replaced == 2
    np.testing.assert_array_equal(as_image(sample.images[0]), picture(5))
    assert '000003.png' in caplog.text
    for path in (folder / 'images').glob('*.png'):
        path.write_bytes(b'')
    with pytest.raises(ValueError, match='20 samples in a row cannot be read'):
        data[Draw(0, 0)]


def test_truth_and_labels_are_resized_to_the_nearest(street_clip):
    frames, folder = street_clip
    data = TripletDataset([FolderSource(path=folder, use_depth=True)], (96, 32), PLAIN)
    sample = data[Draw(0, 0)]
    truth, labels = sample.truth[0].numpy(), sample.labels.numpy()
    true_depth = np.where(frames[1].depth < 255, frames[1].depth, np.inf)
    candidates = np.stack([true_depth[y::2, x::2] for y in (0, 1) for x in (0, 1)])
    known = np.isfinite(truth)
    gap = np.abs(candidates[:, known] - truth[known]).min(0)
    assert gap.max() < 1 / 256
    assert set(np.unique(labels)) <= set(np.unique(frames[1].labels))
    assert known.mean() > 0.5


def test_stills_are_learned_from_truth_without_neighbours(street_clip):
    frames, folder = street_clip
    data = TripletDataset([FolderSource(path=folder, use_depth=True, stills=True)], (192, 64))
    assert len(data) == len(frames) == 3
    sample = data[Draw(0, 0)]
    for images in (sample.images, sample.jittered):
        assert images.shape == (3, 3, 64, 192)
        assert torch.equal(images[0], images[1]) and torch.equal(images[0], images[2])
    np.testing.assert_array_equal(as_image(sample.images[0]), frames[0].image)
    seen = np.isfinite(frames[0].depth) & (frames[0].depth < 200)
    np.testing.assert_allclose(sample.truth[0].numpy()[seen], frames[0].depth[seen], atol=0.002)
    assert sample.distance.isnan().all()
    data = TripletDataset(
        [FolderSource(path=folder, use_depth=True, stills=True)],
        (192, 64),
        kept=[data.name(2)],
    )
    assert len(data) == 1


def test_stills_without_truth_are_refused(drive_folder):
    with pytest.raises(ValueError, match=r'said to be stills.*set use_depth'):
        TripletDataset([FolderSource(path=drive_folder, stills=True)], (64, 32))
