# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The data set of the depth training: a target frame and its two neighbours in time."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from collections.abc import Sequence as Sequence_
from functools import partial
from itertools import chain
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from sg_depth_ros.bundle.labels import VOID
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.images.resize import resize_image
from sg_depth_ros.training.data.augmentation import (
    Change,
    ColorJitter,
    JitterConfig,
    change_images,
)
from sg_depth_ros.training.data.drives import Clip, read_drives
from sg_depth_ros.training.data.frame_memory import Frame, FrameMemory
from sg_depth_ros.training.data.order import Draw
from sg_depth_ros.training.data.sequence import Sequence
from sg_depth_ros.training.data.union import DepthSource

MAX_REPLACED = 20
"""So many broken samples one after the other are no accident any more."""

_log = logging.getLogger(__name__)
Box = tuple[int, int, int, int]


class Sample(NamedTuple):
    """One training sample, or with a leading dimension B a batch of them.

    :ivar images: (3, 3, H, W) target, previous and next frame, RGB in [0, 1]
    :ivar jittered: the same as the networks see it
    :ivar intrinsics: (3, 3) of these images; a guess where ``camera`` is not negative
    :ivar camera: index of the unknown camera, -1 where the intrinsics are known
    :ivar mask: (1, H, W) bool, false where the vehicle itself hides the view
    :ivar distance: (2,) metres travelled to each neighbour, NaN where unknown
    :ivar truth: (1, H, W) metres, inf sky, NaN unknown
    :ivar labels: (H, W) uint8 train ids, 255 where unknown
    :ivar road_users: bool, whether view synthesis teaches what can move by itself
    :ivar mirror: bool, drawn by chance: shall the depth network see the mirrored image
    :ivar replaced: how many broken samples this one stands in for
    """

    images: Tensor
    jittered: Tensor
    intrinsics: Tensor
    camera: Tensor
    mask: Tensor
    distance: Tensor
    truth: Tensor
    labels: Tensor
    road_users: Tensor
    mirror: Tensor
    replaced: Tensor


class Ingredients(NamedTuple):
    """A sample before its images are changed, which may be done elsewhere and for many at once.

    :ivar views: (N, H, W, 3) uint8 of target and neighbours, or of a still alone; None where they
        are in a memory
    :ivar rows: those of the memory, else empty
    :ivar change: of the images that the networks see
    :ivar rest: what a ``Sample`` has behind its images
    """

    views: NDArray[np.uint8] | None
    rows: list[int]
    change: Change
    rest: tuple[Tensor, ...]


