# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Losses of self-supervised depth (METHOD: loss), as pure functions on tensors."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def ssim(a_bchw: Tensor, b_bchw: Tensor) -> Tensor:
    """Give the structural similarity (B, C, H, W) over 3x3 mean windows, reflected at the border.

    :param a_bchw: images in [0, 1], as is b
    """
    c1, c2 = 0.01**2, 0.03**2
    a, b = (F.pad(image, [1, 1, 1, 1], mode='reflect') for image in (a_bchw, b_bchw))
    mean_a, mean_b = _mean_3x3(a), _mean_3x3(b)
    product, squares = mean_a * mean_b, mean_a**2 + mean_b**2
    covariance = _mean_3x3(a * b) - product
    variances = _mean_3x3(a * a + b * b) - squares
    return ((2 * product + c1) * (2 * covariance + c2)) / ((squares + c1) * (variances + c2))


def _mean_3x3(padded_bchw: Tensor) -> Tensor:
    """Average 3x3 windows; shifted sums take a third of the time of a pooling layer on a CPU."""
    rows = padded_bchw[..., :-2, :] + padded_bchw[..., 1:-1, :] + padded_bchw[..., 2:, :]
    return (rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]) / 9


def photometric(predicted_bchw: Tensor, target_bchw: Tensor, ssim_weight: float = 0.85) -> Tensor:
    """Give the photometric error (B, 1, H, W): weighted (1 - SSIM) / 2 and L1."""
    l1 = (predicted_bchw - target_bchw).abs().mean(1, keepdim=True)
    dissimilarity = (1 - ssim(predicted_bchw, target_bchw)).mul(0.5).clamp(0, 1)
    return ssim_weight * dissimilarity.mean(1, keepdim=True) + (1 - ssim_weight) * l1


def unwarped_errors(images_bn3hw: Tensor, ssim_weight: float) -> list[Tensor]:
    """Give the photometric errors (B, 1, H, W) of the neighbours as they are against the target.

    :param images_bn3hw: (B, 1 + N, 3, H, W), the target first
    """
    target, *neighbours = images_bn3hw.unbind(1)
    return [photometric(neighbour, target, ssim_weight) for neighbour in neighbours]


def minimum_reprojection(
    warped: list[Tensor], unwarped: list[Tensor] | None
) -> tuple[Tensor, Tensor]:
    """Give each pixel's least error over neighbours, and where a warped one gave it.

    :param warped: photometric errors (B, 1, H, W) of the rebuilt images, one a neighbour
    :param unwarped: those of the neighbours as they are (auto-mask), or None for no auto-mask
    :return: error (B, 1, H, W), and (B, 1, H, W) bool, false where not moving explains it best
    """
    best = torch.cat(warped, 1).amin(1, keepdim=True)
    if unwarped is None:
        return best, torch.ones_like(best, dtype=torch.bool)
    # Where all are equal (a standing image) the warped one must not win by chance.
    still = torch.cat(unwarped, 1).amin(1, keepdim=True)
    return torch.minimum(best, still), best < still


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Average where the mask, of the same shape, is true; zero where it is true nowhere."""
    return torch.where(mask, values, torch.zeros_like(values)).sum() / mask.sum().clamp(min=1)


def smoothness(inverse_depth_b1hw: Tensor, image_bchw: Tensor) -> Tensor:
    """Give the edge-aware smoothness of mean-normalised inverse depth, averaged to a scalar."""
    normalised = inverse_depth_b1hw / inverse_depth_b1hw.mean((2, 3), keepdim=True).clamp(min=1e-6)
    total = image_bchw.new_zeros(())
    for axis in (2, 3):
        gradient = normalised.diff(dim=axis).abs()
        edge = image_bchw.diff(dim=axis).abs().mean(1, keepdim=True)
        total = total + (gradient * (-edge).exp()).mean()
    return total


def velocity(pose_bn44: Tensor, distance_bn: Tensor) -> Tensor:
    """Give | ||t_predicted|| - measured | (metres), averaged where the distance is known.

    :param distance_bn: metres travelled to each neighbour, NaN where unknown
    """
    known = distance_bn.isfinite()
    if not known.any():
        return pose_bn44.new_zeros(())
    return (pose_bn44[..., :3, 3].norm(dim=-1) - distance_bn)[known].abs().mean()


def log_depth_error(
    inverse_depth_b1hw: Tensor, truth_b1hw: Tensor, max_depth: float
) -> tuple[Tensor, Tensor]:
    """Give log truth - log depth (B, 1, H, W), zero where truth is unknown, and where it is known.

    :param truth_b1hw: metres, +inf for sky, NaN where unknown; what lies beyond max_depth is there
    """
    known = ~truth_b1hw.isnan()
    truth = torch.where(known, truth_b1hw.clamp(max=max_depth), 1 / inverse_depth_b1hw.detach())
    return inverse_depth_b1hw.log() + truth.log(), known


def log_depth_gradient(error_b1hw: Tensor, known_b1hw: Tensor, octaves: int = 4) -> Tensor:
    """Give how an error of log depth changes from pixel to pixel: how wrong shapes are.

    The mean of its absolute differences along rows and columns between known neighbours, summed
    over ``octaves`` of every pixel, every second, every fourth (Li and Snavely, MegaDepth, 2018).
    """
    total = error_b1hw.new_zeros(())
    for octave in range(octaves):
        step = 2**octave
        at, both = error_b1hw[..., ::step, ::step], known_b1hw[..., ::step, ::step]
        for axis in (2, 3):
            count = both.shape[axis] - 1
            pairs = both.narrow(axis, 0, count) & both.narrow(axis, 1, count)
            total = total + masked_mean(at.diff(dim=axis).abs(), pairs)
    return total
