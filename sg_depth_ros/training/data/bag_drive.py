# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A drive out of a bag: its images in the order of their stamps, camera and speed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.bags import BagError, BagMessage, BagReader
from sg_depth_ros.bags.reader import COMPRESSED_IMAGE
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.training.data.frames import SpooledFrames, encode_jpeg
from sg_depth_ros.training.data.speed import distances_between, read_speed, speed_topic

_log = logging.getLogger(__name__)


class BagDrive(NamedTuple):
    """What a bag holds for training; see :class:`sequence.Sequence`."""

    frames: SpooledFrames
    stamps: NDArray[np.float64]
    camera: PinholeCamera | None
    moved: NDArray[np.float64] | None
    skipped: tuple[str, ...]


def read_bag_drive(
    path: Path,
    topic: str | None,
    wanted_speed: str | None,
    *,
    use_speed: bool,
    info_topic: str | None = None,
) -> BagDrive:
    """Read images, camera and speed; broken images are named in ``skipped``.

    :param topic: of the images; None for the only one
    :param wanted_speed: topic of the speed; None to find it
    :param info_topic: their camera_info; None to find it
    :raises ValueError: when there is no bag or no image, or a topic is not there
    """
    with BagReader(path) as bag:
        topic = bag.choose_image_topic(topic)
        times: list[tuple[int, int]] = []
        frames = SpooledFrames(_encoded(bag, topic, times))
        if not times:
            raise BagError(f'{path} has no readable image on {topic}; record it again')
        stamps_ns = np.array(times, np.int64)
        # A driver that leaves its stamps empty still has the times of recording.
        stamped = bool((np.diff(np.sort(stamps_ns[:, 0])) > 0).all())
        chosen = stamps_ns[:, 0 if stamped else 1]
        order = np.argsort(chosen, kind='stable')
        frames.reorder(order)
        stamps = chosen[order] / 1e9
        moved = None
        if use_speed and (found := speed_topic(bag, wanted_speed)) is not None:
            moved = distances_between(stamps, read_speed(bag, found, recorded=not stamped))
            known = int(np.isfinite(moved).sum())
            _log.info('%s: %s tells the speed of %d of %d intervals', path, found, known,
                      len(moved))  # fmt: skip
        return BagDrive(
            frames, stamps, bag.camera_info(topic, info_topic), moved, tuple(bag.skipped)
        )


def _encoded(
    bag: BagReader, topic: str, times: list[tuple[int, int]]
) -> Iterator[tuple[bytes, str]]:
    """Yield the readable images compressed, and note when they were taken and recorded."""
    for item in bag.messages([topic]):
        try:
            rgb = bag.decode(item)
        except BagError:
            continue
        times.append((item.stamp_ns, item.recorded_ns))
        yield _compressed(item, rgb)


def _compressed(item: BagMessage, rgb: NDArray[np.uint8]) -> tuple[bytes, str]:
    """Keep what is compressed as it is: a second compression would cost quality."""
    if item.msgtype == COMPRESSED_IMAGE:
        return item.message.data.tobytes(), item.message.format
    return encode_jpeg(rgb), 'jpeg'
