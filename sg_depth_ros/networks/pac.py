# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pixel-adaptive convolution (Su et al., CVPR 2019), as used to guide depth by semantics.

    v'_i = sum_{j in window(i)} K(f_i, f_j) W[p_i - p_j] v_j + b
    K(f_i, f_j) = exp(-|f_i - f_j|^2 / (2 sigma^2))

K is symmetric, so half of a window's taps give the other half by a shift; and as v is zero
outside the image, so may K be there. No unfold: windows are shifted copies, which every
run-time compiles well.

There are two forms of the sum. :class:`PacConv2d` weighs the inputs, which is the faster one to
train. :class:`ScatteringPac` weighs the outputs, of which a decoder has fewer, and is the faster
one to infer; ``python -m sg_depth_ros.networks.benchmark`` measures both.
"""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PacConv2d(nn.Module):
    """A convolution whose taps are weighted by the likeness of frozen guidance features.

    :param in_channels: channels C of the input
    :param out_channels: channels O of the output
    :param kernel_size: odd window size k
    :param stride: output stride; the size is that of a convolution with padding
        ``dilation * (k // 2)``
    :param dilation: distance of neighbouring taps
    :param bias: add b
    :param normalize: divide by the sum of K over the taps inside the image
    :param sigma: initial width of the kernel; learned, kept positive as its logarithm
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        stride: int = 1,
        dilation: int = 1,
        bias: bool = True,
        normalize: bool = False,
        sigma: float = 1.0,
    ) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f'a PAC window has an odd size, found {kernel_size}')
        self.kernel_size, self.stride, self.dilation = kernel_size, stride, dilation
        self.normalize = normalize
        # The initialisation of nn.Conv2d, of which this is the adaptive twin.
        plain = nn.Conv2d(in_channels, out_channels, kernel_size, bias=bias)
        self.weight, self.bias = plain.weight, plain.bias
        self.log_sigma = nn.Parameter(torch.tensor(sigma).log())

    @property
    def sigma(self) -> Tensor:
        """Width of the kernel in units of the guidance features."""
        return self.log_sigma.exp()

    def forward(self, x_bchw: Tensor, guidance_bdhw: Tensor) -> Tensor:
        """Convolve x (B, C, H, W) under guidance (B, D, H, W); gives (B, O, H/stride, W/stride).

        :raises ValueError: if the sizes of x and guidance differ
        """
        if x_bchw.shape[-2:] != guidance_bdhw.shape[-2:]:
            raise ValueError(
                f'guidance of size {tuple(guidance_bdhw.shape[-2:])} cannot guide input of size '
                f'{tuple(x_bchw.shape[-2:])}; resize the guidance to the input'
            )
        scaled = guidance_bdhw * (0.5**0.5 / self.sigma)
        weights = affinities(scaled, self.kernel_size, self.dilation)
        taps = [
            tap if weight is None else tap * weight
            for tap, weight in zip(self._shifted(x_bchw), weights, strict=True)
        ]
        s = self.stride
        stacked = torch.cat([tap[..., ::s, ::s] for tap in taps] if s > 1 else taps, dim=1)
        # (O, C, k, k) -> (O, k*k*C): the taps are stacked row by row, channels innermost.
        weight = self.weight.permute(0, 2, 3, 1).flatten(1)[..., None, None]
        if not self.normalize:
            return F.conv2d(stacked, weight, self.bias)
        total = 1 + sum(w[..., ::s, ::s] for w in weights if w is not None)
        out = F.conv2d(stacked, weight) / total
        return out if self.bias is None else out + self.bias[:, None, None]

    def _shifted(self, x_bchw: Tensor) -> list[Tensor]:
        """Give the copies of x seen through each tap of the window, row by row."""
        height, width = x_bchw.shape[-2:]
        reach = self.kernel_size // 2 * self.dilation
        padded = F.pad(x_bchw, [reach] * 4)
        starts = range(0, self.kernel_size * self.dilation, self.dilation)
        return [padded[..., y : y + height, x : x + width] for y, x in product(starts, starts)]


