# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth images as robots exchange them: REP-117's special values, REP-118's encodings."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray


def mark_sky(
    depth_hw: NDArray[np.float32], labels_hw: NDArray[np.uint8], sky_ids: Collection[int]
) -> NDArray[np.float32]:
    """Give a copy of a depth image (H, W) in which the sky is +Inf, beyond all range (REP-117).

    :param labels_hw: (H, W) label ids.
    :param sky_ids: ids of the labels that mean sky.
    """
    is_sky = np.zeros(256, bool)
    is_sky[list(sky_ids)] = True
    depth = depth_hw.copy()
    depth[is_sky[labels_hw]] = np.inf
    return depth


def limit_range(
    depth_hw: NDArray[np.float32], min_range: float, max_range: float
) -> NDArray[np.float32]:
    """Mark, in place, what is too near (-Inf) and too far (+Inf) to be known (REP-117)."""
    # Comparisons are false for NaN, which stays unknown.
    depth_hw[depth_hw < min_range] = -np.inf
    depth_hw[depth_hw > max_range] = np.inf
    return depth_hw


def to_millimetres(depth_hw: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Give a depth image in metres as millimetres in 16 bits (REP-118).

    0 is what is unknown, infinite, not positive or beyond 65.535 m, the most that 16 bits hold.
    """
    millimetres = depth_hw * np.float32(1000) + np.float32(0.5)
    # Comparisons are false for NaN.
    millimetres[~((millimetres >= 1) & (millimetres < 65536))] = 0
    return millimetres.astype(np.uint16)
