# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints and drives that several tests of the training share."""

import importlib.util
import os
from pathlib import Path

import pytest

# What needs PyTorch is imported by the fixtures: an error or a skip in here would be that of the
# whole session, the tests of other folders among it.
if importlib.util.find_spec('lightning') is None:
    collect_ignore_glob = ['test_*.py']


@pytest.fixture(scope='session')
def segmentation_checkpoint(tmp_path_factory):
    """A segmentation network of random weights."""
    import torch
    from training_worlds import tiny_networks

    from sg_depth_ros.networks.checkpoint import save_networks
    from sg_depth_ros.networks.segmentation import SegmentationNet

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('segmentation') / 'networks.pt'
    meta = {'input_width': 64, 'input_height': 32, 'provenance': {'segmentation': {}}}
    save_networks(path, SegmentationNet(tiny_networks()[0]), None, meta)
    return path


@pytest.fixture(scope='session')
def drive_folder(tmp_path_factory):
    """Eight frames with intrinsics and poses."""
    from training_worlds import write_drive

    return write_drive(tmp_path_factory.mktemp('drives') / 'pattern', frames=8, poses=True)


@pytest.fixture
def checkpoint(segmentation_checkpoint, drive_folder, tmp_path):
    """Networks of a depth training of one step."""
    from training_worlds import depth_settings

    from sg_depth_ros.training.data.sources import FolderSource
    from sg_depth_ros.training.run import train_depth

    settings = depth_settings(segmentation_checkpoint, [FolderSource(path=drive_folder)], steps=1)
    return train_depth(settings, tmp_path / 'first')


@pytest.fixture(scope='session')
def street_clip(tmp_path_factory):
    """Three frames of the street, and the folder that they are written to."""
    from sg_depth_ros.synthetic import StreetOptions, drive, street_camera, write_folder

    options = StreetOptions(
        areas={'residential': 1.0}, lights={'overcast': 1.0}, sensor_noise=0, hills=0,
        stop_probability=0, follow_probability=0, speed=(5, 6),
    )  # fmt: skip
    frames = list(drive(street_camera(192, 64), 3, seed=3, options=options))
    folder = tmp_path_factory.mktemp('street') / 'clip'
    write_folder(folder, iter(frames))
    return frames, folder


@pytest.fixture(scope='session')
def real_data():
    """The folder of real road data; skips where it is absent."""
    default = Path(__file__).resolve().parents[3] / 'shared' / 'data'
    folder = Path(os.environ.get('SG_DEPTH_DATA', default))
    if not (folder / 'sequences').is_dir():
        pytest.skip('needs the road data: set SG_DEPTH_DATA')
    return folder
