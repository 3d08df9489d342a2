# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Batches of samples whose frames lie in memory, changed where the networks compute.

They are the samples that a loader makes, in the same order; on a GPU only rounding differs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

import torch
from torch import Tensor

from sg_depth_ros.training.data.changes import change_images
from sg_depth_ros.training.data.frame_memory import FrameMemory
from sg_depth_ros.training.data.order import Draw, OrderedSampler
from sg_depth_ros.training.data.triplets import Ingredients, Sample, TripletDataset, as_images

_Gathered = tuple[Ingredients, 'tuple[Tensor, Tensor] | None']
"""A sample, and its images and what the networks see where these are made already."""
_AHEAD = 4
"""Batches whose frames are looked for while one is learned from."""


class ResidentBatches:
    """Batches on the device, in the order of a sampler.

    :param memory: for all frames of the data set
    :param threads: that decode what is not in memory yet, and gather what is no image
    :param together: change the images of a batch at once, on the device; by default on a GPU. On
        a CPU the threads change them, by OpenCV in half of the time.
    """

    def __init__(
        self,
        dataset: TripletDataset,
        memory: FrameMemory,
        sampler: OrderedSampler,
        batch: int,
        device: torch.device,
        threads: int,
        together: bool | None = None,
    ) -> None:
        self._together = device.type != 'cpu' if together is None else together
        self._dataset, self._memory, self._sampler = dataset, memory, sampler
        self._batch, self._device, self._threads = batch, device, max(threads, 1)

    def __len__(self) -> int:
        """Give the batches of the whole training, those before the sampler's start too."""
        return len(self._sampler) // self._batch

    def __iter__(self) -> Iterator[Sample]:
        draws = iter(self._sampler)
        waiting: deque[list[Future[_Gathered]]] = deque()
        with ThreadPoolExecutor(self._threads, 'frames') as pool:

            def ask() -> None:
                wanted = list(islice(draws, self._batch))
                if wanted:
                    waiting.append([pool.submit(self._gather, draw) for draw in wanted])

            try:
                for _ in range(_AHEAD):
                    ask()
                while waiting:
                    gathered = [future.result() for future in waiting.popleft()]
                    ask()
                    yield self.batch_of(gathered)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _gather(self, draw: Draw) -> _Gathered:
        found = self._dataset.ingredients(draw, self._memory)
        if self._together:
            return found, None
        return found, as_images(self._memory.views[found.rows].numpy(), found.change)

    def batch_of(self, gathered: Sequence[_Gathered]) -> Sample:
        """Make the batch of samples, whose frames are in memory, on the device."""
        found = [ingredients for ingredients, _ in gathered]
        rest = [torch.stack(values) for values in zip(*(f.rest for f in found), strict=True)]
        made = [images for _, images in gathered if images is not None]
        if made:
            images, changed = (torch.stack(values) for values in zip(*made, strict=True))
        else:
            # A still stands for its neighbours too.
            rows = torch.tensor([f.rows * (3 // len(f.rows)) for f in found])
            views = self._memory.views
            there = views[rows.to(views.device).flatten()].unflatten(0, rows.shape)
            images = self._there(there).permute(0, 1, 4, 2, 3).float() / 255
            changed = change_images(images, [f.change for f in found])
        return Sample(images, changed, *(self._there(value) for value in rest))

    def _there(self, value: Tensor) -> Tensor:
        if self._device.type == 'cuda' and value.device.type == 'cpu':
            return value.pin_memory().to(self._device, non_blocking=True)
        return value.to(self._device)
