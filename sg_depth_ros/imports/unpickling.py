# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of others, read as data: no code of theirs runs, and their size is bounded."""

from __future__ import annotations

import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from sg_depth_ros.imports.kind import ForeignNetworkError

MAX_BYTES = 4 << 30
"""Of a file, packed and unpacked. The largest published one, of a PackNet with its optimiser's
state, has 1.5 GB."""


_STAND_INS: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (OrderedDict, 'yacs.config.CfgNode')
]
"""What packnet-sfm writes into its checkpoints besides; a configuration is a dictionary."""


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a file that ``torch.save`` has written, with tensors on the CPU.

    Of objects only plain containers, tensors and yacs' configurations are made, these as plain
    dictionaries.

    :raises ForeignNetworkError: if it is missing, too large, damaged, or holds other objects
    """
    if not path.is_file():
        raise ForeignNetworkError(f'{path} is no file; give the checkpoint as it was published')
    _require_bounded(path)
    try:
        with torch.serialization.safe_globals(_STAND_INS):
            content = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # torch.load raises unrelated types on foreign files
        found = re.search(r'GLOBAL (\S+)', str(error))
        if found:
            raise ForeignNetworkError(
                f'{path} holds an object of the kind {found[1]}, which only code from elsewhere '
                'could rebuild, and such is never run here; where it comes from, write its '
                'weights alone: torch.save({"state_dict": model.state_dict()}, FILE)'
            ) from error
        raise ForeignNetworkError(
            f'{path} cannot be read as a checkpoint of torch ({type(error).__name__}); download '
            'it again'
        ) from error
    if not isinstance(content, dict):
        raise ForeignNetworkError(
            f'{path} holds a {type(content).__name__}, expected a dictionary with the weights'
        )
    return content


def _require_bounded(path: Path) -> None:
    size = path.stat().st_size
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            size = max(size, sum(entry.file_size for entry in archive.infolist()))
    if size > MAX_BYTES:
        raise ForeignNetworkError(
            f'{path} has {size / 2**30:.1f} GB, at most {MAX_BYTES >> 30} are read; write its '
            'weights alone, without the state of the optimiser'
        )
