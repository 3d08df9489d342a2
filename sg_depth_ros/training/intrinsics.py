# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Intrinsics that are learned with depth, for videos of unknown cameras."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

_MOST_FOCAL = 2.5
"""Largest factor on a guessed focal length, and by which it is divided at most."""
_MOST_SHIFT = 0.2
"""Largest shift of the principal point, in focal lengths."""


class LearnedIntrinsics(nn.Module):
    """Factors on guessed focal lengths and shifts of guessed principal points, one set a camera.

    Both have limits: Adam's steps for a source that is seldom drawn are as large as others, and
    without limits the principal point of one has left the image.

    :param cameras: names of the cameras, in the order of their indices
    """

    def __init__(self, cameras: list[str]) -> None:
        super().__init__()
        self.cameras = cameras
        self.focal = nn.Parameter(torch.zeros(len(cameras), 2))
        self.centre = nn.Parameter(torch.zeros(len(cameras), 2))

    def total(self) -> Tensor:
        """Give a scalar that every parameter is part of."""
        return self.focal.sum() + self.centre.sum()

    def forward(self, guess_b33: Tensor, camera_b: Tensor) -> Tensor:
        """Give intrinsics (B, 3, 3); those of camera -1 are known and stay as they are."""
        if not self.cameras:
            return guess_b33
        unknown = (camera_b >= 0)[:, None]
        index = camera_b.clamp(min=0)
        factor = torch.exp(_within(self.focal[index], math.log(_MOST_FOCAL)))
        focal = torch.stack([guess_b33[:, 0, 0], guess_b33[:, 1, 1]], 1)
        centre = guess_b33[:, :2, 2]
        focal = torch.where(unknown, focal * factor, focal)
        shift = _within(self.centre[index], _MOST_SHIFT) * focal
        centre = torch.where(unknown, centre + shift, centre)
        out = guess_b33.clone()
        out[:, 0, 0], out[:, 1, 1] = focal.unbind(1)
        out[:, :2, 2] = centre
        return out

    @torch.no_grad()
    def matrix(self, guess_33: NDArray[np.float64], camera: int) -> NDArray[np.float64]:
        """Give the learned matrix (3, 3) of one camera."""
        device = self.focal.device
        guess = torch.tensor(guess_33, dtype=torch.float32, device=device)[None]
        learned = self(guess, torch.tensor([camera], device=device))
        return np.asarray(learned[0].cpu().numpy(), np.float64)


def _within(x: Tensor, limit: float) -> Tensor:
    """Give ``x`` near 0, and at most ``limit`` far from there."""
    return limit * torch.tanh(x / limit)
