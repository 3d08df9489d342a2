# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from itertools import product

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from sg_depth_ros.networks.packing import MergedPack, Pack, Unpack  # noqa: E402


def loops(pack: Pack, x: np.ndarray) -> np.ndarray:
    """Pack (C, H, W) by the two published convolutions, one number at a time."""
    channels, height, width = x.shape[0], x.shape[1] // 2, x.shape[2] // 2
    folded = np.zeros((4 * channels, height, width))
    for c, dy, dx in product(range(channels), range(2), range(2)):
        folded[4 * c + 2 * dy + dx] = x[c, dy::2, dx::2]
    inner, inner_bias = (t.detach().numpy() for t in pack.conv3d.parameters())
    depth = inner.shape[0]
    padded = np.pad(folded, 1)
    middle = np.zeros((depth, 4 * channels, height, width))
    for d, c, y, z in product(*map(range, middle.shape)):
        window = padded[c : c + 3, y : y + 3, z : z + 3]
        middle[d, c, y, z] = (window * inner[d, 0]).sum() + inner_bias[d]
    outer, outer_bias = (t.detach().numpy() for t in pack.conv.parameters())
    size = outer.shape[-1]
    reach = size // 2
    padded = np.pad(middle.reshape(-1, height, width), ((0, 0), (reach, reach), (reach, reach)))
    out = np.zeros((channels, height, width))
    for o, y, z in product(*map(range, out.shape)):
        out[o, y, z] = (padded[:, y : y + size, z : z + size] * outer[o]).sum() + outer_bias[o]
    return out


def random_pack(kernel: int, channels: int = 2) -> Pack:
    torch.manual_seed(kernel)
    return Pack(channels, kernel, depth=3).double()


@pytest.mark.parametrize('kernel', [3, 5])
def test_packing_is_the_published_form(kernel: int) -> None:
    pack = random_pack(kernel)
    x = torch.randn(1, 2, 8, 6, dtype=torch.float64)
    np.testing.assert_allclose(pack(x)[0].detach().numpy(), loops(pack, x[0].numpy()), rtol=1e-10)


@pytest.mark.parametrize(
    ('kernel', 'height', 'width'),
    [
        (3, 16, 20),
        (5, 16, 20),
        (5, 6, 14),
        (5, 4, 4),
        (5, 2, 6),
        (3, 2, 2),
        (3, 2, 8),
        (7, 14, 18),
    ],
)
def test_merged_packing_is_the_same_to_the_border(kernel: int, height: int, width: int) -> None:
    pack = random_pack(kernel, channels=3)
    x = torch.randn(2, 3, height, width, dtype=torch.float64)
    torch.testing.assert_close(MergedPack(pack)(x), pack(x), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize('kernel', [3, 5])
def test_without_the_border_terms_a_frame_would_differ_and_nothing_else(kernel: int) -> None:
    pack = random_pack(kernel)
    merged, r = MergedPack(pack), kernel // 2
    assert merged.whole.kernel_size == (kernel + 2, kernel + 2)
    assert merged.whole.in_channels == 4 * 2
    x = torch.randn(1, 2, 24, 28, dtype=torch.float64)
    with torch.no_grad():
        error = merged.whole(torch.nn.functional.pixel_unshuffle(x, 2)) - pack(x)
    differs = error.abs().amax((0, 1)) > 1e-10
    frame = torch.ones(12, 14, dtype=torch.bool)
    frame[r:-r, r:-r] = False
    assert torch.equal(differs, frame)


def test_unpacking_convolves_and_shuffles() -> None:
    torch.manual_seed(0)
    unpack = Unpack(depth=8)
    with torch.no_grad():
        # The 3D convolution passes its input on, times d + 1.
        unpack.conv3d.weight.zero_()
        unpack.conv3d.bias.zero_()
        unpack.conv3d.weight[:, 0, 1, 1, 1] = torch.arange(1.0, 9.0)
        x = torch.rand(1, 2, 3, 5)
        out = unpack(x)
    assert out.shape == (1, 4, 6, 10)
    # Four of the sixteen planes fill each output's 2x2 pixels; 8 of them are of one input.
    for o, dy, dx in product(range(4), range(2), range(2)):
        plane = 4 * o + 2 * dy + dx
        expected = x[:, plane % 2] * (plane // 2 + 1)
        torch.testing.assert_close(out[:, o, dy::2, dx::2], expected)
