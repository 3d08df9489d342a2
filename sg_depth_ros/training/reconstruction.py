# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How well depth and motion rebuild an image from its neighbours."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sg_depth_ros.training import losses
from sg_depth_ros.training.depth_settings import LossSettings
from sg_depth_ros.training.view_synthesis import warp

_OUTSIDE = 1e3
"""Error of pixels that come from outside a neighbour, more than any other."""


class Reconstruction(NamedTuple):
    """A batch of targets rebuilt.

    :ivar error: (B, 1, H, W), each pixel's least photometric error
    :ivar counted: (B, 1, H, W) bool, the pixels whose error says something: what has left all
        neighbours is left out, unless a whole image has, which would have no error then
    :ivar outside: (B, 1, H, W) bool, where depth and motion lead out of all neighbours
    :ivar warped: (B, N, 3, H, W), the target rebuilt from each neighbour
    :ivar moving: (B, 1, H, W) bool, where a warped neighbour explains it best (auto-mask)
    """

    error: Tensor
    counted: Tensor
    outside: Tensor
    warped: Tensor
    moving: Tensor


def reconstruct(
    images_bn3hw: Tensor,
    depth_b1hw: Tensor,
    poses_bn44: Tensor,
    intrinsics_b33: Tensor,
    settings: LossSettings,
    unwarped: list[Tensor] | None = None,
) -> Reconstruction:
    """Rebuild targets from their neighbours.

    :param images_bn3hw: (B, 1 + N, 3, H, W), the target first
    :param poses_bn44: (B, N, 4, 4) from the target to each neighbour
    :param unwarped: :func:`losses.unwarped_errors` of the images, if they are known already
    """
    target, neighbours = images_bn3hw[:, 0], images_bn3hw[:, 1:].unbind(1)
    warped, errors, at_border = [], [], []
    outside = torch.ones_like(depth_b1hw, dtype=torch.bool)
    for index, neighbour in enumerate(neighbours):
        rebuilt, valid = warp(neighbour, depth_b1hw, poses_bn44[:, index], intrinsics_b33)
        error = losses.photometric(rebuilt, target, settings.ssim_weight)
        # What left the image explains nothing; the other neighbour or the auto-mask decides.
        errors.append(torch.where(valid, error, torch.full_like(error, _OUTSIDE)))
        at_border.append(error)
        outside = outside & ~valid
        warped.append(rebuilt)
    still = None
    if settings.automask:
        still = unwarped or losses.unwarped_errors(images_bn3hw, settings.ssim_weight)
    best, moving = losses.minimum_reprojection(errors, still)
    explained = best < _OUTSIDE
    border, _ = losses.minimum_reprojection(at_border, None)
    return Reconstruction(
        torch.where(explained, best, border),
        explained | ~explained.flatten(1).any(1)[:, None, None, None],
        outside,
        torch.stack(warped, 1),
        moving,
    )
