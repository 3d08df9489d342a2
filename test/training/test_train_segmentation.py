# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0

import cv2
import numpy as np
import pytest
import torch
from training_worlds import picture, tiny_networks

from sg_depth_ros.networks.checkpoint import load_networks
from sg_depth_ros.training.data.labelled import FolderLabels
from sg_depth_ros.training.segmentation import SegmentationTraining, train_segmentation
from sg_depth_ros.training.segmentation_settings import SegmentationSettings


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Six images whose class is their brightness in red."""
    root = tmp_path_factory.mktemp('labelled')
    for name in ('images', 'labels'):
        (root / name).mkdir()
    for number in range(6):
        image = picture(3 * number)
        cv2.imwrite(str(root / f'images/{number}.png'), image[..., ::-1])
        labels = (image[..., 0] > 127).astype(np.uint8)
        labels[:2] = 255
        cv2.imwrite(str(root / f'labels/{number}.png'), labels)
    return FolderLabels(images=root / 'images', labels=root / 'labels')


def settings(folder, **changes):
    values = {
        'network': tiny_networks()[0],
        'pretrained': False,
        'train': [folder],
        'validation': [folder],
        'size': (64, 32),
        'crop': (64, 32),
        'steps': 6,
        'batch': 3,
        'workers': 0,
        'validate_every': 3,
        'accelerator': 'cpu',
        **changes,
    }
    return SegmentationSettings(**values)


def state(path):
    return torch.load(path, weights_only=True)['segmentation']['state_dict']


@pytest.mark.parametrize('average', [0, 0.7])
def test_a_training_that_is_cut_off_reaches_the_same_weights(
    folder, tmp_path, monkeypatch, average
):
    wanted = settings(folder, average=average)
    whole = train_segmentation(wanted, tmp_path / 'whole')
    step = SegmentationTraining.training_step

    def failing(self, batch, index):
        if self.global_step == 4:
            raise OSError('the power went out')
        return step(self, batch, index)

    with monkeypatch.context() as patch:
        patch.setattr(SegmentationTraining, 'training_step', failing)
        with pytest.raises(OSError, match='power'):
            train_segmentation(wanted, tmp_path / 'cut')
    cut = train_segmentation(wanted, tmp_path / 'cut')
    for name, value in state(whole).items():
        torch.testing.assert_close(state(cut)[name], value, atol=1e-6, rtol=0)
    network, depth, meta = load_networks(tmp_path / 'whole' / 'best.pt')
    assert depth is None and network.config.classes == 19
    assert meta['provenance']['segmentation_begun_from'] == 'random'


@pytest.mark.parametrize('end', ['networks.pt', 'best.pt'])
def test_what_is_written_is_the_mean_of_the_weights(folder, tmp_path, monkeypatch, end):
    path, decay, name = [], 0.7, 'classifier.weight'

    def record(self, *_):
        path.append(self.network.state_dict()[name].clone())

    monkeypatch.setattr(SegmentationTraining, 'on_train_batch_end', record)
    for _ in range(2):
        # The second time no step is left to make.
        train_segmentation(settings(folder, average=decay, validate_every=6), tmp_path)
    mean = path[0]
    for weights in path[1:]:
        mean = decay * mean + (1 - decay) * weights
    assert len(path) == 6 and not torch.allclose(mean, path[-1], atol=1e-5)
    torch.testing.assert_close(state(tmp_path / end)[name], mean)


def test_a_training_starts_from_an_earlier_one(folder, tmp_path):
    first = train_segmentation(settings(folder, steps=2), tmp_path / 'first')
    # A third class more: all but the classifier is taken.
    wider = tiny_networks()[0].model_copy(update={'classes': 22})
    module = SegmentationTraining(settings(folder, initial=first, network=wider))
    for name, value in module.network.state_dict().items():
        taken = state(first)[name]
        assert value.shape != taken.shape if 'classifier' in name else torch.equal(value, taken)


def test_a_few_steps_learn_what_is_easy(folder, tmp_path):
    easy = settings(
        folder,
        steps=40,
        optimizer='adamw',
        learning_rate=0.01,
        validation=[],
        validate_every=40,
        scale=(1, 1),
        jitter={'probability': 0},
    )
    network = load_networks(train_segmentation(easy, tmp_path))[0]
    image = torch.from_numpy(picture(3)).permute(2, 0, 1)[None] / 255
    found = network(image)[1].argmax(1)[0].numpy()
    assert (found == (picture(3)[..., 0] > 127)).mean() > 0.8


def test_a_batch_of_void_has_no_loss(folder):
    module = SegmentationTraining(settings(folder))
    module.log = lambda *_, **__: None
    image, void = torch.rand(1, 3, 32, 64), torch.full((1, 32, 64), 255)
    loss = module.training_step((image, void), 0)
    assert loss.item() == 0
    loss.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in module.parameters())
