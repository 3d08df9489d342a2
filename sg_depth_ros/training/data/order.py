# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The order in which a training sees its samples: a function of the seed and the step alone.

So a training that is resumed, or spread over processes, goes on with the samples that it would
have seen otherwise, changed in the same random way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import lightning as L
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler, TensorDataset


class Draw(NamedTuple):
    """A sample to make: its index in the data set, and the seed of its random changes."""

    sample: int
    seed: int


def sample_order(
    counts: Sequence[int], weights: Sequence[float], total: int, seed: int
) -> NDArray[np.int64]:
    """Give the indices (total,) of samples of several sources that lie one after the other.

    Each place goes to a source by chance, in proportion to the weights; a source shows all of
    its samples in a random order before it shows one again.
    """
    rng = np.random.default_rng(seed)
    chances = np.asarray(weights, np.float64)
    chosen = rng.choice(len(counts), total, p=chances / chances.sum())
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    order = np.empty(total, np.int64)
    for source, count in enumerate(counts):
        places = np.flatnonzero(chosen == source)
        rounds = -(-len(places) // count)
        shown = [rng.permutation(count) for _ in range(rounds)]
        if shown:
            order[places] = starts[source] + np.concatenate(shown)[: len(places)]
    return order


class OrderedSampler(Sampler[Draw]):
    """The share that a process has of an order, from a step on.

    A global batch is ``batch * world`` samples that follow each other in the order.

    :param order: (steps * batch * world,) indices
    :param start: steps that were made before
    """

    def __init__(
        self,
        order: NDArray[np.int64],
        seed: int,
        batch: int,
        start: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self._order, self._seed = order, seed
        self._batch, self._start = batch, start
        self._rank, self._world = rank, world

    def __len__(self) -> int:
        """Give the samples of this process over the whole training, those before ``start`` too."""
        return len(self._order) // self._world

    def __iter__(self) -> Iterator[Draw]:
        whole = self._batch * self._world
        for first in range(self._start * whole, len(self._order), whole):
            begin = first + self._rank * self._batch
            for place in range(begin, begin + self._batch):
                # Two words, so that no two places of two trainings share their changes.
                yield Draw(int(self._order[place]), (self._seed << 40) + place)


Resident = Callable[[OrderedSampler, torch.device, int], 'Iterable[Any] | None']


class OrderedData(L.LightningDataModule):
    """A data set in the order of :func:`sample_order`, continued where a checkpoint left it.

    :param dataset: takes a :class:`Draw`
    :param counts: samples of each source, one after the other
    :param weights: share of each source
    :param batch: samples of a step in each process
    :param resident: makes batches out of a memory in place of a loader, or None where it is too
        small: of the sampler, the device and the processes on this machine
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        counts: Sequence[int],
        weights: Sequence[float],
        *,
        steps: int,
        batch: int,
        workers: int,
        seed: int,
        resident: Resident | None = None,
    ) -> None:
        super().__init__()
        self._resident = resident
        self.dataset, self.counts, self.weights = dataset, list(counts), list(weights)
        self.steps, self.batch, self.workers, self.seed = steps, batch, workers, seed

    def train_dataloader(self) -> Iterable[Any]:
        """Give the loader of the steps that are left."""
        trainer = self.trainer
        assert trainer is not None
        total = self.steps * self.batch * trainer.world_size
        sampler = OrderedSampler(
            sample_order(self.counts, self.weights, total, self.seed),
            self.seed,
            self.batch,
            trainer.global_step,
            trainer.global_rank,
            trainer.world_size,
        )
        device = trainer.strategy.root_device
        if self._resident is not None:
            batches = self._resident(sampler, device, trainer.num_devices)
            if batches is not None:
                return batches
        return DataLoader(
            self.dataset,
            self.batch,
            sampler=sampler,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            pin_memory=device.type == 'cuda',
        )

    def val_dataloader(self) -> DataLoader[Any]:
        """Give a single empty batch: a module validates by a protocol, not by batches."""
        return DataLoader(TensorDataset(torch.zeros(1)))
