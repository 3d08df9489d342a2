# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

torch = pytest.importorskip('torch')
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from sg_depth_ros.networks.guidance import GuidanceConfig  # noqa: E402
from sg_depth_ros.networks.inference import prepare_for_inference  # noqa: E402
from sg_depth_ros.networks.pac import PacConv2d  # noqa: E402
from sg_depth_ros.networks.packnet import PackNet, PackNetConfig  # noqa: E402

GUIDANCE = GuidanceConfig(feature_channels=6, channels=3)
TINY = PackNetConfig(
    stem_channels=4,
    channels=(4, 4, 8, 8, 8),
    blocks=(1, 1, 2, 1),
    groups=2,
    guidance=GUIDANCE,
)


def tiny(**changes: object) -> PackNet:
    torch.manual_seed(0)
    return PackNet(TINY.model_copy(update=changes)).eval()


def features(constant: bool = False) -> dict[int, torch.Tensor]:
    make = torch.ones if constant else torch.randn
    return {s: make(2, 6, 32 // s, 64 // s) for s in (4, 8, 16, 32)}


def parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize('strides', [(16, 8, 4, 2, 1), (1,)])
def test_every_level_can_be_guided(strides: tuple[int, ...]) -> None:
    guidance = GUIDANCE.model_copy(update={'strides': strides, 'kernel_size': 5})
    network = tiny(guidance=guidance)
    guided = [stride for stride, block in zip((16, 8, 4, 2, 1), network.fuse, strict=True)
              if isinstance(block.conv.conv, PacConv2d)]  # fmt: skip
    assert guided == list(strides)
    outputs = network(torch.rand(2, 3, 32, 64), features())
    assert [tuple(o.shape[-2:]) for o in outputs] == [(32 // s, 64 // s) for s in (1, 2, 4, 8)]


def test_the_published_number_of_parameters() -> None:
    with torch.device('meta'):
        plain = PackNet(PackNetConfig(guidance=None))
        guided = PackNet(PackNetConfig())
    assert parameters(plain) == 128_294_020
    # Per guided stride a projection of 64 channels to 16 and a width.
    assert parameters(guided) == 128_294_020 + 4 * (64 * 16 + 16 + 1)


def multiply_adds(network: torch.nn.Module) -> float:
    """Count those of a 640x192 image in units of 10^9, on tensors without memory."""
    with torch.device('meta'), torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, 192, 640), None)
    return counter.get_total_flops() / 2e9


def test_merged_packing_halves_the_multiply_adds() -> None:
    with torch.device('meta'):
        network = PackNet(PackNetConfig(guidance=None)).eval()
    assert multiply_adds(network) == pytest.approx(205, abs=1)
    with torch.device('meta'):
        merged = prepare_for_inference(network)
    assert multiply_adds(merged) == pytest.approx(103, abs=1.5)
    assert parameters(merged) < 0.75 * parameters(network)


def test_four_scales_of_inverse_depth_the_finest_first() -> None:
    image = torch.rand(2, 3, 32, 64)
    for network in (tiny(), tiny(guidance=None)):
        outputs = network(image, features())
        assert [tuple(o.shape) for o in outputs] == [
            (2, 1, 32 // s, 64 // s) for s in (1, 2, 4, 8)
        ]
        assert all(o.min() >= 0.01 and o.max() <= 2 for o in outputs)
        assert network.guidance_strides == ((4, 8, 16) if network.guide else ())


def test_guidance_starts_from_a_network_trained_without() -> None:
    plain, guided = tiny(guidance=None), tiny()
    result = guided.load_state_dict(plain.state_dict(), strict=False)
    assert not result.unexpected_keys
    assert {key.split('.')[0] for key in result.missing_keys} == {'guide', 'fuse'}
    image = torch.rand(2, 3, 32, 64)
    with torch.no_grad():
        expected = plain(image, None)
        for a, b in zip(guided(image, features(constant=True)), expected, strict=True):
            torch.testing.assert_close(a, b)
        assert not torch.allclose(guided(image, features())[0], expected[0], rtol=1e-3)


def test_guidance_at_full_size_too() -> None:
    network = tiny(guidance=GUIDANCE.model_copy(update={'strides': (1, 16)}))
    adaptive = [isinstance(block.conv.conv, PacConv2d) for block in network.fuse]
    assert adaptive == [True, False, False, False, True]
    assert network.guidance_strides == (4, 16)
    assert network(torch.rand(2, 3, 32, 64), features())[0].shape == (2, 1, 32, 64)
    with pytest.raises(ValueError, match=r'strides \[32\] has no place'):
        tiny(guidance=GUIDANCE.model_copy(update={'strides': (8, 32)}))


def test_no_depth_is_infinite_and_none_nearer_than_the_nearest() -> None:
    network = tiny(guidance=None, max_depth=50.0)
    assert (network.min_depth, network.max_depth) == (0.5, 50.0)
    for bias, depth in ((-1e4, 50.0), (1e4, 0.5)):
        torch.nn.init.constant_(network.heads['1'].bias, bias)
        with torch.no_grad():
            inverse = network(torch.rand(1, 3, 32, 32), None)[0]
        torch.testing.assert_close(1 / inverse, torch.full_like(inverse, depth))


def test_every_parameter_learns() -> None:
    network = tiny().train()
    outputs = network(torch.rand(2, 3, 32, 64), features())
    sum(o.square().mean() for o in outputs).backward()
    still = {name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()}
    # A projection's bias moves f_i and f_j alike, so it cancels inside the image.
    assert still <= {f'guide.project.{s}.bias' for s in (2, 4, 8, 16)}


def test_prepared_for_inference_it_answers_the_same() -> None:
    network = tiny()
    prepared = prepare_for_inference(network)
    image, given = torch.rand(2, 3, 32, 64), features()
    with torch.no_grad():
        for a, b in zip(prepared(image, given), network(image, given), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)
