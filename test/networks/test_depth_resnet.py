# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

torch = pytest.importorskip('torch')

from sg_depth_ros.networks.depth_resnet import DepthResNet, DepthResNetConfig  # noqa: E402
from sg_depth_ros.networks.guidance import GuidanceConfig, Guide, GuidedConv2d  # noqa: E402
from sg_depth_ros.networks.pac import PacConv2d  # noqa: E402

GUIDANCE = GuidanceConfig(feature_channels=6, channels=3)


def config(guidance: GuidanceConfig | None) -> DepthResNetConfig:
    return DepthResNetConfig(
        encoder='resnet10t', decoder_channels=(16, 12, 8, 8, 4), guidance=guidance
    )


def features(constant: bool = False) -> dict[int, torch.Tensor]:
    make = torch.ones if constant else torch.randn
    return {s: make(2, 6, 64 // s, 96 // s) for s in (4, 8, 16, 32)}


@pytest.fixture
def networks() -> tuple[DepthResNet, DepthResNet]:
    """A guided network and a plain one of the same weights."""
    torch.manual_seed(0)
    guided, plain = DepthResNet(config(GUIDANCE)).eval(), DepthResNet(config(None)).eval()
    missing = guided.load_state_dict(plain.state_dict(), strict=False)
    assert not missing.unexpected_keys
    strides = (2, 4, 8, 16)
    assert set(missing.missing_keys) == {
        *(f'guide.project.{s}.{name}' for s in strides for name in ('weight', 'bias')),
        *(f'reduce.{level}.conv.log_sigma' for level in (1, 2, 3, 4)),
    }
    return guided, plain


def test_four_scales_of_inverse_depth_the_finest_first(
    networks: tuple[DepthResNet, DepthResNet],
) -> None:
    image = torch.rand(2, 3, 64, 96)
    for network in networks:
        outputs = network(image, features())
        assert [tuple(o.shape) for o in outputs] == [
            (2, 1, 64 // s, 96 // s) for s in (1, 2, 4, 8)
        ]
        assert all(o.min() > 0.01 and o.max() < 10 for o in outputs)
        assert network.guidance_strides == ((4, 8, 16) if network.guide else ())


def test_constant_features_guide_nothing_and_edges_do(
    networks: tuple[DepthResNet, DepthResNet],
) -> None:
    guided, plain = networks
    image = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        expected = plain(image, None)
        # The projection pads nothing, so a constant stays one.
        for a, b in zip(guided(image, features(constant=True)), expected, strict=True):
            torch.testing.assert_close(a, b)
        assert not torch.allclose(guided(image, features())[0], expected[0], rtol=1e-3)


def test_every_guided_level_matters(networks: tuple[DepthResNet, DepthResNet]) -> None:
    guided, _ = networks
    given = {s: f.requires_grad_() for s, f in features().items()}
    guided(torch.rand(2, 3, 64, 96), given)[0].sum().backward()
    assert {s for s, f in given.items() if f.grad is not None and f.grad.any()} == {4, 8, 16}
    assert guided.guide is not None
    assert all(conv.weight.grad.any() for conv in guided.guide.project.values())


def test_an_untrained_network_begins_in_the_middle_of_the_range(
    networks: tuple[DepthResNet, DepthResNet],
) -> None:
    network = networks[0]
    network.begin_in_the_middle()
    for head in network.heads.values():
        torch.nn.init.zeros_(head.weight)
    middle = (network.min_depth * network.max_depth) ** 0.5
    for inverse in network(torch.rand(2, 3, 64, 96), features()):
        torch.testing.assert_close(1 / inverse, torch.full_like(inverse, middle))


def test_the_range_of_depth_is_kept_at_the_ends_of_the_sigmoid() -> None:
    limits = {'min_depth': 0.5, 'max_depth': 80.0}
    network = DepthResNet(config(None).model_copy(update=limits)).eval()
    for bias, depth in ((-1e4, 80.0), (1e4, 0.5)):
        torch.nn.init.constant_(network.heads['1'].bias, bias)
        with torch.no_grad():
            inverse = network(torch.rand(1, 3, 32, 32), None)[0]
        torch.testing.assert_close(1 / inverse, torch.full_like(inverse, depth))


def test_guidance_can_be_at_some_strides_only() -> None:
    guidance = GuidanceConfig(strides=(32, 2), feature_channels=6, channels=3)
    network = DepthResNet(config(guidance))
    adaptive = [isinstance(layer.conv, PacConv2d) for layer in network.reduce]
    assert adaptive == [True, False, False, False, True]
    assert network.guidance_strides == (4, 32)


def test_the_choices_of_guidance_are_settings() -> None:
    chosen = GUIDANCE.model_copy(update={'kernel_size': 5, 'sigma': 2.0, 'normalize': True})
    torch.manual_seed(0)
    networks = [DepthResNet(config(guidance)).eval() for guidance in (GUIDANCE, chosen)]
    layer = networks[1].reduce[1].conv
    assert isinstance(layer, PacConv2d)
    assert (layer.kernel_size, layer.normalize) == (5, True)
    assert layer.sigma.item() == pytest.approx(2)
    given = features()
    outputs = [network(torch.ones(2, 3, 64, 96), given)[0] for network in networks]
    assert outputs[0].shape == outputs[1].shape
    with pytest.raises(ValueError, match='odd size, found 4'):
        GuidanceConfig(kernel_size=4)


def test_an_encoder_that_begins_at_stride_4_has_no_skip_at_2() -> None:
    network = DepthResNet(config(GUIDANCE).model_copy(update={'encoder': 'test_convnext'})).eval()
    outputs = network(torch.rand(2, 3, 64, 96), features())
    assert [tuple(o.shape[-2:]) for o in outputs] == [(64 // s, 96 // s) for s in (1, 2, 4, 8)]


def test_a_stride_that_the_decoder_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match=r'strides \[1, 64\] has no place .* \[2, 4, 8, 16, 32\]'):
        DepthResNet(config(GuidanceConfig(strides=(1, 8, 64))))


def test_missing_features_are_named(networks: tuple[DepthResNet, DepthResNet]) -> None:
    guided, _ = networks
    given = features()
    del given[8]
    with pytest.raises(ValueError, match=r'strides \[4, 8, 16\], missing are \[8\]'):
        guided(torch.rand(2, 3, 64, 96), given)
    with pytest.raises(ValueError, match=r'missing are \[4, 8, 16\]'):
        guided(torch.rand(2, 3, 64, 96), None)


def test_strides_finer_than_the_pyramid_take_its_finest_resized() -> None:
    config = GuidanceConfig(strides=(1, 2, 4), feature_channels=6, channels=3)
    guide = Guide(config, (1, 2, 4))
    f = torch.randn(1, 6, 4, 5)
    with torch.no_grad():
        guidance = guide({4: f})
        expected = torch.nn.functional.interpolate(
            guide.project['1'](f), (16, 20), mode='bilinear'
        )
    assert {s: tuple(g.shape) for s, g in guidance.items()} == {
        1: (1, 3, 16, 20),
        2: (1, 3, 8, 10),
        4: (1, 3, 4, 5),
    }
    torch.testing.assert_close(guidance[1], expected)


def test_a_plain_layer_takes_no_notice_of_guidance() -> None:
    layer = GuidedConv2d(2, 3, None)
    x = torch.randn(1, 2, 4, 4)
    assert torch.equal(layer(x, torch.randn(1, 3, 4, 4)), layer(x, None))
