# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which other files an ONNX graph takes its weights from, told without the package ``onnx``.

ONNX is a protocol buffer: a message is a row of fields, each with a number and a wire type, and a
field of type 2 holds its length and then text, packed numbers, or another message. Only the
messages that lead to tensors are followed, so that weights are stepped over.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

_INSIDE = {
    'model': {7: 'graph', 20: 'training', 25: 'function'},
    'training': {1: 'graph', 2: 'graph'},
    'graph': {1: 'node', 5: 'tensor', 15: 'sparse'},
    'function': {7: 'node', 11: 'attribute'},
    'node': {5: 'attribute'},
    'attribute': {
        **{5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph'},
        **{22: 'sparse', 23: 'sparse'},
    },
    'sparse': {1: 'tensor', 2: 'tensor'},
    'tensor': {},
}
"""By kind of message, the fields that hold messages on the way to tensors (``onnx.proto``)."""
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_KEY, _VALUE = 1, 2
_MAX_DEPTH = 50


def external_files(graph: bytes) -> list[str]:
    """Give the names of the files beside a graph that hold some of its weights.

    What is no ONNX graph has none; the run-time that is to run it will say so.
    """
    found: list[str] = []
    with suppress(IndexError, ValueError):
        _walk(memoryview(graph), 'model', found, 0)
    return found


def _walk(message: memoryview, kind: str, found: list[str], depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise ValueError('too deep for a graph')
    for number, value in _fields(message):
        inner = _INSIDE[kind].get(number)
        if inner is not None and isinstance(value, memoryview):
            _walk(value, inner, found, depth + 1)
        elif kind == 'tensor' and number == _EXTERNAL_DATA and isinstance(value, memoryview):
            pair = {n: bytes(v) for n, v in _fields(value) if isinstance(v, memoryview)}
            if pair.get(_KEY) == b'location':
                found.append(pair.get(_VALUE, b'').decode('utf-8', 'replace'))
        elif kind == 'tensor' and number == _DATA_LOCATION and value == 1 and not found:
            found.append('not named')


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Give number and value of each field; raises IndexError or ValueError when it is damaged."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        wire = tag & 7
        value: int | memoryview
        if wire == 0:
            value, place = _varint(message, place)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            value, place = message[place : place + size], place + size
        elif wire == 2:
            size, place = _varint(message, place)
            value, place = message[place : place + size], place + size
        elif wire in (3, 4):  # a group's bounds, which parsers step over
            continue
        else:
            raise ValueError('no protocol buffer')
        if place > len(message):
            raise IndexError('the message is cut off')
        yield tag >> 3, value


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[place]
        value, place = value | (byte & 127) << shift, place + 1
        if byte < 128:
            return value, place
    raise ValueError('a number has more than ten bytes')
