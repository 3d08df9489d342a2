# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Padding of convolutions by reflection, in operators that every run-time knows."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Padding = Literal['zeros', 'reflect']
"""What 3x3 convolutions see outside the image: nothing, or the pixels inside mirrored."""


def reflect(x_bchw: Tensor, margin: int = 1) -> Tensor:
    """Pad (B, C, H, W) on each side, mirrored at the outermost pixels.

    Of slices: run-times for accelerators do not know reflection as an operator.

    :param margin: pixels on each side, fewer than H and W
    """
    x, inside = x_bchw, range(1, margin + 1)
    rows = [x[..., i : i + 1, :] for i in inside], [_back(x, i, -2) for i in inside]
    x = torch.cat([*rows[0][::-1], x, *rows[1]], -2)
    columns = [x[..., i : i + 1] for i in inside], [_back(x, i, -1) for i in inside]
    return torch.cat([*columns[0][::-1], x, *columns[1]], -1)


def _back(x: Tensor, distance: int, axis: int) -> Tensor:
    """Give one row or column, counted from the last."""
    return x.narrow(axis, x.shape[axis] - 1 - distance, 1)


class Reflect(nn.Module):
    """:func:`reflect` as a layer, which stands before a convolution without padding."""

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Give (B, C, H + 2, W + 2)."""
        return reflect(x_bchw)
