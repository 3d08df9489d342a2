# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pixel-adaptive convolution against plain loops over the formula, in float64."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from sg_depth_ros.networks.pac import PacConv2d  # noqa: E402

F64 = torch.float64


def loops(
    v: np.ndarray,
    f: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    sigma: float,
    stride: int,
    dilation: int,
    normalize: bool,
) -> np.ndarray:
    """v'_i = sum_j K(f_i, f_j) W v_j + b, one number at a time."""
    batch, channels, height, width = v.shape
    outputs, _, size, _ = weight.shape
    rows, columns = range(0, height, stride), range(0, width, stride)
    result = np.zeros((batch, outputs, len(rows), len(columns)))
    for n, o, (a, y), (c, x) in product(
        range(batch), range(outputs), enumerate(rows), enumerate(columns)
    ):
        value, total = 0.0, 0.0
        for p, q in product(range(size), repeat=2):
            j_y, j_x = y + (p - size // 2) * dilation, x + (q - size // 2) * dilation
            if not (0 <= j_y < height and 0 <= j_x < width):
                continue  # v = 0 there
            difference = f[n, :, y, x] - f[n, :, j_y, j_x]
            k = math.exp(-0.5 * float(difference @ difference) / sigma**2)
            total += k
            value += k * sum(weight[o, i, p, q] * v[n, i, j_y, j_x] for i in range(channels))
        if normalize:
            value /= total
        result[n, o, a, c] = value + (0.0 if bias is None else bias[o])
    return result


def random_case(
    layer: PacConv2d, height: int, width: int, batch: int = 2, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    channels = layer.weight.shape[1]
    v = torch.randn(batch, channels, height, width, dtype=F64, generator=generator)
    f = 0.8 * torch.randn(batch, 4, height, width, dtype=F64, generator=generator)
    return v, f


def assert_equals_loops(layer: PacConv2d, v: torch.Tensor, f: torch.Tensor) -> None:
    expected = loops(
        v.numpy(),
        f.numpy(),
        layer.weight.detach().numpy(),
        None if layer.bias is None else layer.bias.detach().numpy(),
        layer.sigma.item(),
        layer.stride,
        layer.dilation,
        layer.normalize,
    )
    np.testing.assert_allclose(layer(v, f).detach().numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize('normalize', [False, True])
@pytest.mark.parametrize('dilation', [1, 2])
@pytest.mark.parametrize('stride', [1, 2, 3])
@pytest.mark.parametrize('size', [1, 3, 5])
def test_equals_the_formula(size: int, stride: int, dilation: int, normalize: bool) -> None:
    torch.manual_seed(size)
    layer = PacConv2d(
        2, 3, size, stride=stride, dilation=dilation, normalize=normalize, sigma=0.7
    ).to(F64)
    assert_equals_loops(layer, *random_case(layer, 5, 6))


@pytest.mark.parametrize('normalize', [False, True])
def test_equals_the_formula_without_bias_and_with_more_outputs_than_inputs(
    normalize: bool,
) -> None:
    layer = PacConv2d(1, 5, 3, bias=False, normalize=normalize).to(F64)
    assert layer.bias is None
    assert_equals_loops(layer, *random_case(layer, 4, 3))


@pytest.mark.parametrize('normalize', [False, True])
@pytest.mark.parametrize('dilation', [1, 3])
@pytest.mark.parametrize(('height', 'width'), [(1, 1), (1, 2), (2, 1), (6, 1), (1, 7), (3, 2)])
def test_images_smaller_than_the_window(
    height: int, width: int, dilation: int, normalize: bool
) -> None:
    layer = PacConv2d(2, 2, 5, dilation=dilation, normalize=normalize).to(F64)
    assert_equals_loops(layer, *random_case(layer, height, width))


def test_constant_guidance_gives_an_ordinary_convolution() -> None:
    layer = PacConv2d(3, 4, 5, stride=2, dilation=2).to(F64)
    v, f = random_case(layer, 8, 9)
    expected = torch.nn.functional.conv2d(
        v, layer.weight, layer.bias, stride=2, padding=4, dilation=2
    )
    torch.testing.assert_close(layer(v, torch.full_like(f, 3.0)), expected)


def test_a_narrow_sigma_shuts_other_classes_out_and_a_wide_one_lets_all_in() -> None:
    layer = PacConv2d(1, 1, 3, bias=False).to(F64)
    v, _ = random_case(layer, 4, 6, batch=1)
    f = torch.zeros(1, 1, 4, 6, dtype=F64)
    f[..., 3:] = 1
    layer.log_sigma.data.fill_(math.log(1e-3))
    parts = [
        torch.nn.functional.conv2d(half, layer.weight, padding=1)
        for half in (v[..., :3], v[..., 3:])
    ]
    torch.testing.assert_close(layer(v, f), torch.cat(parts, -1))
    layer.log_sigma.data.fill_(math.log(1e6))
    whole = torch.nn.functional.conv2d(v, layer.weight, padding=1)
    torch.testing.assert_close(layer(v, f), whole, rtol=1e-9, atol=1e-9)


OPTIONS: list[dict[str, Any]] = [
    {},
    {'stride': 2},
    {'dilation': 2},
    {'normalize': True},
    {'stride': 2, 'dilation': 2, 'normalize': True},
]


@pytest.mark.parametrize('options', OPTIONS, ids=str)
def test_gradients_of_values_guidance_weight_bias_and_sigma(options: dict[str, Any]) -> None:
    layer = PacConv2d(2, 2, 3, **options).to(F64)
    v, f = random_case(layer, 3, 4, batch=1)
    names = ('weight', 'bias', 'log_sigma')
    values = [getattr(layer, name).detach().clone() for name in names]
    values[2] += 0.2

    def call(v: torch.Tensor, f: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (v, f))

    inputs = [t.requires_grad_() for t in (v, f, *values)]
    assert torch.autograd.gradcheck(call, inputs)
    # The check would also pass on gradients that are all zero.
    gradients = torch.autograd.grad(call(*inputs).square().sum(), inputs)
    assert all(g.abs().max() > 1e-6 for g in gradients)


def test_sigma_is_given_in_units_of_the_guidance() -> None:
    layer = PacConv2d(1, 1, 3, sigma=2.5)
    assert layer.sigma.item() == pytest.approx(2.5)
    assert {name for name, _ in layer.named_parameters()} == {'weight', 'bias', 'log_sigma'}


def test_an_even_window_and_guidance_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match='odd size, found 4'):
        PacConv2d(1, 1, 4)
    layer = PacConv2d(1, 1, 3)
    with pytest.raises(ValueError, match=r'guidance of size \(4, 5\) .* resize the guidance'):
        layer(torch.zeros(1, 1, 8, 10), torch.zeros(1, 1, 4, 5))
