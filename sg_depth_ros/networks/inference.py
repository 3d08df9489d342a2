# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Networks in the form that answers fastest, with the answers of the form that trains."""

from __future__ import annotations

import copy
from typing import TypeVar, cast

from torch import nn

from sg_depth_ros.networks.packing import MergedPack, Pack
from sg_depth_ros.networks.padding import Reflect

_Network = TypeVar('_Network', bound=nn.Module)


def prepare_for_inference(network: _Network) -> _Network:
    """Give a copy of a trained network that computes the same with less work.

    PackNet's packs become one convolution each, see :class:`MergedPack`, heads become transposed
    convolutions, and padding by reflection becomes slices. The copy is in evaluation mode, and
    its weights have other names.
    """
    prepared = copy.deepcopy(network)
    for parent in list(prepared.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Pack):
                setattr(parent, name, MergedPack(child))
            elif isinstance(child, nn.Conv2d):
                setattr(parent, name, _prepared(child))
    return prepared.eval()


def _prepared(conv: nn.Conv2d) -> nn.Module:
    reflects = conv.padding_mode == 'reflect'
    if reflects:
        assert conv.padding == (1, 1), 'reflect() pads by one'
        conv.padding, conv.padding_mode = (0, 0), 'zeros'
    fast = _transposed(conv) if conv.out_channels == 1 else conv
    return nn.Sequential(Reflect(), fast) if reflects else fast


def _transposed(conv: nn.Conv2d) -> nn.ConvTranspose2d:
    """Give the same convolution as a transposed one.

    For a single output channel ONNX Runtime computes sixteen, as many as it lays side by side; a
    transposed convolution is one matrix product and seven times faster.
    """
    size, padding = cast(tuple[int, int], conv.kernel_size), cast(tuple[int, int], conv.padding)
    inverse = (size[0] - 1 - padding[0], size[1] - 1 - padding[1])
    twin = nn.ConvTranspose2d(conv.in_channels, 1, size, padding=inverse)
    twin.weight = nn.Parameter(conv.weight.detach().flip(2, 3).transpose(0, 1).contiguous())
    twin.bias = conv.bias
    return twin
