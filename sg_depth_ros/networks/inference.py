# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Networks in the form that answers fastest, with the answers of the form that trains."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import nn

from sg_depth_ros.networks.packing import MergedPack, Pack

_Network = TypeVar('_Network', bound=nn.Module)


def prepare_for_inference(network: _Network) -> _Network:
    """Give a copy of a trained network that computes the same with less work.

    PackNet's packs become one convolution each, see :class:`MergedPack`; other networks stay as
    they are. The copy is in evaluation mode, and its weights have other names.
    """
    prepared = copy.deepcopy(network)
    for parent in list(prepared.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Pack):
                setattr(parent, name, MergedPack(child))
    return prepared.eval()
