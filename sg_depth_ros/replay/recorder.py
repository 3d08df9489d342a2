# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The bag that a replay leaves: outputs of the node, and on request what was played."""

from __future__ import annotations

from collections.abc import Collection

from sg_depth_ros.bags import BagWriter
from sg_depth_ros.replay.colored_cloud import CLOUD, with_rerun_colors
from sg_depth_ros.replay.inputs import Played
from sg_depth_ros.replay.topics import LATCHED, type_name


class Recorder:
    """Writes what a replay hears and plays, in the time of the bag that is played."""

    def __init__(self, bag: BagWriter, topics: Collection[str], inputs: bool) -> None:
        """Keep outputs on some topics.

        :param inputs: whether to keep what is played too
        """
        self.topics = frozenset(topics)
        self._bag, self._inputs = bag, inputs
        self._latched: dict[str, bytes] = {}

    def hear(self, topic: str, raw: bytes, bag_time: int) -> None:
        """Keep an output that came at a moment of the bag, in nanoseconds."""
        if topic not in self.topics:
            return
        if topic in LATCHED:
            self._latched[topic] = raw  # it came before the bag began: to its head
            return
        kind = type_name(topic)
        self._bag.write_raw(
            topic, kind, with_rerun_colors(raw) if kind == CLOUD else raw, bag_time
        )

    def play(self, item: Played) -> None:
        """Keep a message of the bag, if asked to."""
        for topic, raw in self._latched.items():
            self._bag.write_raw(topic, type_name(topic), raw, item.recorded_ns, latched=True)
        self._latched.clear()
        if self._inputs:
            self._bag.write_raw(item.topic, item.msgtype, item.raw, item.recorded_ns)
