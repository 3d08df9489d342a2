# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What trained networks say of real images, as truth for another training to learn from.

The mean of several predictions is better than each: of other networks, of other sizes, of the
mirrored image. Where they go wrong alike, truth comes from elsewhere: of what stands still from
parallax (``data/triangulation.py``), and of vehicles close ahead from real ones that are set into
the images at a distance that is known (``data/vehicles.py``).
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from sg_depth_ros.bundle.labels import VOID
from sg_depth_ros.files import atomic_path
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.geometry.ground_plane import GroundPlane, fit_labelled_ground
from sg_depth_ros.images.files import depth_to_png, read_depth, read_rgb, write_image
from sg_depth_ros.images.resize import resize_image, resize_labels
from sg_depth_ros.images.visualise import colorize_depth, depth_range, side_by_side, strip
from sg_depth_ros.training.data.sources import SCALE_FILE
from sg_depth_ros.training.data.triangulation import bend_depth, triangulate
from sg_depth_ros.training.data.triplets import TripletDataset, file_stem
from sg_depth_ros.training.data.union import DepthSource
from sg_depth_ros.training.data.vehicles import (
    Scene,
    Vehicle,
    VehicleSettings,
    cut_vehicles,
    known_depth,
    set_vehicles,
)
from sg_depth_ros.training.predictor import CheckpointPredictor
from sg_depth_ros.training.progress import track
from sg_depth_ros.training.settings import Side
from sg_depth_ros.training.warm_start import find_networks

_FINE = 2
"""Vehicles are cut out of images of so many times the network's size, as they come nearer."""
_MIN_INLIERS = 0.5
"""Share of what is labelled ground that has to lie on one plane to set vehicles on it."""
_FOLLOWED = 8
"""Frames after an image, at most, through which points are followed."""
_EXAMPLES = 12

_log = logging.getLogger(__name__)


class Teacher(BaseModel):
    """A trained network, and how it looks at images."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    checkpoint: Path
    """Networks of a training (.pt), or the name of a shipped one."""
    size: tuple[Side, Side] | None = None
    """Width and height of what it sees; those of its training by default."""
    mirror: bool = False
    """Look at the mirrored image as well and take the mean."""


class DistilSettings(BaseModel):
    """All that is set of what is written to learn from."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    teachers: list[Teacher] = Field(min_length=1)
    """Their mean is taken; the first one tells scale and labels."""
    sources: list[DepthSource]
    """Images come from all of them by weight, evenly spread over each."""
    images: int = Field(default=1000, ge=1)
    """How many images are written, those with vehicles set into them apart."""
    size: tuple[Side, Side] = (640, 192)
    """Width and height of what is written."""
    focal_length: float = Field(gt=0)
    """Pixels at the width of ``size``, as the training has it that is to learn from this."""
    triangulate: bool = True
    """Bend what the teachers say to points that stand still and are followed through the next
    images, where the camera is known, and road and what is near tell their scale."""
    vehicles: VehicleSettings | None = VehicleSettings()
    """Set vehicles into the images; null for the images alone."""
    seed: int = Field(default=0, ge=0)
    """Of all chance."""


@dataclass(frozen=True)
class _Ground:
    """What is kept of an image with ground until all have been seen; ``stem`` names its files."""

    stem: str
    labels: NDArray[np.uint8]
    plane: GroundPlane


class Written(NamedTuple):
    """How many images were written, and of those bent to parallax, and vehicles cut out."""

    images: int
    bent: int
    vehicles: int


def write_teaching(settings: DistilSettings, out: Path) -> Written:
    """Write a folder of images and depth that a source of kind ``folder`` reads.

    It appears when it is complete: images/NAME.png, depth/NAME.png (16 bit, metres * 256, 0 =
    unknown), the same as NAME_1 and so on with vehicles set into them, camera.json, scale.json,
    examples.png.
    No network sees intrinsics, so all images are taken to be of one camera: the training's.

    :raises ValueError: if the folder exists or is not to be made of the settings
    """
    if out.exists():
        raise ValueError(f'{out} exists; give another folder or remove it')
    teachers = [_Looking(teacher, settings) for teacher in settings.teachers]
    width, height = settings.size
    dataset = TripletDataset(settings.sources, (_FINE * width, _FINE * height))
    chosen = _chosen(dataset.drives.counts, [s.weight for s in settings.sources], settings.images)
    camera = PinholeCamera.centred(width, height, settings.focal_length)
    with atomic_path(out) as folder:
        camera.to_json(folder / 'camera.json')
        (folder / SCALE_FILE).write_text(json.dumps({'scale': teachers[0].scale}) + '\n')
        written = bent = 0
        grounds: list[_Ground] = []
        vehicles: list[Vehicle] = []
        for index in track(chosen, 'Asking the teachers'):
            name = dataset.name(index)
            try:
                fine, _ = dataset.target(index)
            except (ValueError, OSError) as error:
                _log.warning('%s is broken and left out: %s', name, error)
                continue
            image = resize_image(fine, width, height)
            depth, labels = _asked(teachers, fine, settings.size)
            hidden = ~dataset.mask(index, settings.size)
            labels[hidden] = VOID
            if (
                settings.triangulate
                and (agreeing := _bent(dataset, index, depth, labels)) is not None
            ):
                depth, bent = agreeing, bent + 1
            depth[hidden] = np.nan
            stem = file_stem(name)
            _write_image(folder, stem, image)
            _write_depth(folder, stem, depth)
            written += 1
            if settings.vehicles is None:
                continue
            points = camera.back_project(depth)
            plane = fit_labelled_ground(points, labels, min_inliers=_MIN_INLIERS)
            if plane is not None:
                grounds.append(_Ground(stem, labels, plane))
                vehicles += cut_vehicles(Scene(image, depth, labels, camera, plane), fine)
        if settings.vehicles is not None:
            if not vehicles:
                raise ValueError(
                    f'no vehicle that stands on the road was found in {written} images; give '
                    'more images of traffic, or leave it out: vehicles=null'
                )
            rng = np.random.default_rng(settings.seed)
            _write_copies(folder, grounds, vehicles, camera, settings.vehicles, rng)
            written += len(grounds) * settings.vehicles.copies
    return Written(written, bent, len(vehicles))


