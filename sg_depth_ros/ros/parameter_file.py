# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""For which nodes a ROS parameter file has a section; others would start with their defaults."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sg_depth_ros.documents import read_yaml

_PARAMETERS = 'ros__parameters'


def sections(file: str | Path) -> list[str]:
    """Give the names of nodes that a parameter file has sections for, as it writes them.

    They may hold ``*`` for one part of a name, and ``**`` for any number of parts.

    :raises DocumentError: when it cannot be read or is not YAML
    """
    return list(_sections(read_yaml(file), ''))


def _sections(values: Any, name: str) -> Iterator[str]:
    if isinstance(values, dict):
        if _PARAMETERS in values:
            yield name
        for key, inner in values.items():
            if key != _PARAMETERS:
                yield from _sections(inner, f'{name}/{str(key).strip("/")}')


def is_meant(section: str, node: str) -> bool:
    """Whether a section holds for a node of this absolute name, such as ``/front/sg_depth``."""
    return _fits(_parts(section), _parts(node))


def _parts(name: str) -> list[str]:
    return [part for part in name.split('/') if part]


def _fits(section: Sequence[str], node: Sequence[str]) -> bool:
    if not section:
        return not node
    first, rest = section[0], section[1:]
    if first == '**':
        return any(_fits(rest, node[skipped:]) for skipped in range(len(node) + 1))
    return bool(node) and first in ('*', node[0]) and _fits(rest, node[1:])