class TripletDataset(Dataset[Sample]):
    """Samples of all moving frames of the sources.

    :param size: width and height of the samples
    :param kept: names of the frames to which the targets are limited, as in :meth:`name`
    :param zoom: smallest part of an image's width and height that a sample shows
    :ivar drives: what was read, and what was left out and why
    :raises ValueError: if a source cannot be read or has no sample
    """

    def __init__(
        self,
        sources: Sequence_[DepthSource],
        size: tuple[int, int],
        jitter: JitterConfig | None = None,
        kept: Collection[str] | None = None,
        zoom: float = 1.0,
    ) -> None:
        self.size, self._zoom = size, zoom
        self.drives = read_drives(sources, kept)
        self._jitter = ColorJitter(jitter or JitterConfig())
        self._targets = [
            (clip, int(target)) for clip in self.drives.clips for target in clip.selection.targets
        ]
        self._numbers = {id(clip): number for number, clip in enumerate(self.drives.clips)}

    def __len__(self) -> int:
        return len(self._targets)

    def name(self, index: int) -> str:
        """Name the target of a sample: its sequence and the index of the frame there."""
        clip, target = self._targets[index]
        return f'{clip.sequence.name}:{target}'

    def __getitem__(self, draw: Draw) -> Sample:
        """Make a sample; one that is broken is replaced by the next that is not.

        :raises ValueError: when too many in a row are broken
        """
        views, _, change, rest = self.ingredients(draw)
        assert views is not None
        return Sample(*as_images(views, change), *rest)

    @property
    def can_be_kept(self) -> bool:
        """Whether every sample shows a frame in the same way, so that it can be kept as shown."""
        return self._zoom == 1

    def frames(self) -> list[Frame]:
        """List the frames that samples show; one that several show comes several times."""
        return [
            (self._numbers[id(clip)], index)
            for clip, target in self._targets
            for index in _shown(clip, target)
        ]

    def ingredients(self, draw: Draw, memory: FrameMemory | None = None) -> Ingredients:
        """Make a sample but for its images; one that is broken is replaced as in a sample.

        :param memory: where views of all :meth:`frames` are kept
        :raises ValueError: when too many in a row are broken
        """
        for replaced in range(MAX_REPLACED):
            index = (draw.sample + replaced) % len(self)
            try:
                return self._make(index, draw.seed, replaced, memory)
            except (ValueError, OSError) as error:
                _log.warning('%s is broken and replaced: %s', self.name(index), error)
                last = error
        raise ValueError(
            f'{MAX_REPLACED} samples in a row cannot be read, the last one because: {last}'
        )

    def target(
        self, index: int, learned: Mapping[str, PinholeCamera] = {}
    ) -> tuple[NDArray[np.uint8], PinholeCamera]:
        """Give a target as the network sees it, (H, W, 3) RGB, and its camera.

        :param learned: cameras of whole images by the names in ``drives.cameras``, in place of the
            guess where intrinsics are unknown
        """
        clip, target = self._targets[index]
        image = clip.sequence.frames[target]
        box = clip.box(image)
        camera = clip.sequence.camera
        if camera is None:
            camera = learned.get(self.drives.cameras[clip.camera])
        return resize_image(_cut(image, box), *self.size), self._seen(image, box, camera)

    def mask(self, index: int, size: tuple[int, int] | None = None) -> NDArray[np.bool_]:
        """Tell where (H, W) a target is seen and not hidden by the vehicle itself.

        :param size: width and height, the samples' by default
        """
        clip, _ = self._targets[index]
        return _seen_part(clip, size or self.size)

    def following(
        self, index: int, count: int
    ) -> tuple[Iterator[NDArray[np.uint8]], PinholeCamera] | None:
        """Give a target and up to ``count`` frames after it as :meth:`target` does.

        :return: the images, read as they are taken, and their camera; None where that is unknown
        """
        clip, target = self._targets[index]
        frames, camera = clip.sequence.frames, clip.sequence.camera
        if camera is None or clip.source.stills:
            return None
        first = frames[target]
        box = clip.box(first)
        later = (frames[i] for i in range(target + 1, min(target + count + 1, len(frames))))
        images = (resize_image(_cut(image, box), *self.size) for image in chain([first], later))
        return images, self._seen(first, box, camera)

    def _make(
        self, index: int, seed: int, replaced: int, memory: FrameMemory | None
    ) -> Ingredients:
        clip, target = self._targets[index]
        sequence = clip.sequence
        rng = np.random.default_rng(seed)
        indices = _shown(clip, target)
        rows: list[int] = []
        frames: list[NDArray[np.uint8]] = []
        if memory is None:
            frames = [sequence.frames[i] for i in indices]
            shapes = [frame.shape for frame in frames]
        else:
            number = self._numbers[id(clip)]
            rows, shapes = memory.rows(number, indices, partial(self._whole_view, clip))
        if len(set(shapes)) > 1:
            raise ValueError('its neighbours have another size')
        # Of the image's shape, without its memory.
        blank = np.broadcast_to(np.uint8(0), shapes[0])
        box = clip.box(blank)
        if self._zoom < 1:
            box = _zoomed(box, rng.uniform(self._zoom, 1), rng)
        mask = _seen_part(clip, self.size, box)
        truth = self._truth(sequence, target, box)
        truth[~mask] = np.nan
        views = None
        if frames:
            views = np.stack([resize_image(_cut(frame, box), *self.size) for frame in frames])
        change = self._jitter.draw((len(indices), self.size[1], self.size[0], 3), rng)
        seen = self._seen(blank, box, sequence.camera)
        distance = [sequence.distance(target, i) for i in indices[1:]] or [np.nan, np.nan]
        rest = (
            torch.from_numpy(seen.matrix.astype(np.float32)),
            torch.tensor(clip.camera),
            torch.from_numpy(mask)[None],
            torch.tensor(distance, dtype=torch.float32),
            torch.from_numpy(truth)[None],
            torch.from_numpy(self._labels(sequence, target, box)),
            torch.tensor(clip.source.road_users),
            torch.tensor(rng.random() < 0.5),
            torch.tensor(replaced),
        )
        return Ingredients(views, rows, change, rest)

    def _whole_view(self, clip: Clip, index: int) -> tuple[NDArray[np.uint8], tuple[int, ...]]:
        """Give a frame as samples show it, and the shape of its image."""
        image = clip.sequence.frames[index]
        return resize_image(_cut(image, clip.box(image)), *self.size), image.shape

    def _seen(
        self, image: NDArray[np.uint8], box: Box, camera: PinholeCamera | None
    ) -> PinholeCamera:
        """Give the camera of a part of an image at network size; a guess where it is unknown."""
        camera = camera or guessed_camera(*image.shape[1::-1])
        return camera.cropped(*box).resized(*self.size)

    def _truth(self, sequence: Sequence, target: int, box: Box) -> NDArray[np.float32]:
        if sequence.depth is None:
            return np.full(self.size[::-1], np.nan, np.float32)
        return _nearest(_cut(sequence.depth(target), box), self.size)

    def _labels(self, sequence: Sequence, target: int, box: Box) -> NDArray[np.uint8]:
        if sequence.labels is None:
            return np.full(self.size[::-1], VOID, np.uint8)
        labels = sequence.labels(target)
        return _nearest(labels if labels.shape == (1, 1) else _cut(labels, box), self.size)


