# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pixel-adaptive convolution (Su et al., CVPR 2019), as used to guide depth by semantics.

    v'_i = sum_{j in window(i)} K(f_i, f_j) W[p_i - p_j] v_j + b
    K(f_i, f_j) = exp(-|f_i - f_j|^2 / (2 sigma^2))

Not by windows in memory, which cost many times the time and memory and which not every run-time
can export, but by shifts: a matrix product for each tap makes of every pixel what it gives to its
neighbour there, and the neighbour takes its share. To weigh outputs costs less than to weigh
inputs, as a decoder has fewer of them. Pixels lie one behind the other with their channels
together, so a tap is one shift of the whole memory, and run-times that convolve in this layout
have nothing to reorder. A shift is a split, which OpenVINO answers with an address where it copies
for a slice. K is symmetric, so half of a window's taps give the other half by a shift.
``python -m sg_depth_ros.cli.layers`` measures what it costs.
"""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor, nn


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
        size = height, width = x_bchw.shape[-2:]
        if guidance_bdhw.shape[-2:] != size:
            raise ValueError(
                f'guidance of size {tuple(guidance_bdhw.shape[-2:])} cannot guide input of size '
                f'{tuple(size)}; resize the guidance to the input'
            )
        pixels, margin = height * width, self._reach * (width + 1)
        weights = self._affinities(guidance_bdhw)
        x_bnc = _in_a_row(x_bchw, margin)
        taps = self.weight.permute(2, 3, 1, 0).flatten(0, 1)  # (O, C, k, k) -> (k*k, C, O)
        shares = []
        for tap, (dy, dx) in enumerate(self._offsets):
            if (dy, dx) in weights:
                share = _part(x_bnc @ taps[tap], margin + dy * width + dx, pixels)
                weight_bn = weights[dy, dx]
                shares.append(share if weight_bn is None else share * weight_bn[..., None])
        out = sum(shares[1:], start=shares[0])
        if self.normalize:
            out = out / self._total(weights, height, width)[..., None]
        if self.bias is not None:
            out = out + self.bias
        out = out.unflatten(1, size)
        if self.stride > 1:
            out = out[:, :: self.stride, :: self.stride]
        return out.permute(0, 3, 1, 2)

    @property
    def _reach(self) -> int:
        """Distance of the outermost taps."""
        return self.kernel_size // 2 * self.dilation

    @property
    def _offsets(self) -> list[tuple[int, int]]:
        """Rows and columns from a pixel to each tap, in the order of the weights."""
        along = range(-self._reach, self._reach + 1, self.dilation)
        return list(product(along, along))

    def _affinities(self, guidance_bdhw: Tensor) -> dict[tuple[int, int], Tensor | None]:
        """Give K(f_i, f_j), (B, H * W), by the offset from i to j.

        It is zero where j is left or right of the image, in the row of others. Where j is above
        or below it may be anything, as x is zero there. Offsets that lead out of the image from
        everywhere are left out; in the centre None stands for 1.
        """
        height, width = guidance_bdhw.shape[-2:]
        pixels, margin = height * width, self._reach * (width + 1)
        guidance_bnd = _in_a_row(guidance_bdhw, margin)
        exponent = -0.5 / self.sigma**2
        weights: dict[tuple[int, int], Tensor | None] = {(0, 0): None}
        for dy, dx in self._offsets:
            if (dy, dx) <= (0, 0) or dy >= height or abs(dx) >= width:
                continue
            # K is symmetric: it serves a pixel j, and i = j - shift in the opposite direction.
            shift = dy * width + dx
            ahead = _part(guidance_bnd, margin, pixels + shift)
            behind = _part(guidance_bnd, margin - shift, pixels + shift)
            # Without an axis of one channel, along which run-times would count pixel by pixel.
            weight_bn = ((ahead - behind).square().sum(2) * exponent).exp()
            if dx:
                column = torch.arange(pixels + shift, device=weight_bn.device) % width - dx
                weight_bn = weight_bn * ((column >= 0) & (column < width))
            weights[dy, dx] = _part(weight_bn, shift, pixels)
            weights[-dy, -dx] = _part(weight_bn, 0, pixels)
        return weights

    def _total(
        self, weights: dict[tuple[int, int], Tensor | None], height: int, width: int
    ) -> Tensor:
        """Sum K, (B, H * W), over the taps inside the image."""
        total = torch.ones((), device=self.weight.device)
        for (dy, _), weight_bn in weights.items():
            if weight_bn is not None:
                rows = torch.arange(height, device=weight_bn.device) + dy
                inside = ((rows >= 0) & (rows < height)).repeat_interleave(width)
                total = total + weight_bn * inside
        return total


def _in_a_row(x_bchw: Tensor, margin: int) -> Tensor:
    """Give (B, H * W, C), with zeros before and behind."""
    x_bnc = x_bchw.permute(0, 2, 3, 1).flatten(1, 2)
    # Not F.pad: run-times let the layer before write between the zeros.
    zeros = x_bnc.new_zeros(()).expand(x_bnc.shape[0], margin, x_bnc.shape[2])
    return torch.cat([zeros, x_bnc, zeros], 1)


def _part(x_bn: Tensor, start: int, length: int) -> Tensor:
    """Give pixels of (B, N, ...)."""
    sizes = [start, length, x_bn.shape[1] - start - length]
    # Exporters have no use for pieces of nothing.
    pieces = x_bn.split([size for size in sizes if size], 1)
    return pieces[bool(start)]
