# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

torch = pytest.importorskip('torch')
from torch.nn import functional as F  # noqa: E402

from sg_depth_ros.networks.segmentation import SegmentationConfig, SegmentationNet  # noqa: E402

CONFIG = SegmentationConfig(encoder='resnet10t', pyramid_channels=8, classes=5)


@pytest.fixture
def network() -> SegmentationNet:
    torch.manual_seed(0)
    return SegmentationNet(CONFIG)


def test_features_at_every_stride_and_logits_at_full_size(network: SegmentationNet) -> None:
    features, logits = network(torch.rand(2, 3, 64, 96))
    shapes = {s: tuple(f.shape) for s, f in features.items()}
    assert shapes == {s: (2, 8, 64 // s, 96 // s) for s in (4, 8, 16, 32)}
    assert logits.shape == (2, 5, 64, 96)


def test_the_pyramid_passes_coarse_levels_down_and_sums_them_at_stride_4(
    network: SegmentationNet,
) -> None:
    network.eval()
    image = torch.rand(1, 3, 32, 64)
    with torch.no_grad():
        features, logits = network(image)
        encoded = network.encoder(image)
        level, summed = torch.zeros(1, 8, 1, 1), torch.zeros(1)
        for stride in (32, 16, 8, 4):
            repeated = level.repeat_interleave(2, 2).repeat_interleave(2, 3)
            level = network.lateral[str(stride)](encoded[stride]) + (
                repeated if stride < 32 else 0
            )
            expected = network.smooth[str(stride)](level)
            torch.testing.assert_close(features[stride], expected)
            summed = summed + F.interpolate(expected, (8, 16), mode='bilinear')
        expected = F.interpolate(network.classifier(summed), (32, 64), mode='bilinear')
    torch.testing.assert_close(logits, expected)


def test_frozen_nothing_moves_in_training_mode(network: SegmentationNet) -> None:
    owner = torch.nn.ModuleDict({'frozen': network.freeze(), 'other': torch.nn.Conv2d(8, 1, 1)})
    owner.train()
    assert owner['other'].training
    assert not any(module.training for module in network.modules())
    before = {k: v.clone() for k, v in network.state_dict().items()}
    optimizer = torch.optim.SGD(owner.parameters(), lr=1.0, weight_decay=0.1)
    features = network.features(torch.rand(2, 3, 64, 64))
    owner['other'](features[4]).square().mean().backward()
    optimizer.step()
    after = network.state_dict()
    assert any('running_mean' in key for key in before)
    assert all(torch.equal(after[key], value) for key, value in before.items())
    assert all(p.grad is None and not p.requires_grad for p in network.parameters())


def test_not_frozen_parameters_and_statistics_move(network: SegmentationNet) -> None:
    network.train()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    network(torch.rand(2, 3, 64, 64))[1].square().mean().backward()
    torch.optim.SGD(network.parameters(), lr=1.0).step()
    moved = {k for k, v in network.state_dict().items() if not torch.equal(v, before[k])}
    # Inside the encoder's blocks no gradient flows at first: their last scale starts at zero.
    expected = {k for k in before if 'running' in k or not k.startswith('encoder.body.layer')}
    assert moved >= expected


def test_features_alone_are_those_of_the_whole(network: SegmentationNet) -> None:
    network.freeze()
    image = torch.rand(1, 3, 32, 32)
    whole = network(image)[0]
    assert all(torch.equal(f, whole[s]) for s, f in network.features(image).items())
