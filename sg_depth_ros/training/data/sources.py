# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sources of drives for training depth: videos, folders of images, bags, the street."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from sg_depth_ros.bundle.labels import ID, VOID
from sg_depth_ros.documents import read_json
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.images.files import list_images, read_depth, read_labels
from sg_depth_ros.synthetic import StreetFrame, StreetOptions, drive, write_folder
from sg_depth_ros.training.data.frames import ImageFiles, SpooledFrames
from sg_depth_ros.training.data.sequence import (
    DepthReader,
    LabelReader,
    Sequence,
    distances_of_poses,
    read_column,
    read_poses,
)
from sg_depth_ros.training.data.speed import Speed, distances_between
from sg_depth_ros.training.progress import track

STAMP_COLUMNS = ('stamp', 'stamp_s', 'unix_time_s', 'time', 'timestamp')
SPEED_COLUMNS = ('speed', 'speed_m_s')
SCALE_FILE = 'scale.json'


class SourceSettings(BaseModel):
    """What all sources of drives have."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    weight: float = Field(default=1.0, gt=0)
    """Share of the samples that come from this source, relative to the others'."""
    crop: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    """Left, top, right and bottom of the part that is used, as fractions of the image."""
    mask: Path | None = None
    """An image of the stored size, black where the vehicle itself hides the view."""
    step: int = Field(default=1, ge=1)
    """Frames between a target and its neighbours."""
    min_motion: float = Field(default=0.5, ge=0)
    """Median optical flow, in thousandths of the width, under which a frame is left out."""
    min_distance: float = Field(default=0.05, ge=0)
    """Metres between frames, where they are known, under which a frame is left out."""
    use_speed: bool = True
    """Take measured distances into the velocity loss and the search for standing frames."""
    learn_intrinsics: bool = False
    """Learn the intrinsics of this camera even if a file states some."""
    road_users: bool = True
    """Learn from view synthesis where segmentation sees vehicles and people as well. Right where
    most of them stand; without it those that move are left to sources with true depth."""
    stills: bool = False
    """Images stand alone: learned from their true depth, without neighbours."""

    @field_validator('crop')
    @classmethod
    def _is_a_part(cls, crop: tuple[float, float, float, float]) -> tuple[float, ...]:
        left, top, right, bottom = crop
        if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
            raise ValueError(
                f'{list(crop)} is no part of an image; give left, top, right and bottom as '
                'fractions of its width and height, from 0 to 1'
            )
        return crop


class VideoSource(SourceSettings):
    """A video file; intrinsics from ``camera``, or the ``camera.json`` beside it, or learned."""

    kind: Literal['video'] = 'video'
    path: Path
    """The video file."""
    camera: Path | None = None
    """A `camera.json` (width, height, fx, fy, cx, cy); by default the one beside the video."""
    table: Path | None = None
    """CSV, a row a frame: stamps in seconds (stamp), speed in m/s (speed). By default the
    ``timestamps.csv`` beside the video, if there is one."""
    labels: Path | None = None
    """Folder of ``NNNNNN.png`` train ids by frame index."""

    def sequences(self) -> list[Sequence]:
        """Read the video; raises ValueError if it cannot be read."""
        frames = SpooledFrames.of_video(self.path)
        table = self.table or _existing(self.path.with_name('timestamps.csv'))
        stamps, moved = _read_tables([table] if table else [], len(frames))
        camera = self.camera or _existing(self.path.with_name('camera.json'))
        return [
            Sequence(
                short_name(self.path),
                frames,
                _read_camera(camera, self),
                stamps,
                moved if self.use_speed else None,
                labels=_by_name(self.labels, lambda index: f'{index:06d}.png', read_labels, VOID),
            )
        ]


