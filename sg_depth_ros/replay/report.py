# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a replay leaves for people: numbers, a video, pictures and the last cloud."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.bags import BagMessage, BagReader, point_cloud_array
from sg_depth_ros.bags.messages import typestore
from sg_depth_ros.bundle import Bundle, load_bundle
from sg_depth_ros.bundle.labels import VOID, palette
from sg_depth_ros.files import atomic_path
from sg_depth_ros.images.files import write_image
from sg_depth_ros.images.ply import write_ply
from sg_depth_ros.images.video import VideoWriter
from sg_depth_ros.images.visualise import (
    colorize_depth,
    colorize_labels,
    depth_legend,
    depth_range,
    line_chart,
    render_points,
    side_by_side,
    strip,
)
from sg_depth_ros.replay.player import (
    DEPTH,
    LABELS,
    OUTPUTS,
    RECORDED,
    Progress,
    Replayed,
    ReplayOptions,
    replay,
)

PICTURE_WIDTH = 960
STRIP_FRAMES = 6
RANGE_FRAMES = 8


@dataclass(frozen=True)
class ReplayedFrame:
    """What belongs to one stamp: ``rgb`` as it was sent, depth and labels as they came back."""

    stamp_ns: int
    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    labels: NDArray[np.uint8] | None


Inspect = Callable[[ReplayedFrame], None]


def replay_into(
    bag: Path,
    out: Path,
    options: ReplayOptions,
    record: Path | None = None,
    progress: Progress = lambda done, total, note: None,
    inspect: Inspect = lambda frame: None,
) -> dict[str, Any]:
    """Replay a bag and write all that this module can write into ``out``; give the summary.

    :param record: keeps all outputs as a new bag; without it only what the pictures need is
        stored, for the time of the call.
    :param inspect: is shown every frame that came back.
    :raises BagError: see :func:`sg_depth_ros.replay.player.replay`; so for the other errors.
    :raises BundleError: when the bundle is missing or damaged.
    """
    bundle = load_bundle(options.bundle)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix='.replay-', dir=out) as scratch:
        outputs = record or Path(scratch) / 'outputs'
        topics = tuple(OUTPUTS) if record else RECORDED
        replayed = replay(bag, outputs, out / 'node.log', options, topics, progress)
        summary = summarise(bag, bundle, options.rate, replayed)
        write_summary(out / 'summary.json', summary)
        if replayed.scales:
            stamps, factors = np.array(replayed.scales).T
            seconds = (stamps - stamps[0]) * 1e-9
            write_image(out / 'scale.png', line_chart(seconds, factors, 'metres per unit'))
        if replayed.last_cloud:
            write_cloud(out, replayed.last_cloud)
        frames = replayed_frames(bag, outputs, replayed.image_topic)
        total = replayed.received[DEPTH]
        seen = _inspected(frames, inspect)
        fps = max(replayed.fps, 1.0)
        write_pictures(seen, total, out, bundle, summary['scale'], fps, progress)
    return summary


def _inspected(frames: Iterator[ReplayedFrame], inspect: Inspect) -> Iterator[ReplayedFrame]:
    for frame in frames:
        inspect(frame)
        yield frame


def summarise(bag: Path, bundle: Bundle, rate: float, replayed: Replayed) -> dict[str, Any]:
    """Give the numbers of a replay; latency is from sending an image to having its depth."""
    frames_out = replayed.received[DEPTH]
    latency: dict[str, float | None] = dict.fromkeys(('p50', 'p95', 'max'))
    if replayed.latencies_ns:
        values = np.percentile(np.array(replayed.latencies_ns) / 1e6, [50, 95, 100])
        latency = {k: round(float(v), 2) for k, v in zip(latency, values, strict=True)}
    return {
        'bag': str(bag),
        'image_topic': replayed.image_topic,
        'bundle': bundle.manifest.name,
        'bundle_digest': bundle.digest,
        'engine': replayed.status.get('engine'),
        'device': replayed.status.get('device'),
        'rate': rate,
        'frames_in': replayed.frames_in,
        'frames_out': frames_out,
        'dropped': replayed.frames_in - frames_out,
        'fps': round(replayed.fps, 2),
        'latency_ms': latency,
        'header_errors': len(replayed.header_errors),
        'scale_over_time': scale_figures(replayed.scales),
        # Diagnostics come once a second: after a short bag they may be of the time before.
        'scale': 'metric' if replayed.scales else bundle.manifest.depth.scale,
        'messages': dict(sorted(replayed.received.items())),
    }


