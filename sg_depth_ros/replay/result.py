# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What came of a replay, and what became of the frames that did not come back."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from sg_depth_ros.replay.inputs import Inputs

LOST_IN_NODE = {
    'bad': 'could not be decoded',
    'failed': 'failed in the node, as its log tells',
    'withheld': 'withheld by the node, as its log tells',
    'dropped busy': 'dropped, since a newer one came while the node was busy',
    'dropped loading': 'dropped, since the networks were not loaded',
    'unwanted': 'dropped, since nobody listened',
}
"""The node's own counts of frames that it publishes no depth of, by their names in diagnostics."""


@dataclass
class Replayed:
    """What came of a replay. Times are nanoseconds; frames are known by their stamps.

    :ivar inputs: what was played
    :ivar frames_in: images that were sent
    :ivar answered: stamps of those whose depth came back
    :ivar labelled: stamps of those whose labels came back
    :ivar withheld: what kept the node from knowing the scale, by the stamps of such images
    :ivar received: messages by topic
    :ivar scales: stamp and metres per unit, of the frames that had a scale
    :ivar status: the node's own diagnostics, as last heard
    :ivar bad_example: why one of the images could not be decoded
    :ivar interrupted: whether Ctrl-C or another signal ended it early
    """

    inputs: Inputs
    frames_in: int = 0
    answered: set[int] = field(default_factory=set)
    labelled: set[int] = field(default_factory=set)
    withheld: dict[int, str] = field(default_factory=dict)
    received: Counter[str] = field(default_factory=Counter)
    latencies_ns: list[int] = field(default_factory=list)
    depth_times_ns: list[int] = field(default_factory=list)
    header_errors: list[str] = field(default_factory=list)
    last_cloud: bytes | None = None
    scales: list[tuple[int, float]] = field(default_factory=list)
    status: dict[str, str] = field(default_factory=dict)
    bad_example: str = ''
    interrupted: bool = False

    @property
    def frames_out(self) -> int:
        """Images that came back as depth."""
        return len(self.answered)

    @property
    def fps(self) -> float:
        """Depth images in a second between the first and the last."""
        times = self.depth_times_ns
        return (len(times) - 1) * 1e9 / (times[-1] - times[0]) if len(times) > 1 else 0.0

    @property
    def lost_in_node(self) -> dict[str, int]:
        """Frames that the node took in and publishes no depth of, by the name of the reason."""
        counts = {name: int(self.status.get(name, 0)) for name in LOST_IN_NODE}
        return {name: count for name, count in counts.items() if count}

    @property
    def node_is_done(self) -> bool:
        """Whether the node says that it has taken in all that was sent, and works on nothing."""
        received, published = (int(self.status.get(n, 0)) for n in ('received', 'published'))
        done = published + sum(self.lost_in_node.values())
        return self.frames_in <= received <= done

    @property
    def lost(self) -> dict[str, int]:
        """All images of the bag that have no depth, counted by the reason, in words.

        What the node counts, it counts once a second: the last frames may not be among it.
        """
        inputs, reasons = self.inputs, Counter[str]()
        reasons['broken messages in the bag'] = inputs.broken
        reasons['recorded at another time than all others'] = inputs.left_out
        reasons['not played any more'] = inputs.total - inputs.left_out - self.frames_in
        missing = self.frames_in - self.frames_out
        waiting = [p for stamp, p in self.withheld.items() if stamp not in self.answered]
        for problem, _ in Counter(waiting).most_common(1):
            reasons[f'withheld, since the scale was not known: {problem}'] = len(waiting)
            missing -= len(waiting)
        for name, count in self.lost_in_node.items():
            example = f' ({self.bad_example})' if name == 'bad' and self.bad_example else ''
            reasons[LOST_IN_NODE[name] + example] = min(count, missing)
            missing -= min(count, missing)
        unheard = self.frames_in - int(self.status.get('received', self.frames_in))
        unheard = max(0, min(unheard, missing))
        reasons['not taken in by the node: a newer one came first, or DDS lost them'] = unheard
        reasons['taken in, but no depth came back in time'] = missing - unheard
        return {reason: count for reason, count in reasons.items() if count}