def as_images(views_nhw3: NDArray[np.uint8], change: Change) -> tuple[Tensor, Tensor]:
    """Give the images (3, 3, H, W) of a sample and what the networks see of them."""
    images = np.asarray(views_nhw3.astype(np.float32) / 255, np.float32)
    changed = change_images(images, change)
    # A still stands for its neighbours too.
    shown, seen = (_to_tensor(values).expand(3, -1, -1, -1) for values in (images, changed))
    return shown, seen


def _shown(clip: Clip, target: int) -> list[int]:
    """Give the frames of a sample, the target first; a still stands for its neighbours too."""
    step = clip.source.step
    return [target] if clip.source.stills else [target, target - step, target + step]


def file_stem(name: str) -> str:
    """Turn the name of a target into one that a file can have."""
    return name.replace('/', '_').replace(':', '_')


def guessed_camera(width: int, height: int) -> PinholeCamera:
    """Give the camera that learning starts from: about 58 degrees wide, centred."""
    return PinholeCamera.centred(width, height, 0.9 * width)


def _zoomed(box: Box, part: float, rng: np.random.Generator) -> Box:
    """Take a random part of a box, of the same aspect."""
    x, y, width, height = box
    wide, high = round(part * width), round(part * height)
    left, top = rng.integers(width - wide + 1), rng.integers(height - high + 1)
    return x + int(left), y + int(top), wide, high


def _seen_part(clip: Clip, size: tuple[int, int], box: Box | None = None) -> NDArray[np.bool_]:
    """Tell where the vehicle itself does not hide a part of the view, by default all of it."""
    if clip.mask is None:
        return np.ones(size[::-1], bool)
    return _nearest(_cut(clip.mask, box or clip.box(clip.mask)), size) > 0


def _nearest(image: NDArray, size: tuple[int, int]) -> NDArray:
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_NEAREST_EXACT))


def _to_tensor(images_nhw3: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(images_nhw3.transpose(0, 3, 1, 2)))


def _cut(image: NDArray, box: Box) -> NDArray:
    x, y, width, height = box
    return image[y : y + height, x : x + width]
