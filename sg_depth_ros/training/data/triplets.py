# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The data set of the depth training: a target frame and its two neighbours in time."""

from __future__ import annotations

from collections.abc import Sequence as Sequence_
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor
from torch.utils.data import Dataset

from sg_depth_ros.camera import PinholeCamera
from sg_depth_ros.resize import resize_image
from sg_depth_ros.training.data.augmentation import ColorJitter, JitterConfig
from sg_depth_ros.training.data.sequences import DepthSource, Sequence


class Sample(NamedTuple):
    """One training sample, or with a leading dimension B a batch of them.

    :ivar images: (3, 3, H, W) target, previous and next frame, RGB in [0, 1]
    :ivar jittered: the same as the networks see it
    :ivar intrinsics: (3, 3) of these images; a guess where ``camera`` is not negative
    :ivar camera: index of the unknown camera, -1 where the intrinsics are known
    :ivar mask: (1, H, W) bool, false where the vehicle itself hides the view
    :ivar distance: (2,) metres travelled to each neighbour, NaN where unknown
    :ivar truth: (1, H, W) metres, inf sky, NaN unknown
    """

    images: Tensor
    jittered: Tensor
    intrinsics: Tensor
    camera: Tensor
    mask: Tensor
    distance: Tensor
    truth: Tensor


class _Clip(NamedTuple):
    sequence: Sequence
    source: DepthSource
    camera: int
    mask: NDArray[np.uint8] | None


class TripletDataset(Dataset[Sample]):
    """Samples of all moving frames of the sources.

    :param size: width and height of the samples
    :ivar cameras: names of the sources whose intrinsics are to be learned
    :ivar weights: (samples,) chance of each sample, by the sources' weights
    """

    def __init__(
        self,
        sources: Sequence_[DepthSource],
        size: tuple[int, int],
        jitter: JitterConfig | None = None,
    ) -> None:
        self.size = size
        self.cameras: list[str] = []
        self._jitter = ColorJitter(jitter or JitterConfig())
        self._clips: list[_Clip] = []
        self._targets: list[tuple[int, int]] = []
        weights: list[NDArray[np.float64]] = []
        for source in track(list(sources), 'Reading the sources'):
            first = len(self._targets)
            for sequence in source.sequences():
                self._add(source, sequence)
            count = len(self._targets) - first
            if count == 0:
                raise ValueError(
                    f'{source!r} has no moving frame with two neighbours; lower its min_motion or '
                    'leave it out'
                )
            weights.append(np.full(count, source.weight / count))
        self.weights = np.concatenate(weights)

    def __len__(self) -> int:
        return len(self._targets)

    def __getitem__(self, index: int) -> Sample:
        clip_index, target = self._targets[index]
        sequence, source, camera, mask = self._clips[clip_index]
        indices = [target, target - source.step, target + source.step]
        frames = [sequence.frames[i] for i in indices]
        height, width = frames[0].shape[:2]
        box = _pixels(source.crop, width, height)
        images = np.stack([resize_image(_cut(f, box), *self.size) for f in frames])
        images_nchw = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
        rng = np.random.default_rng(torch.randint(2**31, ()).item())
        columns, rows = self.size
        known = sequence.camera or PinholeCamera(
            width, height, 0.9 * width, 0.9 * width, width / 2 - 0.5, height / 2 - 0.5
        )
        seen = known.cropped(*box).resized(*self.size)
        visible = np.ones((rows, columns), np.uint8)
        if mask is not None:
            visible = cv2.resize(_cut(mask, box), self.size, interpolation=cv2.INTER_NEAREST)
        truth = np.full((rows, columns), np.nan, np.float32)
        if sequence.depth is not None:
            truth = cv2.resize(
                _cut(sequence.depth(target), box), self.size, interpolation=cv2.INTER_NEAREST
            )
        distance = np.full(2, np.nan, np.float32)
        if sequence.positions is not None:
            offsets = sequence.positions[indices[1:]] - sequence.positions[target]
            distance = np.linalg.norm(offsets, axis=1).astype(np.float32)
        return Sample(
            images_nchw,
            self._jitter(images_nchw, rng),
            torch.from_numpy(seen.matrix.astype(np.float32)),
            torch.tensor(camera),
            torch.from_numpy(visible > 0)[None],
            torch.from_numpy(distance),
            torch.from_numpy(truth)[None],
        )

    def _add(self, source: DepthSource, sequence: Sequence) -> None:
        camera = -1
        if sequence.camera is None:
            camera = len(self.cameras)
            self.cameras.append(sequence.name)
        mask = None
        if source.mask is not None:
            mask = cv2.imread(str(source.mask), cv2.IMREAD_GRAYSCALE)
            if mask is None:
                raise ValueError(f'{source.mask} cannot be read as a mask image')
        clip = len(self._clips)
        self._clips.append(_Clip(sequence, source, camera, mask))
        moving = moving_frames(sequence, source.step, source.min_motion)
        self._targets += [(clip, int(i)) for i in np.flatnonzero(moving)]


def moving_frames(sequence: Sequence, step: int, min_motion: float) -> NDArray[np.bool_]:
    """Tell which frames have neighbours ``step`` away on both sides, and motion to them.

    Motion is the distance in metres where positions are known, over 0.05 m; else the median
    optical flow in thousandths of the width, over ``min_motion``.
    """
    count = len(sequence.frames)
    moved = np.zeros(max(count - step, 0), bool)
    if sequence.positions is not None:
        offsets = sequence.positions[step:] - sequence.positions[:-step]
        moved = np.linalg.norm(offsets, axis=1) > 0.05
    elif min_motion <= 0:
        moved[:] = True
    else:
        small = [_thumbnail(sequence.frames[i]) for i in range(count)]
        moved = np.array(
            [_flow(a, b) > min_motion for a, b in zip(small, small[step:], strict=False)], bool
        )
    moving = np.zeros(count, bool)
    if count > 2 * step:
        moving[step : count - step] = moved[step:] & moved[:-step]
    return moving


def _thumbnail(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    size = (200, max(200 * rgb.shape[0] // rgb.shape[1], 16))
    return cv2.resize(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)


def _flow(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Give the median optical flow in thousandths of the width."""
    flow = cv2.calcOpticalFlowFarneback(a, b, None, 0.5, 3, 15, 2, 5, 1.1, 0)
    return float(np.median(np.linalg.norm(flow, axis=2))) * 1000 / a.shape[1]


def _pixels(
    crop: tuple[float, float, float, float], width: int, height: int
) -> tuple[int, int, int, int]:
    """Give x, y, width and height in pixels of a crop in fractions."""
    left, top, right, bottom = crop
    x, y = round(left * width), round(top * height)
    return x, y, round(right * width) - x, round(bottom * height) - y


def _cut(image: NDArray, box: tuple[int, int, int, int]) -> NDArray:
    x, y, width, height = box
    return image[y : y + height, x : x + width]
