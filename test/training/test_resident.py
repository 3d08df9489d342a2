# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames that are kept in memory make the samples that a loader makes, in the same order."""

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from training_worlds import depth_settings, write_drive

from sg_depth_ros.training.data.augmentation import Change, ColorJitter, JitterConfig
from sg_depth_ros.training.data.augmentation import change_images as on_arrays
from sg_depth_ros.training.data.changes import change_images
from sg_depth_ros.training.data.frame_memory import FrameMemory, free_memory
from sg_depth_ros.training.data.order import OrderedSampler, sample_order
from sg_depth_ros.training.data.resident import ResidentBatches
from sg_depth_ros.training.data.sources import FolderSource
from sg_depth_ros.training.data.triplets import Sample, TripletDataset
from sg_depth_ros.training.run import train_depth

CPU = torch.device('cpu')
EVERYTHING = JitterConfig(probability=0.7, hue=0.5, gray=0.3, blur=1.5, noise=0.05, night=0.4)


def dataset(folder, *more, jitter=EVERYTHING, size=(64, 32)):
    return TripletDataset([FolderSource(path=folder, crop=(0.1, 0, 1, 0.9)), *more], size, jitter)


def sampler(data, start=0):
    order = sample_order([len(data)], [1.0], 24, seed=5)
    return OrderedSampler(order, 5, batch=4, start=start)


def both(data, start=0, threads=2, together=None):
    """Give all batches of a loader, and those out of a memory."""
    memory = FrameMemory.that_fits(data.frames(), data.size, CPU)
    kept = ResidentBatches(data, memory, sampler(data, start), 4, CPU, threads, together)
    assert len(kept) == 6
    return list(DataLoader(data, 4, sampler=sampler(data, start))), list(kept)


def assert_same(expected, found, together=False):
    assert len(expected) == len(found)
    for one, other in zip(expected, found, strict=True):
        assert isinstance(other, Sample)
        for name, a, b in zip(Sample._fields, one, other, strict=True):
            assert a.dtype == b.dtype and a.shape == b.shape
            # Sums in another order, and angles of the hue.
            tolerance = 1e-4 if name == 'jittered' and together else 0
            torch.testing.assert_close(b, a, atol=tolerance, rtol=0, equal_nan=True, msg=name)


@pytest.mark.parametrize(('start', 'together'), [(0, True), (3, True), (0, False)])
def test_the_samples_are_those_of_the_loader(drive_folder, street_clip, start, together, tmp_path):
    """As a GPU changes them, and as a CPU does."""
    hood = np.full((64, 192), 255, np.uint8)
    hood[48:] = 0
    cv2.imwrite(str(tmp_path / 'hood.png'), hood)
    still = FolderSource(
        path=street_clip[1], use_depth=True, stills=True, mask=tmp_path / 'hood.png'
    )
    expected, found = both(dataset(drive_folder, still), start, together=together)
    assert len(expected) == 6 - start
    assert_same(expected, found, together)
    assert any((batch.jittered != batch.images).any() for batch in found)


def test_broken_samples_are_replaced_as_by_the_loader(tmp_path, monkeypatch):
    folder = write_drive(tmp_path / 'a', frames=9, poses=True)
    data = dataset(folder)
    (folder / 'images' / '000003.png').write_bytes(b'\x89PNG broken')
    # And one of another size, which its neighbours cannot have.
    cv2.imwrite(str(folder / 'images' / '000007.png'), np.zeros((16, 32, 3), np.uint8))
    expected, found = both(data)
    assert max(int(batch.replaced.max()) for batch in found) >= 2
    assert_same(expected, found)


def test_a_frame_is_decoded_once(drive_folder, monkeypatch):
    data = dataset(drive_folder)
    decoded = []
    frames = type(data.drives.clips[0].sequence.frames)
    read = frames.__getitem__
    monkeypatch.setattr(
        frames, '__getitem__', lambda self, index: decoded.append(index) or read(self, index)
    )
    memory = FrameMemory.that_fits(data.frames(), data.size, CPU)
    batches = ResidentBatches(data, memory, sampler(data), 4, CPU, threads=1)
    assert len(list(batches)) == 6
    assert sorted(decoded) == list(range(8))


def test_every_kind_of_change_is_the_same_on_tensors():
    rng = np.random.default_rng(0)
    images = rng.random((4, 3, 20, 24, 3), np.float32)
    # Colours without a hue, and of one that two channels share.
    images[0, 0, :5] = 0.5
    images[0, 1, :5, :, 0] = images[0, 1, :5, :, 1]
    images[0, 2, :5] = 0
    grain = rng.normal(0, 0.1, (3, 20, 24, 3)).astype(np.float32)
    changes = [
        Change((1.2, 0.8, 1.3, 0.5), False, 1.0, 0.0, None),
        Change(None, True, 0.3, 0.0, grain),
        Change((0.8, 1.2, 0.7, -0.2), False, 1.0, 1.4, None),
        Change(None, False, 1.0, 0.2, None),
    ]
    found = change_images(torch.from_numpy(images).permute(0, 1, 4, 2, 3), changes)
    for image, change, tensor in zip(images, changes, found, strict=True):
        expected = torch.from_numpy(on_arrays(image, change)).permute(0, 3, 1, 2)
        torch.testing.assert_close(tensor, expected, atol=1e-4, rtol=0)


def test_no_change_leaves_the_images_alone():
    images = torch.rand(2, 3, 3, 4, 5)
    none = ColorJitter(JitterConfig(probability=0)).draw((3, 4, 5, 3), np.random.default_rng(0))
    assert change_images(images, [none, none]) is images


def test_frames_go_where_they_fit():
    frames, size = [(0, 1), (0, 2), (0, 1)], (64, 32)
    needed = 2 * 64 * 32 * 3
    enough = FrameMemory.that_fits(frames, size, CPU, free=lambda _: 2 * needed)
    assert tuple(enough.views.shape) == (2, 32, 64, 3)
    assert FrameMemory.that_fits(frames, size, CPU, free=lambda _: 2 * needed - 1) is None
    assert FrameMemory.that_fits(frames, size, CPU, 2, free=lambda _: 2 * needed) is None
    # Two processes share this machine's memory, and each has a device of its own.
    meta = torch.device('meta')
    there = FrameMemory.that_fits(frames, size, meta, 2, free=lambda _: 2 * needed)
    assert there.views.device == meta
    small = {'meta': 0, 'cpu': 2 * needed}
    here = FrameMemory.that_fits(frames, size, meta, free=lambda place: small[place.type])
    assert here.views.device == CPU
    assert 1e8 < free_memory(CPU) < 1e15


def test_a_training_reaches_the_same_weights_either_way(
    segmentation_checkpoint, drive_folder, tmp_path
):
    settings = depth_settings(
        segmentation_checkpoint, [FolderSource(path=drive_folder)], validate_every=4
    )
    loaded = settings.model_copy(update={'keep_frames': False})
    networks = [
        torch.load(train_depth(s, tmp_path / name), weights_only=True)['depth']['state_dict']
        for s, name in ((settings, 'kept'), (loaded, 'loaded'))
    ]
    for name, value in networks[0].items():
        torch.testing.assert_close(networks[1][name], value, atol=2e-4, rtol=0)
