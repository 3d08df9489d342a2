# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sources of unlabelled drives for training depth: videos, folders, bags, the street."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from rich.progress import track

from sg_depth_ros.camera import PinholeCamera
from sg_depth_ros.evaluation.sources.images import read_depth, read_labels
from sg_depth_ros.labels import ID
from sg_depth_ros.synthetic import StreetOptions, drive, write_folder
from sg_depth_ros.training.data.frames import Frames, ImageFiles, MemoryFrames


@dataclass(frozen=True)
class Sequence:
    """One drive by one camera.

    :ivar frames: its images in the order of time
    :ivar camera: intrinsics of the images as stored; None if unknown
    :ivar positions: (N, 3) of the camera in metres in a fixed frame, or None
    :ivar depth: gives true depth (H, W) by index: metres, inf sky, NaN unknown; or None
    """

    name: str
    frames: Frames
    camera: PinholeCamera | None
    positions: NDArray[np.float64] | None = None
    depth: Callable[[int], NDArray[np.float32]] | None = None


class _Source(BaseModel):
    model_config = ConfigDict(extra='forbid', frozen=True)

    weight: float = Field(default=1.0, gt=0)
    """Share of the samples that come from this source, relative to the others'."""
    crop: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    """Left, top, right and bottom of the part that is used, as fractions of the image."""
    mask: Path | None = None
    """An image of the stored size, black where the vehicle itself hides the view."""
    step: int = Field(default=1, ge=1)
    """Frames between a target and its neighbours."""
    min_motion: float = 0.5
    """Median optical flow, in thousandths of the width, under which a frame is left out."""


class VideoSource(_Source):
    """A video file, with a ``camera.json`` or with intrinsics to be learned."""

    kind: Literal['video'] = 'video'
    path: Path
    camera: Path | None = None

    def sequences(self) -> list[Sequence]:
        """Read the video; raises ValueError if it cannot be read."""
        camera = PinholeCamera.from_json(self.camera) if self.camera else None
        return [Sequence(self.path.stem, MemoryFrames.of_video(self.path), camera)]


class FolderSource(_Source):
    """A folder of images with ``camera.json`` and, where known, ``poses.txt`` and ``depth/``.

    Poses are camera to world, 3x4 row major, metres, a line a frame. Depth is 16-bit PNG, metres
    times 256, 0 = unknown.
    """

    kind: Literal['folder'] = 'folder'
    path: Path
    images: str = 'images'
    use_depth: bool = False
    """Learn from the true depth as well."""

    def sequences(self) -> list[Sequence]:
        """Read the folder; raises ValueError that names what is missing or broken."""
        frames = ImageFiles.in_folder(self.path / self.images)
        json = self.path / 'camera.json'
        camera = PinholeCamera.from_json(json) if json.exists() else None
        return [
            Sequence(
                self.path.name,
                frames,
                camera,
                _positions(self.path / 'poses.txt', len(frames)),
                self._depth_reader(frames) if self.use_depth else None,
            )
        ]

    def _depth_reader(self, frames: ImageFiles) -> Callable[[int], NDArray[np.float32]]:
        def read(index: int) -> NDArray[np.float32]:
            name = f'{frames.paths[index].stem}.png'
            depth = read_depth(self.path / 'depth' / name)
            labels = self.path / 'labels' / name
            if labels.exists():
                depth[read_labels(labels) == ID['sky']] = np.inf
            return depth

        return read


class BagSource(_Source):
    """A rosbag2 recording: images, raw or compressed, and their camera_info."""

    kind: Literal['bag'] = 'bag'
    path: Path
    topic: str | None = None

    def sequences(self) -> list[Sequence]:
        """Read the bag; raises ValueError if it has no images."""
        from sg_depth_ros.bags import BagReader

        with BagReader(self.path) as bag:
            frames = MemoryFrames(image.rgb for image in bag.images(self.topic))
            return [Sequence(self.path.stem, frames, bag.camera_info(self.topic))]


class StreetSource(_Source):
    """The procedural street: rendered once to ``cache``, then read like a folder."""

    kind: Literal['street'] = 'street'
    cache: Path
    clips: int = Field(default=200, ge=1)
    frames: int = Field(default=5, ge=3)
    seed: int = 0
    fps: float = Field(default=10.0, gt=0)
    size: tuple[int, int] = (640, 192)
    focal_length: tuple[float, float] = (0.45, 1.1)
    """Range of the horizontal focal length, in widths."""
    aspect: tuple[float, float] = (0.8, 1.2)
    """Range of the vertical focal length, in horizontal ones: images are stretched."""
    options: StreetOptions = StreetOptions()
    use_depth: bool = True

    def sequences(self) -> list[Sequence]:
        """Render what the cache does not hold yet and read all clips."""
        settings = self.model_dump_json(include=set(STREET_LOOK))
        folder = self.cache / hashlib.sha256(settings.encode()).hexdigest()[:12]
        clips = [folder / f'clip_{index:05d}' for index in range(self.clips)]
        missing = [index for index, clip in enumerate(clips) if not clip.exists()]
        for index in track(missing, 'Rendering the street', disable=not missing):
            self._render(clips[index], self.seed + index)
        read = [FolderSource(path=clip, use_depth=self.use_depth).sequences() for clip in clips]
        return [sequence for sequences in read for sequence in sequences]

    def _render(self, clip: Path, seed: int) -> None:
        rng = np.random.default_rng(seed)
        width, height = self.size
        fx = width * rng.uniform(*self.focal_length)
        camera = PinholeCamera(
            width,
            height,
            fx,
            fx * rng.uniform(*self.aspect),
            width * rng.uniform(0.47, 0.53) - 0.5,
            height * rng.uniform(0.42, 0.55) - 0.5,
        )
        write_folder(clip, drive(camera, self.frames, seed, self.options, self.fps))


STREET_LOOK = ('frames', 'seed', 'fps', 'size', 'focal_length', 'aspect', 'options')
"""The settings of a street that its pictures depend on."""

DepthSource = Annotated[
    VideoSource | FolderSource | BagSource | StreetSource, Field(discriminator='kind')
]


def _positions(path: Path, frames: int) -> NDArray[np.float64] | None:
    """Read the camera's positions (N, 3) in metres from 3x4 poses, a line a frame."""
    if not path.exists():
        return None
    poses = np.loadtxt(path, ndmin=2)
    if poses.shape != (frames, 12):
        raise ValueError(
            f'{path} has {poses.shape[0]} lines of {poses.shape[1]} numbers, expected '
            f'{frames} of 12: a row-major 3x4 pose for each image'
        )
    return poses.reshape(-1, 3, 4)[:, :, 3]
