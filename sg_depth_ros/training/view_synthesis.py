# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""View synthesis: rebuild the target image from a neighbour by depth and motion.

Intrinsics are (B, 3, 3) in pixels with integer coordinates at pixel centres. A pose is the (B, 4,
4) transform that takes points of the target's optical frame to the neighbour's.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def pose_matrix(vector_b6: Tensor) -> Tensor:
    """Give (B, 4, 4) transforms from Euler angles and translations (B, 6).

    The rotation is R = Rx Ry Rz: about z first, then y, then x, in radians.
    """
    x, y, z = vector_b6[:, :3].unbind(1)
    zero, one = torch.zeros_like(x), torch.ones_like(x)

    def matrix(*rows: Tensor) -> Tensor:
        return torch.stack(rows, 1).unflatten(1, (3, 3))

    about_x = matrix(one, zero, zero, zero, x.cos(), -x.sin(), zero, x.sin(), x.cos())
    about_y = matrix(y.cos(), zero, y.sin(), zero, one, zero, -y.sin(), zero, y.cos())
    about_z = matrix(z.cos(), -z.sin(), zero, z.sin(), z.cos(), zero, zero, zero, one)
    top = torch.cat([about_x @ about_y @ about_z, vector_b6[:, 3:, None]], 2)
    bottom = torch.stack([zero, zero, zero, one], 1)[:, None]
    return torch.cat([top, bottom], 1)


def back_project(depth_b1hw: Tensor, intrinsics_b33: Tensor) -> Tensor:
    """Give the points (B, 3, H, W) of z-depths (B, 1, H, W) in the optical frame."""
    height, width = depth_b1hw.shape[-2:]
    u = torch.arange(width, device=depth_b1hw.device, dtype=depth_b1hw.dtype)
    v = torch.arange(height, device=depth_b1hw.device, dtype=depth_b1hw.dtype)
    fx, fy, cx, cy = _focal(intrinsics_b33)
    x = ((u - cx) / fx)[:, :, None] * depth_b1hw
    y = ((v - cy) / fy)[:, :, :, None] * depth_b1hw
    return torch.cat([x, y, depth_b1hw], 1)


def warp(
    neighbour_bchw: Tensor, depth_b1hw: Tensor, pose_b44: Tensor, intrinsics_b33: Tensor
) -> tuple[Tensor, Tensor]:
    """Rebuild the target (B, C, H, W) from a neighbour.

    :return: the image, and (B, 1, H, W) bool: where the pixel came from inside the neighbour and
        from in front of its camera. Outside it the border is repeated.
    """
    height, width = depth_b1hw.shape[-2:]
    points = back_project(depth_b1hw, intrinsics_b33).flatten(2)
    x, y, z = (pose_b44[:, :3, :3] @ points + pose_b44[:, :3, 3:]).unbind(1)
    fx, fy, cx, cy = (value[:, 0] for value in _focal(intrinsics_b33))
    in_front = z > 1e-3
    z = z.clamp(min=1e-3)
    # Normalised so that -1 and 1 are the outer edges of the image (align_corners=False).
    u = ((fx * x / z + cx) + 0.5) * (2 / width) - 1
    v = ((fy * y / z + cy) + 0.5) * (2 / height) - 1
    grid = torch.stack([u, v], 2).unflatten(1, (height, width))
    image = F.grid_sample(neighbour_bchw, grid, padding_mode='border', align_corners=False)
    valid = (grid.abs() <= 1).all(-1)[:, None] & in_front.unflatten(1, (1, height, width))
    return image, valid


def _focal(intrinsics_b33: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Give fx, fy, cx, cy, each (B, 1, 1)."""
    k = intrinsics_b33
    fx, fy = k[:, 0, 0], k[:, 1, 1]
    cx, cy = k[:, 0, 2], k[:, 1, 2]
    return tuple(value[:, None, None] for value in (fx, fy, cx, cy))  # type: ignore[return-value]
