# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The data set of the segmentation training: labelled images, scaled, cropped and coloured."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from sg_depth_ros.labels import VOID
from sg_depth_ros.training.data.augmentation import ColorJitter, JitterConfig
from sg_depth_ros.training.data.labelled import LabelledImage, LabelledSource, Loader


class SegmentationDataset(Dataset[tuple[Tensor, Tensor]]):
    """Random views of labelled images: image (3, H, W) float32 in [0, 1], labels (H, W) int64.

    A view is the whole image stretched to the network's size, as at inference, or a piece of it at
    its own aspect; both are scaled by a random factor, cropped, flipped and coloured.

    :param size: width and height of a view
    :param scale: range of the factor
    :param stretch: share of the views that are stretched
    """

    def __init__(
        self,
        sources: Sequence[LabelledSource],
        size: tuple[int, int],
        *,
        network_size: tuple[int, int],
        scale: tuple[float, float] = (0.7, 1.3),
        stretch: float = 0.5,
        jitter: JitterConfig | None = None,
    ) -> None:
        self._loaders: list[Loader] = []
        for source in sources:
            self._loaders += source.loaders() * source.repeat
        self._size, self._network_size, self._scale = size, network_size, scale
        self._stretch = stretch
        self._jitter = ColorJitter(jitter or JitterConfig())

    def __len__(self) -> int:
        return len(self._loaders)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng(torch.randint(2**31, ()).item())
        image, labels = self._view(self._loaders[index](), rng)
        if rng.random() < 0.5:
            image, labels = image[:, ::-1], labels[:, ::-1]
        chw = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).float() / 255
        return self._jitter(chw, rng), torch.from_numpy(labels.astype(np.int64))

    def _view(self, sample: LabelledImage, rng: np.random.Generator) -> LabelledImage:
        width, height = self._size
        rows, columns = sample.labels.shape
        factor = rng.uniform(*self._scale)
        x_scale = factor * self._network_size[0] / columns
        y_scale = factor * self._network_size[1] / rows
        if rng.random() > self._stretch:
            x_scale = y_scale = max(x_scale, y_scale)
        # One map does scale, crop and padding; the offset is where the view's corner lies.
        spare_x, spare_y = columns * x_scale - width, rows * y_scale - height
        x, y = rng.uniform(*sorted((0.0, spare_x))), rng.uniform(*sorted((0.0, spare_y)))
        matrix = np.array([[x_scale, 0, -x], [0, y_scale, -y]])
        smooth = cv2.INTER_AREA if max(x_scale, y_scale) < 0.5 else cv2.INTER_LINEAR
        image = cv2.warpAffine(sample.image, matrix, self._size, flags=smooth)
        labels = cv2.warpAffine(
            sample.labels,
            matrix,
            self._size,
            flags=cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=VOID,
        )
        return LabelledImage(image, labels)
