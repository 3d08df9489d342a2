# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lists of frames, ``sequence:index`` a line, that limit a training."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sg_depth_ros.files import atomic_path


def write_frame_list(path: Path, names: Iterable[str]) -> None:
    """Write a list of frames."""
    with atomic_path(path) as temporary:
        temporary.write_text(''.join(f'{name}\n' for name in names))


def read_frame_list(path: Path) -> frozenset[str]:
    """Read a list of frames.

    :raises ValueError: if there is none, or a line is no frame
    """
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise ValueError(
            f'{path} cannot be read ({error.strerror}); write it with "sg_depth filter"'
        ) from error
    for number, line in enumerate(lines, 1):
        name, _, index = line.rpartition(':')
        if not name or not index.isdigit():
            raise ValueError(f'{path}, line {number}: found {line!r}, expected SEQUENCE:INDEX')
    if not lines:
        raise ValueError(f'{path} keeps no frame; loosen the filter that has written it')
    return frozenset(lines)
