# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images of a training that are decoded once and kept as bytes, where the networks compute."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

_PART = 0.5
"""Of the memory that is free, so much may be taken; networks and other programs need theirs."""

Frame = tuple[int, int]
"""A frame: the number of its clip, and its index there."""

_log = logging.getLogger(__name__)


class FrameMemory:
    """Keeps views (H, W, 3) uint8 of frames, each made when it is first asked for.

    They lie in the device's memory where they fit, else in this machine's, from where a GPU
    fetches them by itself. Several threads may ask at once.

    :param frames: all that will be asked for
    :param size: width and height of a view
    :param device: where the networks compute
    :ivar views: (N, H, W, 3) uint8
    """

    def __init__(
        self, frames: Iterable[Frame], size: tuple[int, int], device: torch.device, here: bool
    ) -> None:
        self._rows = {frame: row for row, frame in enumerate(dict.fromkeys(frames))}
        self._shapes: dict[int, tuple[int, ...]] = {}
        shape = (len(self._rows), size[1], size[0], 3)
        self.views = torch.empty(
            shape,
            dtype=torch.uint8,
            device=device if here else 'cpu',
            pin_memory=device.type == 'cuda' and not here,
        )

    @classmethod
    def that_fits(
        cls,
        frames: Sequence[Frame],
        size: tuple[int, int],
        device: torch.device,
        processes: int = 1,
        free: Callable[[torch.device], int] | None = None,
    ) -> FrameMemory | None:
        """Make one where there is enough memory, or give None.

        :param processes: that share this machine's memory
        """
        free = free or free_memory
        distinct = list(dict.fromkeys(frames))
        needed = len(distinct) * size[0] * size[1] * 3
        host = torch.device('cpu')
        for place in dict.fromkeys((device, host)):
            shared = processes if place == host else 1
            if needed <= _PART * free(place) / shared:
                _log.info('%.2f GB of frames are kept in memory (%s)', needed / 1e9, place)
                return cls(distinct, size, device, here=place == device)
        _log.info('%.2f GB of frames do not fit into memory; they are decoded anew', needed / 1e9)
        return None

    def rows(
        self,
        clip: int,
        indices: Sequence[int],
        make: Callable[[int], tuple[NDArray[np.uint8], tuple[int, ...]]],
    ) -> tuple[list[int], list[tuple[int, ...]]]:
        """Give the rows of frames in :attr:`views`, and the shapes of the images as stored.

        :param make: gives the view of a frame and the shape of its image; what it raises passes
        """
        rows, shapes = [], []
        for index in indices:
            row = self._rows[clip, index]
            shape = self._shapes.get(row)
            if shape is None:
                view, shape = make(index)
                self.views[row].copy_(torch.from_numpy(view))
                # Last, as it tells the other threads that the view is there.
                self._shapes[row] = shape
            rows.append(row)
            shapes.append(shape)
        return rows, shapes


def free_memory(device: torch.device) -> int:
    """Give the bytes that are free on a GPU or on this machine."""
    if device.type == 'cuda':
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        with open('/proc/meminfo') as file:
            lines = dict(line.split(':', 1) for line in file)
        return int(lines['MemAvailable'].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return os.sysconf('SC_AVPHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
