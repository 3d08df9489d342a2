# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the data of a JPEG are as many as its size asks for, told by stripes added at its end.

A network or a USB cable that loses a part of a JPEG leaves a picture that decoders show all the
same: behind the hole all is in the wrong place. They know, since the data end too early or too
late, but OpenCV does not pass it on. So a few units (of 8x8 or 16x16 pixels) in stripes are coded
behind the last one, and the height is raised by them: only if all data before them are there, the
stripes come out in their place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

from sg_depth_ros.images.structure import Scan, Structure, units

_FEWEST_UNITS = 8
"""Of the stripes, which have a period of four."""
_LEAST_CONTRAST = 2.0
"""In levels of gray; what is coded with less has no room for stripes."""
_USUAL = {
    (0, 0): (bytes((0, 1, 5, 1, 1, 1, 1, 1, 1)), bytes(range(12))),
    (0, 1): (bytes((0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1)), bytes(range(12))),
}
"""Tables of a JPEG that brings none, as cameras send over USB: those of the standard's annex K."""
_USUAL_END = {0: '1010', 1: '00'}
"""The code in those tables for the end of a block."""


def lengthened(data: bytes, found: Structure, scan: Scan) -> Iterator[bytes]:
    """Give the JPEG with stripes at its end.

    There are several: what is data and what is filling in the last byte has to be guessed, and
    the first guess is nearly always right. Where stripes cannot be coded, ``data`` is given.
    """
    _, height, across, down = units(found)
    rows = -(-_FEWEST_UNITS // across)
    higher = (down + rows) * height
    stripes = _stripes(found, rows * across)
    if stripes is None or higher > 0xFFFF:
        yield data
        return
    head = bytearray(data[: scan.start])
    head[scan.height : scan.height + 2] = higher.to_bytes(2, 'big')
    coded = data[scan.start : scan.end].replace(b'\xff\x00', b'\xff')
    # Some cameras fill up with zeros; one of them can be the end of the data as well.
    bare = coded.rstrip(b'\x00')
    for content in sorted({coded, bare}, key=len, reverse=len(coded) - len(bare) < 2):
        last = ''.join(f'{byte:08b}' for byte in content[-2:])
        for filled in _fillings(last, found):
            bits = last[: len(last) - filled] + stripes
            bits += '1' * (-len(bits) % 8)
            end = int(bits, 2).to_bytes(len(bits) // 8, 'big')
            tail = (content[:-2] + end).replace(b'\xff', b'\xff\x00')
            yield bytes(head) + tail + b'\xff\xd9'


def _fillings(last: str, found: Structure) -> list[int]:
    """Give how many of the last bits may be filling, the likeliest first.

    It is of ones, with some encoders of zeros, and what precedes it is mostly the end of a block.
    """
    ones, zeros = (len(last) - len(last.rstrip(bit)) for bit in '10')
    guesses = [*range(min(ones, 7), -1, -1), *range(1, min(zeros, 7) + 1)]
    end = str(_code(found, 1, found.components[-1].ac, 0))
    return sorted(guesses, key=lambda count: not last[: len(last) - count].endswith(end))


def ends_in_stripes(means: NDArray[Any] | None, found: Structure) -> bool:
    """Tell whether the stripes, all of them, stand under the image.

    :param means: of blocks of 8x8 pixels: the lengthened image at an eighth of its size, gray
    """
    if means is None:
        return False
    width, height, across, down = units(found)
    levels = means[down * height // 8 :: height // 8, :: width // 8].reshape(-1)
    if len(levels) < _FEWEST_UNITS or len(levels) % across:
        return False
    bright, middle, dark = levels[0::4], levels[1::2], levels[2::4]
    even = all((part == part[0]).all() for part in (bright, middle, dark))
    return even and bool(bright[0] > dark[0])


def _stripes(found: Structure, count: int) -> str | None:
    """Code ``count`` units, brighter, as before, darker and as before the last one, as bits."""
    codes = []
    for component in found.components:
        same, end = _code(found, 0, component.dc, 0), _code(found, 1, component.ac, 0)
        if same is None or end is None:
            return None
        codes.append((same, end))
    first = found.components[0]
    steps = [
        (2**size - 1, size, code)
        for size in range(1, 9)
        if (code := _code(found, 0, first.dc, size)) is not None
        # A block's mean is coded as eight times a level.
        and (2**size - 1) * first.quantiser / 8 >= _LEAST_CONTRAST
    ]
    if not steps:
        return None
    _, size, code = steps[0]
    up, down = code + '1' * size, code + '0' * size
    alone = len(found.components) == 1
    rest = ''
    for index, (component, (same, end)) in enumerate(zip(found.components, codes, strict=True)):
        blocks = 1 if alone else component.across * component.down
        rest += end + (same + end) * (blocks - 1) if index == 0 else (same + end) * blocks
    quarters = [up + rest, down + rest, down + rest, up + rest]
    return ''.join(quarters * (count // 4) + quarters[: count % 4])


def _code(found: Structure, kind: int, number: int, symbol: int) -> str | None:
    """Give the bits of a symbol in a Huffman table, None where it has none."""
    if (kind, number) in found.codes:
        lengths, symbols = found.codes[kind, number]
    elif found.codes:
        return None
    elif kind == 1:
        return _USUAL_END.get(number) if symbol == 0 else None
    elif (kind, number) in _USUAL:
        lengths, symbols = _USUAL[kind, number]
    else:
        return None
    code = place = 0
    for length, many in enumerate(lengths, 1):
        for _ in range(many):
            if place < len(symbols) and symbols[place] == symbol:
                return f'{code:0{length}b}'
            code, place = code + 1, place + 1
        code <<= 1
    return None
