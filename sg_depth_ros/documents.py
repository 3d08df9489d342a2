# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""YAML, JSON and CSV from anybody, read within bounds: the one place that calls their parsers.

A few lines of YAML can stand for billions of values, and brackets alone can exhaust the stack.
Neither a bundle nor a configuration needs that. What a parser raises becomes a DocumentError.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from sg_depth_ros.files import read_bounded

MAX_BYTES = 1 << 20
"""Of a YAML or JSON file; those of this package have a few thousand."""
MAX_TABLE_BYTES = 1 << 26
"""Of a CSV file, which has a row a frame."""
MAX_DEPTH = 40
MAX_VALUES = 50_000
"""Of a YAML file, where a value that is referred to counts each time."""


class DocumentError(ValueError):
    """A file that is not YAML, JSON or CSV, or too much of it; the message names the file."""


def read_text(path: str | Path, max_bytes: int = MAX_BYTES) -> str:
    """Read UTF-8 text, with or without the byte order mark that some editors begin it with.

    :raises DocumentError: when it cannot be read, is larger than ``max_bytes``, or no such text
    """
    try:
        return read_bounded(path, max_bytes).decode('utf-8-sig')
    except OSError as error:
        raise DocumentError(f'{path} cannot be read ({error.strerror})') from error
    except UnicodeDecodeError as error:
        raise DocumentError(f'{path} is no UTF-8 text ({error}); save it as UTF-8') from error
    except ValueError as error:
        raise DocumentError(str(error)) from error


def read_yaml(path: str | Path) -> Any:
    """Read a YAML file; raises DocumentError."""
    return parse_yaml(read_text(path), str(path))


def parse_yaml(text: str, origin: str) -> Any:
    """Give the value of YAML text.

    :param origin: where it comes from, for the error
    :raises DocumentError: when it is no YAML, names a key twice, or is too large or deep
    """
    try:
        return yaml.load(text, _BoundedLoader)
    # Dates and numbers that cannot be are errors of Python's, not of the parser's.
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        reason = ' '.join(str(error).split())
        raise DocumentError(f'{origin} is not YAML ({reason})') from error


def read_json(path: str | Path, max_bytes: int = MAX_BYTES) -> Any:
    """Read a JSON file; raises DocumentError, also when it is larger than ``max_bytes``."""
    return parse_json(read_text(path, max_bytes), str(path))


def parse_json(text: str, origin: str) -> Any:
    """Give the value of JSON text.

    :param origin: where it comes from, for the error
    :raises DocumentError: when it is no JSON, names a key twice, or is nested too deeply
    """
    try:
        return json.loads(text, object_pairs_hook=_object)
    except RecursionError as error:
        raise DocumentError(f'{origin} is not JSON (it is nested too deeply)') from error
    except ValueError as error:
        raise DocumentError(f'{origin} is not JSON ({error})') from error


def read_table(path: str | Path) -> tuple[list[str], list[dict[str, str]]]:
    """Read a CSV file with a line of column names: these names, and the rows by name.

    :raises DocumentError: when it is no such file, or a row has more or fewer values
    """
    text = read_text(path, MAX_TABLE_BYTES)
    try:
        lines = [line for line in csv.reader(io.StringIO(text, newline='')) if line]
    except csv.Error as error:
        raise DocumentError(f'{path} is no CSV ({error})') from error
    if not lines:
        raise DocumentError(f'{path} is empty; expected a line of column names')
    names = [name.strip() for name in lines[0]]
    if twice := next((name for name in names if name and names.count(name) > 1), None):
        raise DocumentError(f'{path}: the column {twice!r} is there twice')
    for number, line in enumerate(lines[1:], 2):
        # Spreadsheets end some rows with empty cells.
        if len(line) < len(names) or any(line[len(names) :]):
            raise DocumentError(
                f'{path}: row {number} has {len(line)} values, the first row names {len(names)} '
                'columns'
            )
    return names, [dict(zip(names, line, strict=False)) for line in lines[1:]]


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f'the key {twice!r} is there twice')
    return values


class _BoundedLoader(yaml.SafeLoader):
    """Plain values, each key once, and no more of them than the bounds of this module allow."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = self._values = 0
        self._sizes: dict[str, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Count what the text stands for while it is read."""
        event = self.peek_event()
        before = self._values
        self._values += 1
        if isinstance(event, yaml.AliasEvent) and event.anchor in self.anchors:
            # What is not finished yet would contain itself.
            self._values += self._sizes.get(str(event.anchor), MAX_VALUES)
        self._depth += 1
        if self._depth > MAX_DEPTH or self._values > MAX_VALUES:
            what = f'deeper than {MAX_DEPTH} levels' if self._depth > MAX_DEPTH else 'too much'
            raise yaml.MarkedYAMLError(None, None, f'{what} for this file', event.start_mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if not isinstance(event, yaml.AliasEvent):
            if event.anchor is not None:
                self._sizes[event.anchor] = self._values - before
            if isinstance(node, yaml.MappingNode):
                _refuse_repeated(node)
        return node


def _refuse_repeated(node: yaml.MappingNode) -> None:
    """Raise for a key that is there twice, of which PyYAML would drop one without a word."""
    seen = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            if (key.tag, key.value) in seen:
                problem = f'the key {key.value!r} is there twice'
                raise yaml.MarkedYAMLError(None, None, problem, key.start_mark)
            seen.add((key.tag, key.value))