class FolderSource(SourceSettings):
    """A folder of images with, where known, ``camera.json``, poses, speeds, depth and labels.

    ``poses.txt`` is camera to world, 3x4 row major, metres, a line a frame; ``speeds.csv`` and
    ``timestamps.csv`` have a row a frame. Depth is 16-bit PNG, metres times 256, 0 = unknown; its
    unit is another one where ``scale.json`` says ``{"scale": "relative"}``, as ``sg_depth train
    distil`` writes it for teachers without metres.
    """

    kind: Literal['folder'] = 'folder'
    path: Path
    """The folder."""
    images: str = 'images'
    """The folder of the images inside of ``path``; ``.`` for the folder itself."""
    use_depth: bool = False
    """Learn from the true depth in ``depth`` as well."""

    def sequences(self) -> list[Sequence]:
        """Read the folder; raises ValueError that names what is missing or broken."""
        images = list_images(self.path / self.images)
        empty = [path for path in images.values() if path.stat().st_size == 0]
        frames = ImageFiles([path for path in images.values()])
        tables = [self.path / name for name in ('timestamps.csv', 'speeds.csv')]
        stamps, moved = _read_tables([t for t in tables if t.exists()], len(frames))
        if (poses := self.path / 'poses.txt').exists():
            moved = distances_of_poses(read_poses(poses, len(frames)))
        return [
            Sequence(
                short_name(self.path),
                frames,
                _read_camera(_existing(self.path / 'camera.json'), self),
                stamps,
                moved if self.use_speed else None,
                depth=self._depth_reader(frames) if self.use_depth else None,
                metric=_read_scale(self.path / SCALE_FILE) == 'metric',
                labels=_by_name(
                    _existing(self.path / 'labels'),
                    lambda index: f'{frames.paths[index].stem}.png',
                    read_labels,
                    VOID,
                ),
                skipped=tuple(f'{path} is empty' for path in empty),
            )
        ]

    def _depth_reader(self, frames: ImageFiles) -> DepthReader:
        def read(index: int) -> NDArray[np.float32]:
            name = f'{frames.paths[index].stem}.png'
            depth = read_depth(self.path / 'depth' / name)
            labels = self.path / 'labels' / name
            if labels.exists():
                depth[read_labels(labels) == ID['sky']] = np.inf
            return depth

        return read


class BagSource(SourceSettings):
    """A rosbag2 recording: images, raw or compressed, their camera_info, and speed."""

    kind: Literal['bag'] = 'bag'
    path: Path
    """The bag: a folder, or one of its .mcap or .db3 files."""
    topic: str | None = None
    """Topic of the images; the bag's only one by default."""
    info_topic: str | None = None
    """Their camera_info; by default the one below or beside it, or with its frame."""
    camera: Path | None = None
    """A ``camera.json`` where the bag has no valid camera_info."""
    speed_topic: str | None = None
    """Odometry, TwistStamped or NavSatFix; found by itself where only one could be meant."""

    def sequences(self) -> list[Sequence]:
        """Read the bag; raises ValueError if it has no images."""
        from sg_depth_ros.training.data.bag_drive import read_bag_drive

        drive = read_bag_drive(
            *(self.path, self.topic, self.speed_topic),
            use_speed=self.use_speed,
            info_topic=self.info_topic,
        )
        camera = drive.camera if self.camera is None else PinholeCamera.from_json(self.camera)
        return [
            Sequence(
                short_name(self.path),
                drive.frames,
                None if self.learn_intrinsics else camera,
                drive.stamps,
                drive.moved,
                skipped=drive.skipped,
            )
        ]


