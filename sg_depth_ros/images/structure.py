# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a JPEG or a PNG says of itself before it is decoded: size, orientation, and its end.

OpenCV takes memory for the size that a header claims, looks for no end in some of its versions,
and tells nobody what was missing. So this is read first.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass, field
from typing import NamedTuple

PNG_MAGIC = b'\x89PNG\r\n\x1a\n'
JPEG_MAGIC = b'\xff\xd8\xff'

_MARKER = re.compile(rb'\xff+([\x01-\xcf\xd8-\xfe])', re.DOTALL)
"""What ends a scan: neither a stuffed byte nor a restart."""
_RESTART = re.compile(rb'\xff+([\xd0-\xd7])', re.DOTALL)
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ORIENTATION = 0x0112


class ImageError(ValueError):
    """An image that cannot be decoded; the message says what was found and expected."""


class Component(NamedTuple):
    """One channel of a JPEG: blocks in a unit, first quantiser, and Huffman tables in the scan."""

    across: int
    down: int
    quantiser: int
    dc: int
    ac: int


class Scan(NamedTuple):
    """Where the only scan of a sequential JPEG lies, and where the height is written."""

    start: int
    end: int
    height: int


@dataclass
class Structure:
    """Size in pixels as stored, EXIF's orientation (1 to 8), and how a JPEG is coded.

    ``scan`` is None of any other image. ``interval`` counts the units between restarts, 0 without
    them. ``codes`` gives, by class (0 DC, 1 AC) and number, each table's lengths and symbols.
    """

    kind: str
    width: int = 0
    height: int = 0
    orientation: int = 1
    scan: Scan | None = None
    interval: int = 0
    components: list[Component] = field(default_factory=list)
    codes: dict[tuple[int, int], tuple[bytes, bytes]] = field(default_factory=dict)


def read_structure(data: bytes) -> Structure:
    """Walk through an image without decoding it.

    :raises ImageError: when it is neither JPEG nor PNG, or not whole
    """
    if data.startswith(PNG_MAGIC):
        return _png(data)
    if data.startswith(JPEG_MAGIC):
        try:
            return _jpeg(data)
        except (struct.error, IndexError) as error:
            raise _truncated('JPEG', data) from error
    if data.startswith((PNG_MAGIC[:2], JPEG_MAGIC[:2])):
        raise _truncated('PNG' if data.startswith(b'\x89') else 'JPEG', data)
    raise ImageError(
        f'found {len(data)} bytes that are neither JPEG nor PNG; convert the image to one of them'
    )


def _truncated(kind: str, data: bytes) -> ImageError:
    return ImageError(f'the {kind} image of {len(data)} bytes has no end; it is truncated')


def _png(data: bytes) -> Structure:
    """Check every chunk of a PNG against its checksum."""
    found = Structure('PNG')
    place, name = len(PNG_MAGIC), b''
    while name != b'IEND':
        if place + 12 > len(data):
            raise _truncated('PNG', data)
        size, name = struct.unpack_from('>I4s', data, place)
        content = data[place + 8 : place + 8 + size]
        end = place + 12 + size
        if end > len(data):
            raise _truncated('PNG', data)
        if zlib.crc32(content, zlib.crc32(name)) != int.from_bytes(data[end - 4 : end], 'big'):
            raise ImageError(
                f'the PNG image is damaged at byte {place}: a checksum is wrong; copy it again'
            )
        if name == b'IHDR' and size >= 8:
            found.width, found.height = struct.unpack_from('>II', content)
        elif name == b'eXIf':
            found.orientation = _orientation(content)
        place = end
    return found