def scale_figures(scales: list[tuple[int, float]]) -> dict[str, float] | None:
    """Give median, least, greatest and relative deviation of a scale over time."""
    if not scales:
        return None
    factors = np.array([factor for _, factor in scales])
    return {
        'frames': len(factors),
        'median': round(float(np.median(factors)), 4),
        'min': round(float(factors.min()), 4),
        'max': round(float(factors.max()), 4),
        'std_over_mean': round(float(factors.std() / factors.mean()), 4),
    }


def write_summary(path: Path, summary: dict[str, Any]) -> None:
    """Write the numbers as JSON."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(summary, indent=2) + '\n')


def replayed_frames(bag: str | Path, record: Path, image_topic: str) -> Iterator[ReplayedFrame]:
    """Yield the frames that came back, in order; those that the node dropped are left out."""
    with BagReader(bag) as inputs, BagReader(record) as outputs:
        topics = [topic for topic in (DEPTH, LABELS) if topic in outputs.topics]
        images = inputs.images(image_topic)
        labels: dict[int, BagMessage] = {}
        depth: BagMessage | None = None
        # Labels come just before or after their depth: with the next depth they are there.
        for item in chain(outputs.messages(topics), [None]):
            if item is not None and item.topic == LABELS:
                labels[item.stamp_ns] = item
                continue
            if depth is not None:
                stamp_ns = depth.stamp_ns
                image = next((image for image in images if image.stamp_ns == stamp_ns), None)
                if image is None:
                    return
                found = labels.pop(stamp_ns, None)
                yield ReplayedFrame(
                    stamp_ns,
                    image.rgb,
                    image_array(depth.message),
                    image_array(found.message) if found else None,
                )
                labels = {later: labels[later] for later in labels if later > stamp_ns}
            depth = item


def image_array(message: Any) -> NDArray[Any]:
    """Give a 32FC1, 16UC1 (as metres, 0 is NaN) or mono8 ``Image`` as an (H, W) array."""
    dtype = {'32FC1': np.float32, '16UC1': np.uint16, 'mono8': np.uint8}[message.encoding]
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)
    row_bytes = message.width * np.dtype(dtype).itemsize
    array = np.ascontiguousarray(rows[:, :row_bytes]).view(dtype)
    if message.encoding == '16UC1':
        return np.where(array > 0, array / np.float32(1000), np.float32(np.nan))
    return array


def write_pictures(
    frames: Iterator[ReplayedFrame],
    total: int,
    out: Path,
    bundle: Bundle,
    scale: str,
    fps: float,
    progress: Progress,
) -> None:
    """Write ``depth.mp4`` (where OpenCV has an encoder) and ``depth.png``, a few frames."""
    first = list(islice(frames, RANGE_FRAMES))
    known = [frame.depth for frame in first if np.isfinite(frame.depth).any()]
    if not known:
        return
    near, far = depth_range(known)
    unit = 'm' if scale == 'metric' else ''
    colors = palette(bundle.labels)
    chosen = set(np.linspace(0, total - 1, min(STRIP_FRAMES, total)).astype(int))
    kept = []
    with VideoWriter(out / 'depth.mp4', fps) as video:
        for i, frame in enumerate(chain(first, frames)):
            height = round(frame.rgb.shape[0] * PICTURE_WIDTH / frame.rgb.shape[1])
            small = cv2.resize(frame.rgb, (PICTURE_WIDTH, height), interpolation=cv2.INTER_AREA)
            labels = np.full((1, 1), VOID, np.uint8) if frame.labels is None else frame.labels
            panels = [
                np.asarray(small, np.uint8),
                colorize_depth(frame.depth, near, far),
                colorize_labels(labels, colors),
            ]
            joined = side_by_side(panels, ['image', 'depth', 'labels'])
            picture = np.concatenate([joined, depth_legend(near, far, joined.shape[1], unit)])
            video.write(picture)
            if i in chosen:
                kept.append(picture)
            progress(i + 1, total, 'drawing')
    write_image(out / 'depth.png', strip(kept))


def write_cloud(out: Path, raw: bytes) -> int:
    """Write a serialised ``PointCloud2`` as ``cloud.ply`` and ``cloud.png``; give its points."""
    points = point_cloud_array(typestore().deserialize_cdr(raw, 'sensor_msgs/msg/PointCloud2'))
    xyz = np.stack([points[axis] for axis in 'xyz'], 1)
    packed = np.ascontiguousarray(points['rgb']).view(np.uint32)
    rgb = np.stack([packed >> 16 & 255, packed >> 8 & 255, packed & 255], 1).astype(np.uint8)
    write_image(out / 'cloud.png', render_points(xyz, rgb))
    return write_ply(out / 'cloud.ply', xyz, rgb, points['label'])
