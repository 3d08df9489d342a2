# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Confidence intervals of means over frames by the bootstrap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEVEL = 0.95
RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % confidence interval."""

    mean: float
    low: float
    high: float


def block_length(frames: int) -> int:
    """Give the block length for ``frames`` frames: their cube root.

    Neighbouring frames of a drive are nearly the same picture; drawing them one by one would
    make intervals far too narrow. The cube root is the rate of Künsch (1989).
    """
    return max(1, round(frames ** (1 / 3)))


def bootstrap_mean(values_n: ArrayLike, block: int | None = None, seed: int = 0) -> Interval:
    """Give the mean over frames (N,) with its interval, by the circular block bootstrap.

    Blocks of ``block`` neighbouring frames (:func:`block_length` if None) are drawn. NaN values
    are left out; without any value all is NaN.
    """
    values = np.asarray(values_n, np.float64)
    values = values[~np.isnan(values)]
    if values.size == 0:
        return Interval(float('nan'), float('nan'), float('nan'))
    means = resampled_means(values, block or block_length(values.size), seed)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(values.mean()), float(low), float(high))


def paired_bootstrap(
    a_n: ArrayLike, b_n: ArrayLike, block: int | None = None, seed: int = 0
) -> Interval:
    """Give the mean difference a - b of two models on the same frames with its interval.

    Pairing takes out what makes a frame hard for both. The models differ at this level if the
    interval does not hold 0. Raises ValueError if the numbers of frames differ.
    """
    a, b = np.asarray(a_n, np.float64), np.asarray(b_n, np.float64)
    if a.shape != b.shape:
        raise ValueError(
            f'{a.size} and {b.size} frames cannot be paired; give both models the same frames'
        )
    return bootstrap_mean(a - b, block, seed)


def resampled_means(values_n: NDArray[np.float64], block: int, seed: int) -> NDArray[np.float64]:
    """Give the means of ``RESAMPLES`` circular block resamples of (N,) values."""
    size = values_n.size
    blocks = -(-size // block)
    starts = np.random.default_rng(seed).integers(size, size=(RESAMPLES, blocks))
    # The last block is cut so that a resample is as long as the original.
    cut = size - (blocks - 1) * block
    sums = _block_sums(values_n, block)[starts[:, :-1]].sum(1)
    return np.asarray((sums + _block_sums(values_n, cut)[starts[:, -1]]) / size)


def _block_sums(values_n: NDArray[np.float64], block: int) -> NDArray[np.float64]:
    """Give the sum (N,) of the ``block`` values that follow each position, around the end."""
    total = np.concatenate([[0.0], np.cumsum(np.concatenate([values_n, values_n[: block - 1]]))])
    return total[block:] - total[:-block]
