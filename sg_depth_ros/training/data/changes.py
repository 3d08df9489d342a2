# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The changes of :mod:`augmentation` on tensors, for a batch at once and on any device."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import torch
from torch import Tensor
from torch.nn import functional as F

from sg_depth_ros.training.data.augmentation import GRAY, Change

_EPSILON = 1.1920929e-7
"""OpenCV's, against division by zero."""


def change_images(images_bn3hw: Tensor, changes: Sequence[Change]) -> Tensor:
    """Change RGB images (B, N, 3, H, W) in [0, 1], each sample in its own way.

    The answers are those of :func:`augmentation.change_images` but for rounding.
    """
    images = images_bn3hw
    coloured = [change.colours is not None for change in changes]
    if any(coloured):
        factors = [change.colours or (1.0, 1.0, 1.0, 0.0) for change in changes]
        values = _by_sample(factors, images)
        chosen = _by_sample(coloured, images)
        images = torch.where(chosen, _adjusted(images, *values.unbind(-1)), images)
    if any(change.gray for change in changes):
        chosen = _by_sample([change.gray for change in changes], images)
        images = torch.where(chosen, _gray(images).expand_as(images), images)
    if any(change.light != 1 for change in changes):
        images = images * _by_sample([change.light for change in changes], images)
    if any(change.sigma for change in changes):
        images = torch.stack(
            [_blurred(image, change.sigma) for image, change in zip(images, changes, strict=True)]
        )
    if any(change.grain is not None for change in changes):
        images = torch.stack(
            [_grained(image, change) for image, change in zip(images, changes, strict=True)]
        )
    return images


def _by_sample(values: Sequence, images_bn3hw: Tensor) -> Tensor:
    """Give (B, 1, 1, 1, 1), or with one more axis behind where a value has several parts."""
    found = torch.tensor(values, device=images_bn3hw.device)
    if found.is_floating_point():
        found = found.to(images_bn3hw.dtype)
    return found[:, None, None, None, None]


def _gray(images_bn3hw: Tensor) -> Tensor:
    weights = torch.from_numpy(GRAY).to(images_bn3hw)[:, None, None]
    return (images_bn3hw * weights).sum(-3, keepdim=True)


def _adjusted(
    images: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor, hue: Tensor
) -> Tensor:
    images = (images * brightness).clamp(0, 1)
    means = _gray(images).mean((-2, -1), keepdim=True)
    images = (means + contrast * (images - means)).clamp(0, 1)
    gray = _gray(images)
    images = (gray + saturation * (images - gray)).clamp(0, 1)
    return _turned(images, hue)


def _turned(images: Tensor, hue: Tensor) -> Tensor:
    """Turn the hue by a part of a circle, through HSV."""
    red, green, blue = images.unbind(-3)
    value = images.amax(-3)
    range_ = value - images.amin(-3)
    sixth = 1 / (range_ + _EPSILON)
    angle = torch.where(
        value == red,
        (green - blue) * sixth,
        torch.where(value == green, (blue - red) * sixth + 2, (red - green) * sixth + 4),
    )
    angle = angle + 6 * hue[..., 0]
    # By how much a colour lies under the brightest, as a function of its distance on the circle.
    drop = value * (range_ / (value + _EPSILON))
    colours = []
    for place in (5, 3, 1):
        k = (angle + place) % 6
        colours.append(value - drop * torch.minimum(k, 4 - k).clamp(0, 1))
    return torch.stack(colours, -3)


def _blurred(images_n3hw: Tensor, sigma: float) -> Tensor:
    """Blur by a Gaussian of the width that OpenCV takes for floating point."""
    if not sigma:
        return images_n3hw
    size = round(sigma * 8 + 1) | 1
    kernel = torch.from_numpy(cv2.getGaussianKernel(size, sigma, cv2.CV_32F)).to(images_n3hw)
    weight = (kernel @ kernel.T).expand(3, 1, size, size)
    padded = F.pad(images_n3hw, [size // 2] * 4, mode='reflect')
    return F.conv2d(padded, weight, groups=3)


def _grained(images_n3hw: Tensor, change: Change) -> Tensor:
    if change.grain is None:
        return images_n3hw
    grain = torch.from_numpy(change.grain).to(images_n3hw).permute(0, 3, 1, 2)
    return (images_n3hw + grain).clamp(0, 1)