class StreetSource(SourceSettings):
    """The procedural street: rendered once to ``cache``, then read like a folder."""

    kind: Literal['street'] = 'street'
    cache: Path
    """Folder that clips are rendered to, once for all trainings that ask for the same."""
    clips: int = Field(default=200, ge=1)
    """How many clips."""
    frames: int = Field(default=5, ge=1)
    """Images of a clip."""
    seed: int = 0
    """Of the first clip; each has the next."""
    fps: float = Field(default=10.0, gt=0)
    """Images a second."""
    size: tuple[int, int] = (640, 192)
    """Width and height of the images, in pixels."""
    focal_length: tuple[float, float] = (0.45, 1.1)
    """Range of the horizontal focal length, in widths."""
    aspect: tuple[float, float] = (0.8, 1.2)
    """Range of the vertical focal length, in horizontal ones: images are stretched."""
    principal_point: tuple[tuple[float, float], tuple[float, float]] = ((0.47, 0.53), (0.42, 0.55))
    """Ranges of its column in widths and of its row in heights."""
    options: StreetOptions = StreetOptions()
    use_depth: bool = True
    """Learn from the true depth; false leaves view synthesis alone to learn from."""

    def folders(self) -> list[Path]:
        """Render the clips that the cache does not hold yet and give the folders of all.

        Processes that start together, as of several GPUs, share the work.
        """
        settings = self.model_dump_json(include=set(STREET_LOOK))
        folder = self.cache / hashlib.sha256(settings.encode()).hexdigest()[:12]
        clips = [folder / f'clip_{index:05d}' for index in range(self.clips)]
        missing = [index for index, clip in enumerate(clips) if not clip.exists()]
        # Each process in an order of its own, so that one finds done what another did.
        np.random.default_rng().shuffle(missing)
        for index in track(missing, 'Rendering the street'):
            if clips[index].exists():
                continue
            try:
                write_folder(clips[index], self.drive(index))
            except OSError:
                # Another process was first.
                if not clips[index].exists():
                    raise
        return clips

    def drive(self, index: int) -> Iterator[StreetFrame]:
        """Render a clip, with all the truth that a folder has no place for."""
        seed = self.seed + index
        rng = np.random.default_rng(seed)
        width, height = self.size
        fx = width * rng.uniform(*self.focal_length)
        camera = PinholeCamera(
            width,
            height,
            fx,
            fx * rng.uniform(*self.aspect),
            width * rng.uniform(*self.principal_point[0]) - 0.5,
            height * rng.uniform(*self.principal_point[1]) - 0.5,
        )
        return drive(camera, self.frames, seed, self.options, self.fps)

    def sequences(self) -> list[Sequence]:
        """Render what the cache does not hold yet and read all clips."""
        shared = self.model_dump(include=set(SourceSettings.model_fields))
        read = [
            FolderSource(path=clip, use_depth=self.use_depth, **shared).sequences()
            for clip in self.folders()
        ]
        return [sequence for sequences in read for sequence in sequences]


STREET_LOOK = (
    'frames', 'seed', 'fps', 'size', 'focal_length', 'aspect', 'principal_point', 'options'
)  # fmt: skip
"""The settings of a street that its pictures depend on."""


def short_name(path: Path) -> str:
    """Name a sequence by the last two parts of its path, without the suffix."""
    return '/'.join(path.resolve().with_suffix('').parts[-2:])


def _existing(path: Path) -> Path | None:
    return path if path.exists() else None


def _read_camera(path: Path | None, source: SourceSettings) -> PinholeCamera | None:
    if path is None or source.learn_intrinsics:
        return None
    return PinholeCamera.from_json(path)


def _read_scale(path: Path) -> str:
    if not path.exists():
        return 'metric'
    try:
        scale = read_json(path)['scale']
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f'{path} is not {{"scale": "metric"}} or "relative": {error}') from error
    return str(scale)


def _read_tables(
    paths: list[Path], frames: int
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    """Give the stamps (N,) and the metres to the next frame (N - 1,) that tables tell together.

    What stands in several is taken from the first.
    """
    stamps, speeds = (
        next((c for p in paths if (c := read_column(p, names, frames)) is not None), None)
        for names in (STAMP_COLUMNS, SPEED_COLUMNS)
    )
    if stamps is None or speeds is None or not (np.diff(stamps) > 0).all():
        return stamps, None
    return stamps, distances_between(stamps, Speed(stamps, speeds))


def _by_name(
    folder: Path | None,
    name: Callable[[int], str],
    read: Callable[[Path], NDArray[np.uint8]],
    missing: int,
) -> LabelReader | None:
    """Read the files of a folder by frame index; a frame without one gets a single value."""
    if folder is None:
        return None

    def read_one(index: int) -> NDArray[np.uint8]:
        path = folder / name(index)
        return read(path) if path.exists() else np.full((1, 1), missing, np.uint8)

    return read_one
