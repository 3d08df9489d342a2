# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth of an image, a folder of images or a video, written as files; no ROS."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.bundle.labels import ids_with
from sg_depth_ros.estimator import Estimator, Prediction
from sg_depth_ros.files import WrittenFiles, atomic_path, is_hidden
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.images.files import (
    SUFFIXES,
    depth_to_png,
    image_files,
    read_rgb,
    write_image,
)
from sg_depth_ros.images.ply import write_ply
from sg_depth_ros.images.video import VIDEO_SUFFIXES, VideoReader, VideoWriter
from sg_depth_ros.images.visualise import colorize_depth, depth_legend, depth_range, side_by_side

Format = Literal['png16', 'npy', 'ply']
_SUFFIX: dict[Format, str] = {'png16': 'png', 'npy': 'npy', 'ply': 'ply'}
Progress = Callable[[int, int], None]
"""Called with how many images are done and how many there are (0 = not known)."""

OTHER_SUFFIXES = ('.bmp', '.gif', '.heic', '.pgm', '.ppm', '.tif', '.tiff', '.webp')
"""Images that are not read: their size is not known before they are decoded."""
_CONVERT = 'only JPEG and PNG are read; convert it to PNG'
RANGE_FRAMES = 8
"""Colours get their range from the first images and keep it, so that they do not flicker."""

logger = logging.getLogger(__name__)


class _Image(NamedTuple):
    """A name, (H, W, 3) uint8 RGB, and of a video's frame when it is shown, in seconds."""

    name: str
    rgb: NDArray[np.uint8]
    seconds: float | None = None


@dataclass
class PredictReport:
    """What was done: ``written`` images; ``skipped`` names what was broken and why.

    ``notes`` says of what was written what has to be known.
    """

    written: int = 0
    skipped: list[str] = field(default_factory=list)
    interrupted: bool = False
    notes: list[str] = field(default_factory=list)


def predict_path(
    path: str | Path,
    out: str | Path,
    estimator: Estimator,
    camera: PinholeCamera | None = None,
    output: Format = 'png16',
    progress: Progress = lambda done, total: None,
) -> PredictReport:
    """Predict depth for every image of ``path`` at the image's own size.

    Writes ``depth/NAME.png`` (16 bits, depth * 256, 0 = none), ``.npy`` (float32, +inf = sky,
    NaN = unknown) or ``.ply`` (points with colours and labels), ``color/NAME.png``, and
    ``depth.mp4`` of a video, with its times. Images are JPEG or PNG; they and videos are taken
    upright, as EXIF and the like say and every viewer shows them. What an earlier call wrote into
    ``out`` is removed first.

    :param path: an image, a folder of images, or a video.
    :param camera: intrinsics of the upright image; depth is then corrected for the focal length.
        An image of another size but the same shape is taken to be resized.
    :raises ValueError: when there is nothing to read, ``ply`` lacks a camera, or all is broken, or
        a file of somebody else lies where a result goes.
    :raises KeyboardInterrupt: when interrupted; its text says how much is written.
    """
    path, out = Path(path), Path(out)
    if output == 'ply' and camera is None:
        raise ValueError('points need intrinsics; give --camera camera.json with --format ply')
    report = PredictReport()
    source = _open(path, report)
    for results in (out / 'depth', out / 'color', out / 'depth.mp4'):
        if path.resolve().is_relative_to(results.resolve()):
            raise ValueError(f'{path} lies where the results go; choose another folder for them')
    written = WrittenFiles(out)
    predictions = _predictions(source, estimator, camera, report)
    # Colours need a range before the first picture is drawn.
    first = list(islice(predictions, RANGE_FRAMES))
    if not first:
        reasons = '; '.join(report.skipped[:3])
        raise ValueError(f'{path} has no image that can be used: {reasons}')
    try:
        near, far = depth_range(p.depth for _, p in first)
    except ValueError:  # sky alone has no range
        near, far = 1.0, 2.0
    with ExitStack() as stack:
        video = None
        if source.fps is not None:
            written.claim(out / 'depth.mp4')
            video = stack.enter_context(VideoWriter(out / 'depth.mp4', source.fps))
        stack.enter_context(_noting_interruption(report))
        for image, prediction in chain(first, predictions):
            depth = out / 'depth' / f'{image.name}.{_SUFFIX[output]}'
            color = out / 'color' / f'{image.name}.png'
            written.claim(depth, color)
            write_depth(depth, prediction, output)
            colored = colorize_depth(prediction.depth, near, far)
            write_image(color, colored)
            if video is not None:
                both = side_by_side([prediction.image, colored], ['image', 'depth'])
                unit = 'm' if estimator.bundle.manifest.depth.scale == 'metric' else ''
                legend = depth_legend(near, far, both.shape[1], unit)
                video.write(np.concatenate([both, legend]), image.seconds)
            report.written += 1
            progress(report.written + len(report.skipped), source.total)
    if report.interrupted:
        of_all = f' of {source.total}' if source.total else ''
        raise KeyboardInterrupt(f'{report.written}{of_all} images are written to {out}')
    if camera is None:
        focal = estimator.bundle.manifest.depth.training_focal_length
        width = estimator.bundle.manifest.input.width
        report.notes.append(
            f'no --camera: depth is that of a camera whose focal length is {focal / width:.3g} '
            'times the width of the image; with another it is wrong by a factor'
        )
    return report


