# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a replay leaves for people: numbers, a video, pictures and the last cloud."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.bags import BagError, BagReader, point_cloud_array
from sg_depth_ros.bags.messages import typestore
from sg_depth_ros.bundle import Bundle, load_bundle
from sg_depth_ros.files import atomic_path, prepare_folder
from sg_depth_ros.images.files import write_image
from sg_depth_ros.images.ply import write_ply
from sg_depth_ros.images.visualise import line_chart, render_points
from sg_depth_ros.replay.node_process import NodeError, warnings_in
from sg_depth_ros.replay.pictures import ReplayedFrame, write_pictures
from sg_depth_ros.replay.player import Progress, ReplayOptions, replay
from sg_depth_ros.replay.result import Replayed
from sg_depth_ros.replay.topics import DEPTH, LABELS, OUTPUTS, RECORDED

Inspect = Callable[[ReplayedFrame], None]


WRITTEN = ('summary.json', 'scale.png', 'cloud.ply', 'cloud.png', 'depth.mp4', 'depth.png')
"""What :func:`replay_into` may write beside the node's log."""


def replay_into(
    bag: Path,
    out: Path,
    options: ReplayOptions,
    record: Path | None = None,
    progress: Progress = lambda done, total, note: None,
    inspect: Inspect = lambda frame: None,
    record_inputs: bool = False,
) -> dict[str, Any]:
    """Replay a bag and write all that this module can write into ``out``; give the summary.

    What an earlier replay wrote there is removed first.

    :param record: keeps all outputs as a new bag; without it only what the pictures need is
        stored, for the time of the call.
    :param record_inputs: keeps in it also what is played, and the transforms.
    :param inspect: is shown every frame that came back.
    :raises BagError: see :func:`sg_depth_ros.replay.player.replay`; so for the other errors.
    :raises BundleError: when the bundle is missing or damaged.
    :raises NodeError: when no depth came back, or no metres where they were asked for.
    :raises KeyboardInterrupt: when interrupted; its text says what there is of the results.
    """
    bundle = load_bundle(options.bundle)
    prepare_folder(out, WRITTEN)
    with tempfile.TemporaryDirectory(prefix='.replay-', dir=out) as scratch:
        outputs = record or Path(scratch) / 'outputs'
        topics = tuple(OUTPUTS) if record else RECORDED
        kept = record is not None and record_inputs
        replayed = replay(bag, outputs, out / 'node.log', options, topics, progress, kept)
        summary = summarise(bag, bundle, options, replayed)
        if replayed.frames_out:
            said = warnings_in(out / 'node.log')
            summary['notes'] = [*summary['notes'], *(f'the node says: {w}' for w in said)]
        write_summary(out / 'summary.json', summary)
        done = f'{replayed.frames_out} of {summary["frames"]} frames; summary written to {out}'
        if replayed.interrupted:
            raise KeyboardInterrupt(f'{done}, no pictures')
        _check(summary, out / 'node.log')
        try:
            if replayed.scales:
                stamps, factors = np.array(replayed.scales).T
                seconds = (stamps - stamps[0]) * 1e-9
                write_image(out / 'scale.png', line_chart(seconds, factors, 'metres per unit'))
            if replayed.last_cloud:
                write_cloud(out, replayed.last_cloud)
            seen = _inspected(replayed_frames(bag, outputs, replayed), inspect)
            fps = max(replayed.fps, 1.0)
            total = replayed.frames_out
            write_pictures(seen, total, out, bundle, summary['scale'], fps, progress)
        except KeyboardInterrupt as error:
            raise KeyboardInterrupt(f'{done}, not all pictures') from error
    return summary


def _check(summary: dict[str, Any], log: Path) -> None:
    """Refuse a replay that gave nothing of what it was for; raises NodeError."""
    reasons = [f'{count} {reason}' for reason, count in summary['lost'].items()]
    problem = summary['scale_problem']
    if not summary['frames_out']:
        raise NodeError(
            f'no depth came back of {summary["frames"]} frames: '
            f'{problem or "; ".join([*reasons, *summary["notes"]])}; see {log}'
        )
    if problem:
        raise NodeError(f'the scale did not become known: {problem}; see {log}')


def _inspected(frames: Iterator[ReplayedFrame], inspect: Inspect) -> Iterator[ReplayedFrame]:
    for frame in frames:
        inspect(frame)
        yield frame


