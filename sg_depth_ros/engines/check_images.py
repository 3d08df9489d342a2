# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images of network size to compare engines on, where no recording is given."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

COUNT = 6
_STREET_FPS = 0.5
"""So slow that each image shows another part of the street."""


def street_images(width: int, height: int, count: int = COUNT) -> Iterator[NDArray[np.uint8]]:
    """Give images (H, W, 3) uint8 RGB of the synthetic street, the same each time."""
    # Drawing needs much that an engine which is only run does not.
    from sg_depth_ros.synthetic import drive, street_camera

    for frame in drive(street_camera(width, height), count, seed=0, fps=_STREET_FPS):
        yield frame.image
