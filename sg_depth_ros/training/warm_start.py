# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Start from an earlier training: the shipped one by its name, or one of another network."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from sg_depth_ros.bundle import load_bundle
from sg_depth_ros.bundle.manifest import MANIFEST
from sg_depth_ros.bundle.share import share_directory
from sg_depth_ros.networks.packnet import PackNet

_log = logging.getLogger(__name__)


def find_networks(path: Path) -> Path:
    """Give the checkpoint at a path, or the one that is shipped with the bundle of that name.

    :raises ValueError: if there is neither; the message lists what is shipped
    """
    if path.is_file():
        return path
    models = share_directory() / 'models'
    if path.name == str(path) and (shipped := models / f'{path}.pt').is_file():
        return shipped
    names = ', '.join(sorted(file.stem for file in models.glob('*.pt')))
    raise ValueError(
        f'{path} is no checkpoint and no name of a shipped one ({names or "none"}); give a '
        'networks.pt that `sg_depth train` has written'
    )


def licence_of(path: Path, meta: Mapping[str, Any]) -> str | None:
    """Give the licence of a checkpoint's weights: what it says, or the bundle that it lies beside.

    :param meta: its meta values
    :return: None where neither says one
    """
    licence: str | None = meta.get('licence')
    bundle = path.with_suffix('')
    if licence is None and (bundle / MANIFEST).is_file():
        return load_bundle(bundle).manifest.licence
    return licence


def inherited_licence(found: Mapping[Path, Mapping[str, Any]]) -> str | None:
    """Give the licence of what begins from these checkpoints, by path with their meta values.

    :return: an expression of SPDX; None where no licence is known
    """
    licences = {licence_of(path, meta) for path, meta in found.items()} - {None}
    return ' AND '.join(sorted(map(str, licences))) or None


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
    note_other_settings(network, found, path)
    if not fitting:
        raise ValueError(f'{path} has another kind of {kind}; none of its weights fit')
    network.load_state_dict(fitting, strict=False)
    _log.info('%d of %d tensors of %s are from %s', len(fitting), len(own), kind, path)


def note_other_settings(network: nn.Module, found: nn.Module, path: Path) -> None:
    """Warn where equal weights mean something else, as their network pads or normalises otherwise.

    Guidance is left out: an unguided network is a start for a guided one. So is where PackNet's
    depth is stopped, which its weights know nothing of.
    """
    own, begun = (getattr(n, 'config', None) for n in (network, found))
    if own is None or begun is None or type(own) is not type(begun):
        return
    same = {'guidance', 'max_depth'} if isinstance(network, PackNet) else {'guidance'}
    now, before = (config.model_dump(exclude=same) for config in (own, begun))
    changed = [f'{key} {before[key]!r}' for key in now if now[key] != before[key]]
    if changed:
        _log.warning(
            '%s was trained with %s; set the same under "network", or it begins with errors',
            path,
            ', '.join(changed),
        )