def summarise(
    bag: Path, bundle: Bundle, options: ReplayOptions, replayed: Replayed
) -> dict[str, Any]:
    """Give the numbers of a replay; latency is from sending an image to having its depth."""
    latency: dict[str, float | None] = dict.fromkeys(('p50', 'p95', 'max'))
    if replayed.latencies_ns:
        values = np.percentile(np.array(replayed.latencies_ns) / 1e6, [50, 95, 100])
        latency = {k: round(float(v), 2) for k, v in zip(latency, values, strict=True)}
    lost = replayed.lost
    return {
        'bag': str(bag),
        'image_topic': replayed.inputs.topic,
        'info_topic': replayed.inputs.info_topic,
        'bundle': bundle.manifest.name,
        'bundle_digest': bundle.digest,
        'engine': replayed.status.get('engine'),
        'device': replayed.status.get('device'),
        'rate': options.rate,
        'frames': replayed.frames_out + sum(lost.values()),
        'frames_in': replayed.frames_in,
        'frames_out': replayed.frames_out,
        'dropped': replayed.frames_in - replayed.frames_out,
        'lost': lost,
        'notes': replayed.inputs.notes,
        'interrupted': replayed.interrupted,
        'fps': round(replayed.fps, 2),
        'latency_ms': latency,
        'header_errors': len(replayed.header_errors),
        'scale_over_time': scale_figures(replayed.scales),
        # Diagnostics come once a second: after a short bag they may be of the time before.
        'scale': 'metric' if replayed.scales else bundle.manifest.depth.scale,
        'scale_problem': _scale_problem(options, replayed),
        'messages': dict(sorted(replayed.received.items())),
    }


def _scale_problem(options: ReplayOptions, replayed: Replayed) -> str:
    """Say why there are no metres although they were asked for; empty if there are."""
    if options.choice.scale_mode == 'none' or replayed.scales:
        return ''
    return next(reversed(replayed.withheld.values()), 'no frame came back')


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


def replayed_frames(bag: str | Path, record: Path, replayed: Replayed) -> Iterator[ReplayedFrame]:
    """Yield the frames that came back, in the order of the bag; the others are left out.

    Outputs may have been recorded in another order than that of their images: those of images
    that are still to come wait.
    """
    inputs = replayed.inputs
    with BagReader(bag) as images, BagReader(record) as outputs:
        topics = [topic for topic in (DEPTH, LABELS) if topic in outputs.topics]
        recorded = outputs.messages(topics)
        found: dict[tuple[str, int], Any] = {}
        messages = images.messages([inputs.topic])
        for item, stamp_ns in zip(messages, inputs.times.times, strict=False):
            if stamp_ns not in replayed.answered:
                continue
            wanted = {(DEPTH, stamp_ns)}
            if stamp_ns in replayed.labelled:
                wanted.add((LABELS, stamp_ns))
            while not wanted <= found.keys():
                output = next(recorded)
                found.setdefault((output.topic, output.stamp_ns), output.message)
            depth, labels = (found.pop((topic, stamp_ns), None) for topic in (DEPTH, LABELS))
            try:
                rgb = images.decode(item)
            except BagError:  # the node knows more encodings, where it has cv_bridge
                continue
            yield ReplayedFrame(
                *(stamp_ns, rgb, image_array(depth)),
                None if labels is None else image_array(labels),
            )


def image_array(message: Any) -> NDArray[Any]:
    """Give a 32FC1, 16UC1 (as metres, 0 is NaN) or mono8 ``Image`` as an (H, W) array."""
    dtype = {'32FC1': np.float32, '16UC1': np.uint16, 'mono8': np.uint8}[message.encoding]
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)
    row_bytes = message.width * np.dtype(dtype).itemsize
    array = np.ascontiguousarray(rows[:, :row_bytes]).view(dtype)
    if message.encoding == '16UC1':
        return np.where(array > 0, array / np.float32(1000), np.float32(np.nan))
    return array


def write_cloud(out: Path, raw: bytes) -> int:
    """Write a serialised ``PointCloud2`` as ``cloud.ply`` and ``cloud.png``; give its points."""
    points = point_cloud_array(typestore().deserialize_cdr(raw, 'sensor_msgs/msg/PointCloud2'))
    xyz = np.stack([points[axis] for axis in 'xyz'], 1)
    packed = np.ascontiguousarray(points['rgb']).view(np.uint32)
    rgb = np.stack([packed >> 16 & 255, packed >> 8 & 255, packed & 255], 1).astype(np.uint8)
    write_image(out / 'cloud.png', render_points(xyz, rgb))
    return write_ply(out / 'cloud.ply', xyz, rgb, points['label'])
