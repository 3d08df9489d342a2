# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cityscapes' video snippets as a source of drives, in the layout of its downloads.

``leftImg8bit_sequence/SPLIT/CITY/CITY_SEQUENCE_FRAME_leftImg8bit.png``, 30 frames around each
labelled one, with ``camera`` (``camera_trainvaltest.zip``) and, where they are unpacked,
``vehicle_sequence`` and ``timestamp_sequence``.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.documents import read_json
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.images.files import SUFFIXES, read_rgb
from sg_depth_ros.training.data.frames import ImageFiles
from sg_depth_ros.training.data.sequence import Sequence
from sg_depth_ros.training.data.sources import SourceSettings
from sg_depth_ros.training.data.speed import Speed, distances_between

IMAGES = 'leftImg8bit_sequence'
SNIPPET = 30
"""Frames of a snippet; the next one may follow at once, but shows another place."""
FRAMES_PER_SECOND = 17.0
_SIZE = (2048, 1024)
"""Of the images that the camera files hold for; copies may be smaller."""


class CityscapesSource(SourceSettings):
    """Cityscapes' snippets; the part of the image with the car's bonnet is cut off."""

    kind: Literal['cityscapes'] = 'cityscapes'
    path: Path
    """Folder with ``leftImg8bit_sequence`` and ``camera``."""
    split: str = 'train'
    """A folder in ``leftImg8bit_sequence``: train, val, test."""
    cities: tuple[str, ...] = ()
    """Such as [aachen, ulm]; all of the split if empty."""
    crop: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 0.75)
    """Left, top, right and bottom of the part that is used, as fractions of the image."""

    def sequences(self) -> list[Sequence]:
        """Read the snippets; raises ValueError that names what is missing."""
        folder = self.path / IMAGES / self.split
        found = sorted(city.name for city in folder.glob('*') if city.is_dir())
        cities = self.cities or found
        if not cities or (missing := sorted(set(cities) - set(found))):
            wanted = ', '.join(missing) if cities else 'at least one'
            raise ValueError(
                f'{folder} has the cities {", ".join(found) or "none"}, expected {wanted}; unpack '
                f'{IMAGES}_trainvaltest.zip there'
            )
        snippets = [part for city in cities for part in _snippets(folder / city)]
        if not snippets:
            raise ValueError(f'{folder} holds no CITY_SEQUENCE_FRAME_leftImg8bit.png')
        # One image tells the size of all: a copy of the data is of one size, and each clip's
        # first image is held against its camera before a training begins.
        height, width = read_rgb(snippets[0].files[0]).shape[:2]
        cameras = _Cameras(self.path / 'camera' / self.split)
        return [self._sequence(snippet, cameras, width, height) for snippet in snippets]

    def _sequence(self, snippet: _Snippet, cameras: _Cameras, width: int, height: int) -> Sequence:
        stamps = snippet.stamps(self.path / 'timestamp_sequence' / self.split)
        moved = None
        if self.use_speed:
            speeds = snippet.speeds(self.path / 'vehicle_sequence' / self.split)
            if np.isfinite(speeds).any():
                moved = distances_between(stamps, Speed(stamps, speeds))
        camera = None if self.learn_intrinsics else cameras.of(snippet).resized(width, height)
        return Sequence(snippet.name, ImageFiles(snippet.files), camera, stamps, moved)


class _Snippet:
    """Frames of one city that follow each other."""

    def __init__(self, city: str, sequence: str, numbered: list[tuple[int, Path]]) -> None:
        self.city, self.sequence = city, sequence
        self.numbers = [number for number, _ in numbered]
        self.files = [file for _, file in numbered]
        self.name = f'{city}_{sequence}_{self.numbers[0]:06d}'

    def stamps(self, folder: Path) -> NDArray[np.float64]:
        """Give seconds: as they were recorded, or evenly."""
        try:
            times = [
                int((folder / self.city / f'{stem}_timestamp.txt').read_text())
                for stem in self._stems
            ]
        except OSError:
            return np.arange(len(self.files)) / FRAMES_PER_SECOND
        except ValueError as error:
            raise ValueError(
                f'{folder / self.city}, {self.name}: {error}; unpack it again'
            ) from error
        return np.array([(time - times[0]) * 1e-9 for time in times])

    def speeds(self, folder: Path) -> NDArray[np.float64]:
        """Give the speed at each frame in m/s, NaN where it is not known."""
        return np.array(
            [_speed(folder / self.city / f'{stem}_vehicle.json') for stem in self._stems]
        )

    @cached_property
    def _stems(self) -> list[str]:
        return [file.stem.removesuffix('_leftImg8bit') for file in self.files]


def _snippets(city: Path) -> list[_Snippet]:
    """Cut a city's frames where numbers are left out, and after 30."""
    sequences: dict[str, list[tuple[int, Path]]] = defaultdict(list)
    for file in sorted(city.iterdir()):
        parts = file.stem.removesuffix('_leftImg8bit').split('_')
        if file.suffix.lower() in SUFFIXES and len(parts) == 3 and parts[2].isdigit():
            sequences[parts[1]].append((int(parts[2]), file))
    snippets = []
    for name, numbered in sequences.items():
        part: list[tuple[int, Path]] = []
        for number, file in numbered:
            if part and (number != part[-1][0] + 1 or len(part) == SNIPPET):
                snippets.append(_Snippet(city.name, name, part))
                part = []
            part.append((number, file))
        snippets.append(_Snippet(city.name, name, part))
    return snippets


class _Cameras:
    """The camera files, of which each snippet has one, at its labelled frame."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[tuple[str, str], list[tuple[int, Path]]] = defaultdict(list)
        for file in sorted(folder.glob('*/*_camera.json')):
            city, sequence, number = file.name.removesuffix('_camera.json').split('_')
            self._files[city, sequence].append((int(number), file))

    def of(self, snippet: _Snippet) -> PinholeCamera:
        """Give the camera of a snippet, at 2048x1024."""
        known = self._files[snippet.city, snippet.sequence]
        file = next((file for number, file in known if number in snippet.numbers), None)
        if file is None:
            raise ValueError(
                f'{self._folder / snippet.city} has no camera file of {snippet.name}; unpack '
                'camera_trainvaltest.zip, or set learn_intrinsics'
            )
        values = _read_json(file)
        try:
            k = values['intrinsic']
            # Rows and columns are counted from the centre of the first pixel.
            return PinholeCamera(*_SIZE, *(float(k[key]) for key in ('fx', 'fy', 'u0', 'v0')))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f'{file} has no intrinsic fx, fy, u0, v0 ({error})') from error


def _speed(file: Path) -> float:
    if not file.is_file():
        return float('nan')
    speed = _read_json(file).get('speed')
    return float(speed) if isinstance(speed, int | float) else float('nan')


def _read_json(file: Path) -> dict[str, Any]:
    values = read_json(file)
    return values if isinstance(values, dict) else {}