@contextmanager
def _noting_interruption(report: PredictReport) -> Iterator[None]:
    """End a block on Ctrl-C as if all were done, so that a video gets its end."""
    try:
        yield
    except KeyboardInterrupt:
        report.interrupted = True


def write_depth(target: Path, prediction: Prediction, output: Format) -> None:
    """Write depth, where +inf is sky."""
    depth_hw = prediction.depth
    if output == 'png16':
        write_image(target, depth_to_png(depth_hw))
    elif output == 'npy':
        with atomic_path(target) as temporary:
            np.save(temporary, depth_hw)
    else:
        near = replace(prediction, depth=np.where(np.isfinite(depth_hw), depth_hw, np.nan))
        points = near.points().reshape(-1, 3)
        write_ply(target, points, near.image.reshape(-1, 3), near.labels.reshape(-1))


@dataclass
class _Source:
    """Images in order; ``fps`` is None where they are no video."""

    images: Iterator[_Image]
    total: int
    fps: float | None = None


def _open(path: Path, report: PredictReport) -> _Source:
    if not path.exists():
        raise ValueError(f'{path} does not exist; give an image, a folder of images or a video')
    if path.suffix.lower() in VIDEO_SUFFIXES:
        video = VideoReader(path)
        return _Source(_read_video(video, report), video.frames, video.fps)
    if path.is_dir():
        paths = image_files(path)
        others = [p for p in sorted(path.iterdir()) if p.suffix.lower() in OTHER_SUFFIXES]
        for other in others:
            if not is_hidden(other):
                _skip(report, other.name, ValueError(_CONVERT))
    elif path.suffix.lower() in SUFFIXES:
        paths = [path]
    elif path.suffix.lower() in OTHER_SUFFIXES:
        raise ValueError(f'{path}: {_CONVERT}')
    else:
        raise ValueError(
            f'{path} is neither an image ({", ".join(SUFFIXES)}) nor a video '
            f'({", ".join(VIDEO_SUFFIXES)})'
        )
    if not paths:
        reasons = ''.join(f'; {reason}' for reason in report.skipped[:3])
        raise ValueError(f'{path} holds no images ({", ".join(SUFFIXES)}){reasons}')
    return _Source(_read(paths, report), len(paths) + len(report.skipped))


def _read_video(video: VideoReader, report: PredictReport) -> Iterator[_Image]:
    for index, frame in enumerate(video.timed()):
        yield _Image(f'{index:06d}', frame.rgb, frame.seconds)
    if video.fault:
        report.skipped.append(video.fault)


def _read(paths: list[Path], report: PredictReport) -> Iterator[_Image]:
    # Two files that differ only in their suffix keep it in the names of their results.
    stems = [path.stem for path in paths]
    for path in paths:
        try:
            rgb = read_rgb(path)
        except ValueError as error:
            # What is wrong, without the path, which the name says already.
            _skip(report, path.name, error.__cause__ or error)
            continue
        yield _Image(path.stem if stems.count(path.stem) == 1 else path.name, rgb)


def _predictions(
    source: _Source, estimator: Estimator, camera: PinholeCamera | None, report: PredictReport
) -> Iterator[tuple[_Image, Prediction]]:
    sky_ids = ids_with('sky', labels=estimator.bundle.labels)
    for image in source.images:
        try:
            fitted = None if camera is None else fit_camera(camera, *image.rgb.shape[1::-1])
        except ValueError as error:
            _skip(report, image.name, error)
            continue
        prediction = estimator.predict(image.rgb, fitted, size='image')
        prediction.depth[np.isin(prediction.labels, sky_ids)] = np.inf
        yield image, prediction


def fit_camera(camera: PinholeCamera, width: int, height: int) -> PinholeCamera:
    """Give the camera of an image that was resized; raises ValueError if its shape is another."""
    if abs(camera.width * height - camera.height * width) > max(camera.width, camera.height):
        raise ValueError(
            f'the image is {width}x{height}, the camera {camera.width}x{camera.height}; '
            'give the intrinsics of these images'
        )
    return camera.resized(width, height)


def _skip(report: PredictReport, name: str, error: BaseException) -> None:
    report.skipped.append(f'{name}: {error}')
    logger.warning('skipped %s: %s', name, error)
