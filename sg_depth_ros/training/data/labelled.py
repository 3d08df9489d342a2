# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sources of labelled images for training the segmentation network."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from sg_depth_ros.bundle.labels import VOID
from sg_depth_ros.images.files import list_images, read_labels, read_rgb
from sg_depth_ros.training.data.frames import SpooledFrames
from sg_depth_ros.training.data.sources import StreetSource


class LabelledImage(NamedTuple):
    """An image (H, W, 3) uint8 RGB and its labels (H, W) uint8 train ids, 255 = void."""

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]


Loader = Callable[[], LabelledImage]


class _Source(BaseModel):
    model_config = ConfigDict(extra='forbid', frozen=True)

    repeat: int = Field(default=1, ge=1)
    """How many times an epoch shows this source."""


class FolderLabels(_Source):
    """Images and label images of the same stems in two folders."""

    kind: Literal['folder'] = 'folder'
    images: Path
    """Folder of images."""
    labels: Path
    """Folder of label PNGs: train ids, 255 = void."""

    def loaders(self) -> list[Loader]:
        """List the images that have labels; raises ValueError if there are none."""
        images = list_images(self.images)
        labels = sorted(p for p in self.labels.glob('*.png') if p.stem in images)
        _require(labels, self.labels, f'no label PNG has the name of an image in {self.images}')
        return [partial(_load_pair, images[p.stem], p) for p in labels]


class CityscapesLabels(_Source):
    """The Cityscapes layout: ``leftImg8bit/SPLIT/CITY`` and ``gtFine/SPLIT/CITY``.

    Labels are ``*_labelIds.png`` as they are downloaded, whose ids become train ids, or the
    ``*_labelTrainIds.png`` that Cityscapes' scripts make of them.
    """

    kind: Literal['cityscapes'] = 'cityscapes'
    root: Path
    """Folder with ``leftImg8bit`` and ``gtFine``."""
    split: str = 'train'
    """train, val or test."""

    def loaders(self) -> list[Loader]:
        """List the images that have labels; raises ValueError if there are none."""
        found: dict[str, Loader] = {}
        for ending, load in (
            ('_gtFine_labelTrainIds.png', _load_pair),
            ('_gtFine_labelIds.png', _load_cityscapes),
        ):
            for labels in sorted((self.root / 'gtFine' / self.split).glob(f'*/[!.]*{ending}')):
                stem = labels.name.removesuffix(ending)
                folder = self.root / 'leftImg8bit' / self.split / labels.parent.name
                image = folder / f'{stem}_leftImg8bit.png'
                found.setdefault(stem, partial(load, image, labels))
        if not found:
            raise ValueError(
                f'{self.root / "gtFine" / self.split} has no CITY/*_gtFine_labelIds.png; unpack '
                'gtFine_trainvaltest.zip and leftImg8bit_trainvaltest.zip of Cityscapes in '
                f'{self.root}'
            )
        return [found[stem] for stem in sorted(found)]


class VideoLabels(_Source):
    """A video and a folder of ``NNNNNN.png`` labels, named by frame index."""

    kind: Literal['video'] = 'video'
    video: Path
    """The video file."""
    labels: Path
    """Folder of label PNGs: train ids, 255 = void."""

    def loaders(self) -> list[Loader]:
        """List the labelled frames; raises ValueError if there are none."""
        labels = sorted(self.labels.glob('[0-9]*.png'))
        _require(labels, self.labels, 'no NNNNNN.png found')
        frames = _LazyVideo(self.video)
        return [partial(_load_frame, frames, int(p.stem), p) for p in labels]


class CamVidLabels(_Source):
    """CamVid's eleven classes drawn by hand, refined to Cityscapes' by a network's labels.

    A pixel keeps the network's class where that is a kind of what the hand drew; where the two
    disagree it is the first, most common kind of that.
    """

    kind: Literal['camvid'] = 'camvid'
    root: Path
    """Folder with ``train``, ``val`` and ``test``."""
    split: str = 'train'
    """train, val or test."""

    def loaders(self) -> list[Loader]:
        """List the images of the split; raises ValueError if there are none."""
        folder = self.root / self.split
        images = list_images(folder / 'images').values()
        return [partial(_load_camvid, folder, p) for p in images]


class StreetLabels(_Source):
    """The procedural street, whose labels are exact; see :class:`StreetSource`."""

    kind: Literal['street'] = 'street'
    street: StreetSource

    def loaders(self) -> list[Loader]:
        """Render what the cache does not hold yet and list all frames."""
        return [
            loader
            for clip in self.street.folders()
            for loader in FolderLabels(images=clip / 'images', labels=clip / 'labels').loaders()
        ]


LabelledSource = Annotated[
    FolderLabels | CityscapesLabels | VideoLabels | CamVidLabels | StreetLabels,
    Field(discriminator='kind'),
]

CITYSCAPES_TRAIN_IDS = np.full(256, VOID, np.uint8)
"""Train ids by Cityscapes' label ids; those that are not evaluated are void."""
CITYSCAPES_TRAIN_IDS[
    [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]
] = range(19)

CAMVID_KINDS: tuple[tuple[int, ...], ...] = (
    (10,),  # Sky
    (2, 3),  # Building
    (5,),  # Pole
    (0,),  # Road
    (1,),  # Pavement
    (8, 9),  # Tree
    (7, 6),  # SignSymbol
    (4, 3),  # Fence
    (13, 14, 15),  # Car
    (11,),  # Pedestrian
    (18, 12, 17),  # Bicyclist
)
"""Which train ids each of CamVid's classes can be, the most common first."""


def refine_camvid(hand: NDArray[np.uint8], network: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Join CamVid labels (H, W) and a network's train ids (H, W) to train ids."""
    table = np.full((256, 256), VOID, np.uint8)
    for camvid_id, kinds in enumerate(CAMVID_KINDS):
        table[camvid_id] = kinds[0]
        table[camvid_id, list(kinds)] = kinds
    return table[hand, network]


class _LazyVideo:
    """A video that is read when its first frame is asked for."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise ValueError(f'{path}: no such video; correct the path in the configuration')
        self.path = path

    @cached_property
    def frames(self) -> SpooledFrames:
        return SpooledFrames.of_video(self.path)


def _load_pair(image: Path, labels: Path) -> LabelledImage:
    return LabelledImage(read_rgb(image), read_labels(labels))


def _load_cityscapes(image: Path, label_ids: Path) -> LabelledImage:
    return LabelledImage(read_rgb(image), CITYSCAPES_TRAIN_IDS[read_labels(label_ids)])


def _load_frame(video: _LazyVideo, index: int, labels: Path) -> LabelledImage:
    return LabelledImage(video.frames[index], read_labels(labels))


def _load_camvid(folder: Path, image: Path) -> LabelledImage:
    hand = read_labels(folder / 'labels' / f'{image.stem}.png')
    network = read_labels(folder / 'cityscapes_labels' / f'{image.stem}.png')
    return LabelledImage(read_rgb(image), refine_camvid(hand, network))


def _require(found: list, where: Path, problem: str) -> None:
    if not found:
        raise ValueError(f'{where}: {problem}; correct the path in the configuration')
