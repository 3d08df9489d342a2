# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a replay notes of each frame that goes out and of each output that comes back."""

from __future__ import annotations

import time

from sg_depth_ros.bags.messages import typestore
from sg_depth_ros.replay.inputs import Played, read_header
from sg_depth_ros.replay.recorder import Recorder
from sg_depth_ros.replay.result import Replayed
from sg_depth_ros.replay.topics import DEPTH, DIAGNOSTICS, LABELS, LATCHED, POINTS, SCALE

ERROR_LEVEL = 2
DIAGNOSTIC_ARRAY = 'diagnostic_msgs/msg/DiagnosticArray'


class Account:
    """Matches outputs with the frames they were made from; fills the result and the record.

    :param rate: of the replay, in seconds of the bag per second
    """

    def __init__(self, result: Replayed, recorder: Recorder, rate: float) -> None:
        self._result, self._recorder, self._rate = result, recorder, rate
        self._pending: dict[tuple[int, str], int] = {}
        """When the frames were sent that have not come back."""
        self._keys: set[tuple[int, str]] = set()
        self._last_key: tuple[int, str] | None = None
        self._latest: dict[str, tuple[int, str]] = {}
        self._last_sent = self._last_recorded = 0

    @property
    def answered(self) -> bool:
        """Whether the frame sent last has come back, or never will."""
        return self._last_key not in self._pending

    @property
    def level(self) -> bool:
        """Whether the outputs heard last are all of one frame."""
        return len(set(self._latest.values())) <= 1

    def give_up(self) -> None:
        """Wait no more for frames that have not come back."""
        self._pending.clear()

    def send(self, item: Played) -> None:
        """Note a message that is being sent."""
        self._last_sent, self._last_recorded = time.monotonic_ns(), item.recorded_ns
        if item.key is not None:
            self._keys.add(item.key)
            self._last_key = item.key
            self._pending[item.key] = self._last_sent
            self._result.frames_in += 1

    def hear(self, topic: str, raw: bytes) -> None:
        """Note an output of the node."""
        now = time.monotonic_ns()
        if topic == DIAGNOSTICS:
            self._read_diagnostics(raw)
        # The time of the bag goes on between its messages, at the rate of the replay.
        bag_time = self._last_recorded + int((now - self._last_sent) * self._rate)
        if self._keys or topic in LATCHED:
            self._recorder.hear(topic, raw, bag_time)
        if not self._keys or topic in LATCHED:
            return  # what comes before the first frame is not of this replay
        result = self._result
        result.received[topic] += 1
        if topic == DIAGNOSTICS:
            return
        key = read_header(raw)
        if topic == SCALE:
            self._read_scale(key, raw)
            return
        self._latest[topic] = key
        if key not in self._keys:
            result.header_errors.append(f'{topic}: {key[0]} ns in {key[1]!r} is no input')
        elif topic == POINTS:
            result.last_cloud = raw
        elif topic == LABELS:
            result.labelled.add(key[0])
        elif topic == DEPTH:
            result.answered.add(key[0])
            result.depth_times_ns.append(now)
            if (sent := self._pending.pop(key, None)) is not None:
                result.latencies_ns.append(now - sent)

    def _read_scale(self, key: tuple[int, str], raw: bytes) -> None:
        (status,) = typestore().deserialize_cdr(raw, DIAGNOSTIC_ARRAY).status
        values = {pair.key: pair.value for pair in status.values}
        if values['state'] in ('waiting', 'lost'):  # no depth will come
            self._result.withheld[key[0]] = status.message.partition(': ')[2] or status.message
            self._pending.pop(key, None)
        elif values['state'] != 'off':
            self._result.scales.append((key[0], float(values['factor'])))

    def _read_diagnostics(self, raw: bytes) -> None:
        """Keep what the node says about itself."""
        for status in typestore().deserialize_cdr(raw, DIAGNOSTIC_ARRAY).status:
            values = {pair.key: pair.value for pair in status.values}
            level = 'ERROR' if status.level == ERROR_LEVEL else ''
            self._result.status = {**values, 'level': level, 'message': status.message}
