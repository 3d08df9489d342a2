# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PackNet's packing and unpacking (Guizilini et al., CVPR 2020), and packing for inference.

A pack is space-to-depth, a 3D convolution over (channel, row, column) and a 2D convolution over
what the 3D one gives, with nothing between: both are linear, so they are one convolution of
``kernel + 2`` on an eighth of the channels, with half of the whole network's multiply-adds.
The 3D convolution's zero padding of the channel axis merges exactly.

Its padding of the image does not: the 2D convolution sees zeros outside the image, where the
merged one sees what the 3D convolution would answer there. That changes a frame of kernel // 2
pixels, which is 40 % of the 20x6 pixels at stride 32 of a 640x192 image, and through the
normalisation every other pixel. So :class:`MergedPack` takes it off again. Outside the image the
3D convolution answers with its bias, and next to the border also with one row or column of the
image, so what is to be taken off comes from convolutions of these four lines and four corners:
under 1 % of the multiply-adds, a third of the weights that merging saves, and the exported
network answers as the trained one does.
"""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Pack(nn.Module):
    """Halve the resolution by folding pixels into channels; no normalisation yet.

    :param channels: C of input and output
    :param kernel_size: of the 2D convolution, odd
    :param depth: output channels of the 3D convolution
    """

    def __init__(self, channels: int, kernel_size: int, depth: int = 8) -> None:
        super().__init__()
        self.out_channels = channels
        self.conv3d = nn.Conv3d(1, depth, 3, padding=1)
        self.conv = nn.Conv2d(
            4 * depth * channels, channels, kernel_size, padding=kernel_size // 2
        )

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Pack (B, C, H, W) into (B, C, H/2, W/2)."""
        folded = F.pixel_unshuffle(x_bchw, 2)[:, None]
        out: Tensor = self.conv(self.conv3d(folded).flatten(1, 2))
        return out


class Unpack(nn.Module):
    """Double the resolution by unfolding channels into pixels.

    A 3D convolution and a pixel shuffle; the convolution before them, with its normalisation and
    activation, gives ``4 / depth`` of the output's channels.

    :param depth: output channels of the 3D convolution
    """

    def __init__(self, depth: int = 8) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(1, depth, 3, padding=1)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Unpack (B, 4/depth C, H, W) into (B, C, 2H, 2W)."""
        return F.pixel_shuffle(self.conv3d(x_bchw[:, None]).flatten(1, 2), 2)


class MergedPack(nn.Module):
    """A trained :class:`Pack` as one convolution, with the same answers at borders too."""

    def __init__(self, pack: Pack) -> None:
        super().__init__()
        depth = pack.conv3d.out_channels
        # (O, depth, channels, k, k) and (depth, 1, 3, 3, 3).
        outer = pack.conv.weight.detach().unflatten(1, (depth, -1))
        inner, inner_bias = pack.conv3d.weight.detach(), pack.conv3d.bias
        assert inner_bias is not None and pack.conv.bias is not None
        # What each tap of the 2D convolution makes of the 3D one's bias: (O, k, k).
        offset = torch.einsum('odckl,d->okl', outer, inner_bias.detach())
        self.reach = pack.conv.kernel_size[0] // 2
        whole = F.conv_transpose3d(outer, inner, padding=(1, 0, 0)).squeeze(1)
        self.whole = _conv(whole, pack.conv.bias.detach() + offset.sum((1, 2)), self.reach + 1)
        # Every border is the top one of a turned image, and so are its taps.
        self.edges, self.corners = nn.ModuleList(), nn.ModuleList()
        for turns in range(4):
            taps, kernel, biases = (_turn(w, turns) for w in (outer, inner, offset))
            self.edges.append(self._edge(taps, kernel, biases, turns))
            self.corners.append(self._corner(taps, kernel, biases, turns))

    def _edge(self, outer: Tensor, inner: Tensor, offset: Tensor, turns: int) -> nn.Conv2d:
        """Give what the rows above the image add to the first rows, from the image's first row.

        Output row i meets row -1 by its tap reach - 1 - i, and that row the image by the 3D
        convolution's last tap; of the rows further up there is only the bias.
        """
        weights, biases = [], []
        for row in range(self.reach):
            tap = outer[..., self.reach - 1 - row, :]
            weights.append(F.conv_transpose2d(tap, inner[..., 2, :], padding=(1, 0)).squeeze(1))
            biases.append(offset[:, : self.reach - row].sum((1, 2)))
        if turns in (1, 2):  # the last columns or rows: the outermost comes last
            weights, biases = weights[::-1], biases[::-1]
        weight = torch.stack(weights, 1).flatten(0, 1)[:, :, None]
        padding = (self.reach + 1, 0) if turns % 2 else (0, self.reach + 1)
        return _conv(_turn(weight, -turns), torch.stack(biases, 1).flatten(), padding)

    def _corner(self, outer: Tensor, inner: Tensor, offset: Tensor, turns: int) -> nn.Conv2d:
        """Give what the pixels above and left of the image add, which two edges count."""
        r = self.reach
        weights, biases = [], []
        for row, column in product(range(r), repeat=2):
            tap = outer[..., r - 1 - row, r - 1 - column]
            weights.append(F.conv_transpose1d(tap, inner[..., 2, 2], padding=1).squeeze(1))
            biases.append(offset[:, : r - row, : r - column].sum((1, 2)))
        weight, bias = (
            _turn(torch.stack(values, -1).unflatten(-1, (r, r)), -turns)
            for values in (weights, biases)
        )
        return _conv(weight.movedim(1, -1).flatten(0, 2)[..., None, None], bias.flatten(), 0)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Pack (B, C, H, W) into (B, C, H/2, W/2)."""
        x = F.pixel_unshuffle(x_bchw, 2)
        r = self.reach
        height, width = x.shape[-2] - r, x.shape[-1] - r
        lines = (x[..., :1, :], x[..., -1:], x[..., -1:, :], x[..., :1])
        top, right, bottom, left = (
            conv(line).unflatten(1, (-1, r)).squeeze(4 if turns % 2 else 3)
            for turns, (conv, line) in enumerate(zip(self.edges, lines, strict=True))
        )
        points = (x[..., :1, :1], x[..., :1, -1:], x[..., -1:, -1:], x[..., -1:, :1])
        top_left, top_right, bottom_right, bottom_left = (
            conv(point).unflatten(1, (-1, r, r)).flatten(3)
            for conv, point in zip(self.corners, points, strict=True)
        )
        top = top - F.pad(top_left, [0, width]) - F.pad(top_right, [width, 0])
        bottom = bottom - F.pad(bottom_left, [0, width]) - F.pad(bottom_right, [width, 0])
        rows = F.pad(top, [0, 0, 0, height]) + F.pad(bottom, [0, 0, height, 0])
        columns = F.pad(left.mT, [0, width]) + F.pad(right.mT, [width, 0])
        return self.whole(x) - rows - columns


def _turn(x: Tensor, turns: int) -> Tensor:
    """Turn the last two axes; by one turn the last column comes first, as row."""
    return torch.rot90(x, turns, (-2, -1))


def _conv(weight: Tensor, bias: Tensor, padding: int | tuple[int, int]) -> nn.Conv2d:
    """Make a convolution of given weights (O, C, h, w)."""
    outputs, inputs, height, width = weight.shape
    conv = nn.Conv2d(inputs, outputs, (height, width), padding=padding, device=weight.device)
    conv.weight, conv.bias = nn.Parameter(weight), nn.Parameter(bias)
    return conv