def affinities(scaled_bdhw: Tensor, kernel_size: int, dilation: int) -> list[Tensor | None]:
    """Give exp(-|f_i - f_j|^2) for each tap j of the window, row by row, each (B, 1, H, W).

    :param scaled_bdhw: guidance divided by sqrt(2) sigma
    :return: one map a tap, zero where the tap lies outside the image; None for the centre, where
        it is 1
    """
    half = kernel_size // 2
    offsets = [(y, x) for y, x in product(range(-half, half + 1), repeat=2) if (y, x) < (0, 0)]
    height, width = scaled_bdhw.shape[-2:]
    before: list[Tensor | None] = []
    after: list[Tensor | None] = []
    for dy, dx in ((y * dilation, x * dilation) for y, x in offsets):
        # Pixel i and its tap i + (dy, dx), over all i for which both are in the image.
        rows, columns = height - abs(dy), width - abs(dx)
        if rows <= 0 or columns <= 0:
            nowhere = torch.zeros_like(scaled_bdhw[:, :1])
            before.append(nowhere)
            after.append(nowhere)
            continue
        left, right = max(-dx, 0), max(dx, 0)
        pixel = scaled_bdhw[..., -dy : -dy + rows, left : left + columns]
        tap = scaled_bdhw[..., :rows, right : right + columns]
        weight = (tap - pixel).square().sum(1, keepdim=True).neg().exp()
        before.append(F.pad(weight, [left, right, -dy, 0]))
        after.append(F.pad(weight, [right, left, 0, -dy]))
    return [*before, None, *reversed(after)]


class ScatteringPac(nn.Module):
    """A trained :class:`PacConv2d` that weighs outputs instead of inputs, for inference.

    One matrix product makes of every pixel what it gives to each of its neighbours, each of them
    then takes its share. Images are laid out as one long row: every row of pixels is followed by
    zeros that are its right border and the next row's left one. So a tap is a shift along a
    single axis, which run-times copy at the speed of memory, and a matrix product, unlike a
    convolution, leaves the layout as it is.

    :param pac: without normalisation and of stride 1
    """

    scale: Tensor

    def __init__(self, pac: PacConv2d) -> None:
        super().__init__()
        if pac.stride != 1 or pac.normalize:
            raise ValueError(
                f'found a PAC of stride {pac.stride} and normalize={pac.normalize}, expected '
                'stride 1 and no normalisation; infer with it as it is'
            )
        self.reach = pac.kernel_size // 2 * pac.dilation
        self.taps = range(-self.reach, self.reach + 1, pac.dilation)
        weight = pac.weight.detach()
        self.out_channels = weight.shape[0]
        # (O, C, k, k) -> (k*k*O, C)
        self.weight = nn.Parameter(weight.permute(2, 3, 0, 1).flatten(0, 2))
        self.bias = None if pac.bias is None else nn.Parameter(pac.bias.detach()[:, None])
        self.register_buffer('scale', 0.5**0.5 / pac.sigma.detach())

    def forward(self, x_bchw: Tensor, guidance_bdhw: Tensor) -> Tensor:
        """Convolve x (B, C, H, W) under guidance (B, D, H, W); gives (B, O, H, W)."""
        height, width = x_bchw.shape[-2:]
        row = width + self.reach
        start, length = (self.reach + 1) * row, (height - 1) * row + width
        weights = self._affinities(self._lay_out(guidance_bdhw * self.scale), row, start, length)
        given = self.weight @ self._lay_out(x_bchw)
        taken: list[Tensor] = []
        for tap, shift in enumerate(self._shifts(row)):
            channels = slice(tap * self.out_channels, (tap + 1) * self.out_channels)
            share = given[:, channels, start + shift : start + shift + length]
            if shift:
                share = share * weights[shift]
            elif self.bias is not None:
                share = share + self.bias
            taken.append(share)
        out: Tensor = sum(taken[1:], start=taken[0])
        return F.pad(out, [0, self.reach]).unflatten(2, (height, row))[..., :width]

    def _shifts(self, row: int) -> list[int]:
        """Give the distance of each tap along the long row."""
        return [y * row + x for y, x in product(self.taps, self.taps)]

    def _lay_out(self, x_bchw: Tensor) -> Tensor:
        """Lay the rows of (B, C, H, W) end to end, with as many zeros around as taps reach."""
        return F.pad(x_bchw, [0, self.reach, self.reach + 1, self.reach]).flatten(2)

    def _affinities(
        self, scaled_bdn: Tensor, row: int, start: int, length: int
    ) -> dict[int, Tensor]:
        """Give exp(-|f_i - f_j|^2) by the shift from i to j; outside the image it is arbitrary."""
        weights: dict[int, Tensor] = {}
        for shift in (s for s in self._shifts(row) if s > 0):
            ahead = scaled_bdn[..., start : start + length + shift]
            behind = scaled_bdn[..., start - shift : start + length]
            weight = (ahead - behind).square().sum(1, keepdim=True).neg().exp()
            weights[shift], weights[-shift] = weight[..., shift:], weight[..., :length]
        return weights