class _Looking:
    """A teacher at work."""

    def __init__(self, teacher: Teacher, settings: DistilSettings) -> None:
        self._predict = CheckpointPredictor(find_networks(teacher.checkpoint))
        self.scale = self._predict.scale
        self._size, self._mirror = teacher.size or self._predict.size, teacher.mirror
        width, height = self._size
        focal_length = settings.focal_length * width / settings.size[0]
        self._camera = PinholeCamera.centred(width, height, focal_length)

    def __call__(
        self, image_hw3: NDArray[np.uint8], size: tuple[int, int]
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Give the logarithm of depth and train ids (H, W) of an image, both of a size."""
        seen = resize_image(image_hw3, *self._size)
        depth, labels = self._predict(seen, self._camera)
        logarithm = np.log(depth)
        if self._mirror:
            other, _ = self._predict(np.ascontiguousarray(seen[:, ::-1]), self._camera)
            logarithm = (logarithm + np.log(other)[:, ::-1]) / 2
        resized = cv2.resize(logarithm, size, interpolation=cv2.INTER_LINEAR)
        return np.asarray(resized, np.float32), resize_labels(labels, *size)


def _asked(
    teachers: list[_Looking], image: NDArray[np.uint8], size: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Give the mean of what the teachers say, each at the scale of the first, and its labels."""
    (first, labels), *others = (teacher(image, size) for teacher in teachers)
    scale = np.median(first)
    aligned = [first, *(other - np.median(other) + scale for other, _ in others)]
    return np.exp(np.mean(aligned, axis=0)).astype(np.float32), labels


def _bent(
    dataset: TripletDataset, index: int, depth: NDArray[np.float32], labels: NDArray[np.uint8]
) -> NDArray[np.float32] | None:
    """Bend depth of a sample to what is seen from the frames after it; None if that is unknown."""
    try:
        seen = dataset.following(index, _FOLLOWED)
        if seen is None:
            return None
        images, camera = seen
        points = triangulate(images, resize_labels(labels, *dataset.size), camera)
    except (ValueError, OSError) as error:
        _log.warning('what follows %s is broken: %s', dataset.name(index), error)
        return None
    if points is None:
        return None
    return bend_depth(depth, labels, camera.resized(*depth.shape[::-1]), points)


def _write_copies(
    folder: Path,
    grounds: list[_Ground],
    vehicles: list[Vehicle],
    camera: PinholeCamera,
    settings: VehicleSettings,
    rng: np.random.Generator,
) -> None:
    """Write each image that has ground again with vehicles, and correct its own depth."""
    examples = []
    every = max(len(grounds) // _EXAMPLES, 1)
    for index, ground in enumerate(track(grounds, 'Setting vehicles')):
        scene = Scene(*_read(folder, ground.stem), ground.labels, camera, ground.plane)
        known = known_depth(scene, settings)
        for copy in range(1, settings.copies + 1):
            image, depth = set_vehicles(scene, known, vehicles, settings, rng)
            _write_image(folder, f'{ground.stem}_{copy}', image)
            _write_depth(folder, f'{ground.stem}_{copy}', depth)
        if index % every == 0:
            examples.append(side_by_side([image, colorize_depth(depth, *depth_range([depth]))]))
        _write_depth(folder, ground.stem, known)
    write_image(folder / 'examples.png', strip(examples))


def _chosen(counts: list[int], weights: list[float], images: int) -> list[int]:
    """Choose samples of all sources by weight, evenly spread over each."""
    chosen: list[int] = []
    first = 0
    for count, weight in zip(counts, weights, strict=True):
        wanted = min(round(images * weight / sum(weights)), count)
        chosen += [first + int(i) for i in np.linspace(0, count - 1, wanted)]
        first += count
    return chosen


def _write_image(folder: Path, stem: str, image: NDArray[np.uint8]) -> None:
    write_image(folder / 'images' / f'{stem}.png', image)


def _write_depth(folder: Path, stem: str, depth: NDArray[np.float32]) -> None:
    write_image(folder / 'depth' / f'{stem}.png', depth_to_png(depth))


def _read(folder: Path, stem: str) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    return read_rgb(folder / 'images' / f'{stem}.png'), read_depth(
        folder / 'depth' / f'{stem}.png'
    )
