# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measured speed: from the topics of a bag, and as the metres between two images."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sg_depth_ros.bags import BagMessage, BagReader

ODOMETRY = 'nav_msgs/msg/Odometry'
TWIST = 'geometry_msgs/msg/TwistStamped'
FIX = 'sensor_msgs/msg/NavSatFix'
SPEED_TYPES = (ODOMETRY, TWIST, FIX)
"""Message types that tell speed, the best first."""

_EQUATOR_M = 6378137.0
_ECCENTRICITY_2 = 6.69437999014e-3
"""Of the WGS 84 ellipsoid."""

_log = logging.getLogger(__name__)


class Speed(NamedTuple):
    """Speed in m/s (M,) at times in seconds (M,), which increase."""

    times: NDArray[np.float64]
    speeds: NDArray[np.float64]


def distances_between(
    stamps_n: ArrayLike, speed: Speed, longest_gap: float = 1.5
) -> NDArray[np.float64]:
    """Integrate speed, linear between its samples, to metres between stamps: (N - 1,).

    NaN where the samples do not reach, or are further apart than ``longest_gap`` seconds.
    """
    stamps = np.asarray(stamps_n, np.float64)
    measured = np.isfinite(speed.speeds)
    times, speeds = speed.times[measured], speed.speeds[measured]
    if len(times) < 2:
        return np.full(max(len(stamps) - 1, 0), np.nan)
    steps = np.diff(times)
    travelled = np.concatenate([[0], np.cumsum(steps * (speeds[1:] + speeds[:-1]) / 2)])
    index = np.clip(np.searchsorted(times, stamps, 'right') - 1, 0, len(times) - 2)
    since = stamps - times[index]
    slope = np.diff(speeds)[index] / steps[index]
    at = travelled[index] + since * (speeds[index] + slope * since / 2)
    at[(stamps < times[0]) | (stamps > times[-1])] = np.nan
    moved = np.abs(np.diff(at))
    lost = np.concatenate([[0], np.cumsum(steps > longest_gap)])
    # A gap counts for every interval that it touches, even from within.
    touched = lost[np.minimum(index[1:] + 1, len(times) - 1)] - lost[index[:-1]]
    moved[touched > 0] = np.nan
    return moved


def speed_topic(bag: BagReader, topic: str | None = None) -> str | None:
    """Give ``topic`` if it tells speed, or the bag's only topic of the best type, or None.

    :raises ValueError: when the topic is not there or of no use, or several could be meant
    """
    if topic is not None:
        found = bag.topics.get(topic)
        if found is None or found.msgtype not in SPEED_TYPES:
            what = 'is not there' if found is None else f'holds {found.msgtype}'
            raise ValueError(
                f'{bag.path}: {topic} {what}, expected a topic of {", ".join(SPEED_TYPES)}'
            )
        return topic
    for msgtype in SPEED_TYPES:
        topics = bag.topics_of(msgtype)
        if len(topics) > 1:
            raise ValueError(
                f'{bag.path} has several topics of {msgtype}: {", ".join(topics)}; name the one '
                'that tells speed as speed_topic, or set use_speed to false'
            )
        if topics:
            return topics[0]
    return None


def read_speed(bag: BagReader, topic: str, *, recorded: bool = False) -> Speed:
    """Read the speed that a topic of one of :data:`SPEED_TYPES` tells.

    Odometry gives the norm of its twist, or the change of its pose where the twist stays zero.

    :param recorded: take times of recording, for images whose own stamps are of no use
    """
    messages = list(bag.messages([topic]))
    kind = bag.topics[topic].msgtype
    if kind == FIX:
        messages = [item for item in messages if _is_fix(item.message)]
    times = np.array([m.recorded_ns if recorded else m.stamp_ns for m in messages]) / 1e9
    if len(times) == 0:
        return Speed(np.empty(0), np.empty(0))
    order = np.unique(times, return_index=True)[1]
    times, messages = times[order], [messages[i] for i in order]
    if kind == FIX:
        return _of_positions(times, _local_metres(messages))
    if kind == TWIST:
        return Speed(times, np.array([_norm(item.message.twist.linear) for item in messages]))
    speeds = np.array([_norm(item.message.twist.twist.linear) for item in messages])
    positions = np.array([_xyz(item.message.pose.pose.position) for item in messages])
    if not speeds.any() and np.ptp(positions, axis=0).any():
        _log.info('%s tells no twist: its positions are differentiated', topic)
        return _of_positions(times, positions)
    return Speed(times, speeds)


def _is_fix(fix: Any) -> bool:
    """Tell whether there is a position; a status below zero, or NaN, says that there is none."""
    return fix.status.status >= 0 and bool(np.isfinite([fix.latitude, fix.longitude]).all())


def _of_positions(times: NDArray[np.float64], positions_m3: NDArray[np.float64]) -> Speed:
    """Differentiate: each speed stands at the middle between two positions."""
    if len(times) < 2:
        return Speed(np.empty(0), np.empty(0))
    speeds = np.linalg.norm(np.diff(positions_m3, axis=0), axis=1) / np.diff(times)
    middles = (times[1:] + times[:-1]) / 2
    # The ends are held, or a drive would lose its first and last second.
    return Speed(
        np.concatenate([times[:1], middles, times[-1:]]),
        np.concatenate([speeds[:1], speeds, speeds[-1:]]),
    )


def _local_metres(fixes: list[BagMessage]) -> NDArray[np.float64]:
    """Give positions (M, 3) in metres east, north and zero; altitude is too rough for speed."""
    degrees = np.array([(f.message.latitude, f.message.longitude) for f in fixes])
    latitude, longitude = np.radians(degrees).T
    root = 1 - _ECCENTRICITY_2 * np.sin(latitude[0]) ** 2
    meridian = _EQUATOR_M * (1 - _ECCENTRICITY_2) / root**1.5
    parallel = _EQUATOR_M / np.sqrt(root) * np.cos(latitude[0])
    # From -pi to pi, so that a drive over the date line does not go around the earth.
    east = (longitude - longitude[0] + np.pi) % (2 * np.pi) - np.pi
    north = latitude - latitude[0]
    return np.stack([parallel * east, meridian * north, np.zeros(len(fixes))], 1)


def _norm(vector: Any) -> float:
    return float(np.linalg.norm(_xyz(vector)))


def _xyz(vector: Any) -> tuple[float, float, float]:
    return vector.x, vector.y, vector.z
