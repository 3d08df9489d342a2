# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rotations of a pose network's output, whichever way that writes them."""

from __future__ import annotations

import torch
from torch import Tensor


def rotation_of_axis_angle(vector_n3: Tensor) -> Tensor:
    """Give (N, 3, 3) rotations about axes (N, 3) by their lengths in radians."""
    x, y, z = vector_n3.unbind(1)
    zero = torch.zeros_like(x)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).unflatten(1, (3, 3))
    return torch.matrix_exp(skew)


def euler_of_rotation(rotation_n33: Tensor) -> Tensor:
    """Give the Euler angles x, y, z (N, 3) in radians of rotations R = Rx Ry Rz (N, 3, 3).

    For less than a quarter turn about y, as between neighbouring images.
    """
    r = rotation_n33
    x = torch.atan2(-r[:, 1, 2], r[:, 2, 2])
    y = torch.asin(r[:, 0, 2].clamp(-1, 1))
    z = torch.atan2(-r[:, 0, 1], r[:, 0, 0])
    return torch.stack([x, y, z], 1)
