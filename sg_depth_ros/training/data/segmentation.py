# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The data set of the segmentation training: labelled images, scaled, cropped and coloured."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from sg_depth_ros.bundle.labels import VOID
from sg_depth_ros.images.resize import resize_image, resize_labels
from sg_depth_ros.training.data.augmentation import ColorJitter, JitterConfig
from sg_depth_ros.training.data.labelled import LabelledImage, LabelledSource, Loader
from sg_depth_ros.training.data.order import Draw

MAX_REPLACED = 20
"""So many broken images one after the other are no accident any more."""

_log = logging.getLogger(__name__)


class SegmentationDataset(Dataset[tuple[Tensor, Tensor]]):
    """Random views of labelled images: image (3, H, W) float32 in [0, 1], labels (H, W) int64.

    A view is the whole image stretched to the network's size, as at inference, or a piece of it at
    its own aspect; both are scaled by a random factor, cropped, flipped and coloured.

    :param size: width and height of a view
    :param network_size: width and height of what the network sees at inference
    :param scale: range of the factor
    :param stretch: share of the views that are stretched
    :param flip: mirror half of the views
    """

    def __init__(
        self,
        sources: Sequence[LabelledSource],
        size: tuple[int, int],
        *,
        network_size: tuple[int, int],
        scale: tuple[float, float] = (0.7, 1.3),
        stretch: float = 0.5,
        flip: bool = True,
        jitter: JitterConfig | None = None,
    ) -> None:
        self._loaders: list[Loader] = []
        for source in sources:
            self._loaders += source.loaders() * source.repeat
        self._size, self._network_size, self._scale = size, network_size, scale
        self._stretch, self._flip = stretch, flip
        self._jitter = ColorJitter(jitter or JitterConfig())

    def __len__(self) -> int:
        return len(self._loaders)

    def __getitem__(self, draw: Draw) -> tuple[Tensor, Tensor]:
        """Make a view; an image that is broken is replaced by the next that is not.

        :raises ValueError: when too many in a row are broken
        """
        rng = np.random.default_rng(draw.seed)
        image, labels = self._view(self._load(draw.sample), rng)
        if self._flip and rng.random() < 0.5:
            image, labels = image[:, ::-1], labels[:, ::-1]
        bright = np.asarray(image[None].astype(np.float32) / 255, np.float32)
        jittered = self._jitter(bright, rng)[0]
        chw = np.ascontiguousarray(jittered.transpose(2, 0, 1))
        return torch.from_numpy(chw), torch.from_numpy(labels.astype(np.int64))

    def _load(self, index: int) -> LabelledImage:
        for skipped in range(MAX_REPLACED):
            try:
                return self._loaders[(index + skipped) % len(self)]()
            except (ValueError, OSError) as error:
                _log.warning('a labelled image is broken and replaced: %s', error)
                last = error
        raise ValueError(
            f'{MAX_REPLACED} labelled images in a row cannot be read, the last because: {last}'
        )

    def _view(self, sample: LabelledImage, rng: np.random.Generator) -> LabelledImage:
        width, height = self._size
        rows, columns = sample.labels.shape
        factor = rng.uniform(*self._scale)
        x_scale = factor * self._network_size[0] / columns
        y_scale = factor * self._network_size[1] / rows
        if rng.random() >= self._stretch:
            x_scale = y_scale = max(x_scale, y_scale)
        scaled = max(round(columns * x_scale), 1), max(round(rows * y_scale), 1)
        image = resize_image(sample.image, *scaled)
        labels = resize_labels(sample.labels, *scaled)
        view = np.zeros((height, width, 3), np.uint8), np.full((height, width), VOID, np.uint8)
        # Along each axis the view is a part of the image, or the image a part of the view.
        y_in, y_out, tall = _overlap(scaled[1], height, rng)
        x_in, x_out, wide = _overlap(scaled[0], width, rng)
        for whole, part in zip((image, labels), view, strict=True):
            part[y_out : y_out + tall, x_out : x_out + wide] = whole[
                y_in : y_in + tall, x_in : x_in + wide
            ]
        return LabelledImage(*view)


def _overlap(length: int, size: int, rng: np.random.Generator) -> tuple[int, int, int]:
    """Lay ``length`` pixels on ``size`` at random: first pixel of each that is used, and count."""
    if length >= size:
        return int(rng.integers(length - size + 1)), 0, size
    return 0, int(rng.integers(size - length + 1)), length
