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
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.bundle.labels import ids_with
from sg_depth_ros.estimator import Estimator, Prediction
from sg_depth_ros.files import WrittenFiles, atomic_path
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.images.decoding import decode_compressed
from sg_depth_ros.images.files import depth_to_png, write_image
from sg_depth_ros.images.ply import write_ply
from sg_depth_ros.images.video import VIDEO_SUFFIXES, VideoReader, VideoWriter
from sg_depth_ros.images.visualise import colorize_depth, depth_legend, depth_range, side_by_side

Format = Literal['png16', 'npy', 'ply']
Progress = Callable[[int, int], None]
"""Called with how many images are done and how many there are (0 = not known)."""

IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp', '.ppm', '.pgm')
RANGE_FRAMES = 8
"""Colours get their range from the first images and keep it, so that they do not flicker."""

logger = logging.getLogger(__name__)

Named = tuple[str, NDArray[np.uint8]]


@dataclass
class PredictReport:
    """What was done: ``written`` images; ``skipped`` names the broken ones and why."""

    written: int = 0
    skipped: list[str] = field(default_factory=list)
    interrupted: bool = False


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
    ``depth.mp4`` of a video. What an earlier call wrote into ``out`` is removed first.

    :param path: an image, a folder of images, or a video.
    :param camera: intrinsics; depth is then corrected for the focal length. An image of another
        size but the same shape is taken to be resized.
    :raises ValueError: when there is nothing to read, ``ply`` lacks a camera, or all is broken.
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
            video = stack.enter_context(VideoWriter(out / 'depth.mp4', source.fps))
            written.add(out / 'depth.mp4')
        stack.enter_context(_noting_interruption(report))
        for name, prediction in chain(first, predictions):
            written.add(write_depth(out / 'depth' / name, prediction, output))
            colored = colorize_depth(prediction.depth, near, far)
            write_image(out / 'color' / f'{name}.png', colored)
            written.add(out / 'color' / f'{name}.png')
            if video is not None:
                both = side_by_side([prediction.image, colored], ['image', 'depth'])
                unit = 'm' if estimator.bundle.manifest.depth.scale == 'metric' else ''
                legend = depth_legend(near, far, both.shape[1], unit)
                video.write(np.concatenate([both, legend]))
            report.written += 1
            progress(report.written + len(report.skipped), source.total)
    if report.interrupted:
        of_all = f' of {source.total}' if source.total else ''
        raise KeyboardInterrupt(f'{report.written}{of_all} images are written to {out}')
    return report


@contextmanager
def _noting_interruption(report: PredictReport) -> Iterator[None]:
    """End a block on Ctrl-C as if all were done, so that a video gets its end."""
    try:
        yield
    except KeyboardInterrupt:
        report.interrupted = True


def write_depth(stem: Path, prediction: Prediction, output: Format) -> Path:
    """Write depth, where +inf is sky, as ``stem`` plus the format's suffix; give the path."""
    depth_hw = prediction.depth
    target = stem.with_name(f'{stem.name}.{"png" if output == "png16" else output}')
    if output == 'png16':
        write_image(target, depth_to_png(depth_hw))
    elif output == 'npy':
        with atomic_path(target) as temporary:
            np.save(temporary, depth_hw)
    else:
        near = replace(prediction, depth=np.where(np.isfinite(depth_hw), depth_hw, np.nan))
        points = near.points().reshape(-1, 3)
        write_ply(target, points, near.image.reshape(-1, 3), near.labels.reshape(-1))
    return target


@dataclass
class _Source:
    """Named images in order; ``fps`` is None where they are no video."""

    images: Iterator[Named]
    total: int
    fps: float | None = None


def _open(path: Path, report: PredictReport) -> _Source:
    if not path.exists():
        raise ValueError(f'{path} does not exist; give an image, a folder of images or a video')
    if path.suffix.lower() in VIDEO_SUFFIXES:
        video = VideoReader(path)
        frames = ((f'{i:06d}', frame) for i, frame in enumerate(video))
        return _Source(frames, video.frames, video.fps)
    paths = [path]
    if path.is_dir():
        paths = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
    elif path.suffix.lower() not in IMAGE_SUFFIXES:
        raise ValueError(
            f'{path} is neither an image ({", ".join(IMAGE_SUFFIXES)}) nor a video '
            f'({", ".join(VIDEO_SUFFIXES)})'
        )
    if not paths:
        raise ValueError(f'{path} holds no images ({", ".join(IMAGE_SUFFIXES)})')
    return _Source(_read(paths, report), len(paths))


def _read(paths: list[Path], report: PredictReport) -> Iterator[Named]:
    # Two files that differ only in their suffix keep it in the names of their results.
    stems = [path.stem for path in paths]
    for path in paths:
        try:
            image = decode_compressed(path.read_bytes())
        except (ValueError, OSError) as error:
            _skip(report, path.name, error)
            continue
        yield (path.stem if stems.count(path.stem) == 1 else path.name), image


def _predictions(
    source: _Source, estimator: Estimator, camera: PinholeCamera | None, report: PredictReport
) -> Iterator[tuple[str, Prediction]]:
    sky_ids = ids_with('sky', labels=estimator.bundle.labels)
    for name, image in source.images:
        try:
            fitted = None if camera is None else fit_camera(camera, *image.shape[1::-1])
        except ValueError as error:
            _skip(report, name, error)
            continue
        prediction = estimator.predict(image, fitted, size='image')
        prediction.depth[np.isin(prediction.labels, sky_ids)] = np.inf
        yield name, prediction


def fit_camera(camera: PinholeCamera, width: int, height: int) -> PinholeCamera:
    """Give the camera of an image that was resized; raises ValueError if its shape is another."""
    if abs(camera.width * height - camera.height * width) > max(camera.width, camera.height):
        raise ValueError(
            f'the image is {width}x{height}, the camera {camera.width}x{camera.height}; '
            'give the intrinsics of these images'
        )
    return camera.resized(width, height)


def _skip(report: PredictReport, name: str, error: Exception) -> None:
    report.skipped.append(f'{name}: {error}')
    logger.warning('skipped %s: %s', name, error)