def _jpeg(data: bytes) -> Structure:
    """Follow the segments of a JPEG, so that the end of a thumbnail inside is not taken for its.

    Struct and index errors mean that it ends too early.
    """
    found = Structure('JPEG')
    scans, place, height_at = 0, 2, 0
    sampling: dict[int, tuple[int, int, int]] = {}
    quantisers: dict[int, int] = {}
    sequential = False
    while True:
        if data[place] != 0xFF:
            raise ImageError(f'the JPEG image is damaged at byte {place}; copy or send it again')
        marker = data[place + 1]
        if marker == 0xFF:  # fill
            place += 1
            continue
        place += 2
        if marker == 0xD9:
            break
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            continue
        (size,) = struct.unpack_from('>H', data, place)
        content = data[place + 2 : place + size]
        if size < 2 or place + size > len(data):
            raise _truncated('JPEG', data)
        if marker in _START_OF_FRAME:
            sequential, height_at = marker in (0xC0, 0xC1), place + 3
            _, found.height, found.width, count = struct.unpack_from('>BHHB', content)
            parts = [content[6 + 3 * i : 9 + 3 * i] for i in range(count)]
            sampling = {part[0]: (part[1] >> 4, part[1] & 15, part[2]) for part in parts}
        elif marker == 0xC4:
            _read_codes(content, found)
        elif marker == 0xDB:
            quantisers.update(_first_quantisers(content))
        elif marker == 0xDD:
            (found.interval,) = struct.unpack_from('>H', content)
        elif marker == 0xE1 and content.startswith(b'Exif\0\0'):
            found.orientation = _orientation(content[6:])
        place += size
        if marker == 0xDA:
            scans += 1
            end = _MARKER.search(data, place)
            if end is None:
                raise _truncated('JPEG', data)
            found.components = []
            for i in range(content[0]):
                name, tables = content[1 + 2 * i], content[2 + 2 * i]
                across, down, table = sampling.get(name, (1, 1, 0))
                first = quantisers.get(table, 0)
                found.components.append(
                    Component(max(across, 1), max(down, 1), first, tables >> 4, tables & 15)
                )
            found.scan = Scan(place, end.start(), height_at)
            place = end.start()
    if not scans or not sampling:
        raise ImageError('the JPEG image holds no picture; copy or send it again')
    if not sequential or scans > 1 or len(found.components) != len(sampling):
        found.scan = None
    elif found.interval and found.scan is not None:
        _check_restarts(found, data[found.scan.start : found.scan.end])
    return found


def units(found: Structure) -> tuple[int, int, int, int]:
    """Give the width and height of a JPEG's smallest coded unit, and the units across and down."""
    alone = len(found.components) == 1
    width = 8 * (1 if alone else max(c.across for c in found.components))
    height = 8 * (1 if alone else max(c.down for c in found.components))
    return width, height, -(-found.width // width), -(-found.height // height)


def _check_restarts(found: Structure, scan: bytes) -> None:
    """Raise ImageError unless the restarts are those that the size asks for, in their order."""
    _, _, across, down = units(found)
    wanted = -(-across * down // found.interval) - 1
    numbers = [marker[0] & 7 for marker in _RESTART.findall(scan)]
    if len(numbers) == wanted + 1:  # some write one more before the end
        numbers.pop()
    if numbers != [i % 8 for i in range(wanted)]:
        raise ImageError(
            f'the JPEG image has lost a part: found {len(numbers)} restart markers, expected '
            f'{wanted} in order; look at the connection to the camera, or copy it again'
        )


def _read_codes(content: bytes, found: Structure) -> None:
    place = 0
    while place < len(content):
        table, lengths = content[place], content[place + 1 : place + 17]
        symbols = content[place + 17 : place + 17 + sum(lengths)]
        found.codes[table >> 4, table & 15] = lengths, symbols
        place += 17 + sum(lengths)


def _first_quantisers(content: bytes) -> dict[int, int]:
    """Give the divisor of a block's mean by the number of its table."""
    found, place = {}, 0
    while place < len(content):
        wide = content[place] >> 4 > 0
        size = 2 if wide else 1
        found[content[place] & 15] = int.from_bytes(content[place + 1 : place + 1 + size], 'big')
        place += 1 + 64 * size
    return found


def _orientation(tiff: bytes) -> int:
    """Give EXIF's orientation, 1 (upright) where it says none or cannot be read."""
    order = {b'II': '<', b'MM': '>'}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f'{order}I', tiff, 4)
        (count,) = struct.unpack_from(f'{order}H', tiff, start)
        for entry in range(count):
            tag, kind, _, value = struct.unpack_from(f'{order}HHIH', tiff, start + 2 + 12 * entry)
            if tag == _ORIENTATION and kind == 3 and 1 <= value <= 8:
                return int(value)
    except struct.error:
        pass
    return 1
