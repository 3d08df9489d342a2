# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Start a network from an earlier training, also one of a somewhat other network."""

from __future__ import annotations

import logging
from pathlib import Path

from torch import nn

_log = logging.getLogger(__name__)


def take_fitting(network: nn.Module, found: nn.Module, path: Path) -> None:
    """Copy the tensors of ``found`` whose names and shapes are those of ``network``.

    :param path: where ``found`` is from, for the log
    :raises ValueError: if nothing fits
    """
    own = network.state_dict()
    fitting = {
        name: value
        for name, value in found.state_dict().items()
        if name in own and own[name].shape == value.shape
    }
    kind = type(network).__name__
    if not fitting:
        raise ValueError(f'{path} has another kind of {kind}; none of its weights fit')
    network.load_state_dict(fitting, strict=False)
    _log.info('%d of %d tensors of %s are from %s', len(fitting), len(own), kind, path)
