# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Networks in the form that answers fastest, with the answers of the form that trains."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import nn

from sg_depth_ros.networks.pac import PacConv2d, ScatteringPac
from sg_depth_ros.networks.packing import MergedPack, Pack

_Network = TypeVar('_Network', bound=nn.Module)


def prepare_for_inference(network: _Network) -> _Network:
    """Give a copy of a trained network that computes the same with less work.

    PackNet's packs become one convolution each and pixel-adaptive convolutions weigh their
    outputs, see :class:`MergedPack` and :class:`ScatteringPac`. The copy is in evaluation mode
    and its weights have other names.
    """
    prepared = copy.deepcopy(network)
    for parent in list(prepared.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Pack):
                setattr(parent, name, MergedPack(child))
            elif isinstance(child, PacConv2d) and child.stride == 1 and not child.normalize:
                setattr(parent, name, ScatteringPac(child))
    return prepared.eval()
