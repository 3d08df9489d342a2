# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The whole way on one machine: a street with known depth, a bag, the node, and its errors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.bags import BagReader
from sg_depth_ros.bags.writer import remove_bag
from sg_depth_ros.demos.truth import ERRORS, FPS, SIZE, counted, measure, write_errors
from sg_depth_ros.evaluation.metrics import DepthErrors
from sg_depth_ros.files import prepare_folder
from sg_depth_ros.replay.pictures import Progress, ReplayedFrame
from sg_depth_ros.replay.player import ReplayOptions
from sg_depth_ros.replay.report import WRITTEN, replay_into
from sg_depth_ros.synthetic import StreetFrame, drive, street_camera, write_bag


@dataclass
class _Truth:
    """Exact depth of each frame, in the order in which the bag got them."""

    depths: list[NDArray[np.float32]] = field(default_factory=list)
    errors: list[DepthErrors] = field(default_factory=list)
    index: dict[int, int] = field(default_factory=dict)

    def keep(self, frames: Iterable[StreetFrame]) -> Iterator[StreetFrame]:
        """Pass frames on and keep their depth."""
        for frame in frames:
            self.depths.append(frame.depth)
            yield frame

    def compare(self, frame: ReplayedFrame) -> None:
        """Measure what the node made of a frame; labels it calls sky count as far away."""
        self.errors.append(measure(self.depths[self.index[frame.stamp_ns]], frame.depth))


def run_demo(
    out: Path,
    bundle: str,
    engine: str,
    frames: int,
    seed: int,
    progress: Progress = lambda done, total, note: None,
) -> tuple[dict[str, Any], dict[str, float]]:
    """Write a drive as ``out/bag``, replay it, and compare depth with the truth of the street.

    Leaves what :func:`replay_into` writes, and ``errors.json``.

    :return: the summary of the replay, and mean errors over the frames that came back, each
        scaled by its median.
    :raises BagError: and others, see :func:`replay_into`; when ``out/bag`` is no demo's.
    """
    bag = out / 'bag'
    prepare_folder(out, (*WRITTEN, ERRORS))
    remove_bag(bag)
    truth = _Truth()
    drawn = truth.keep(drive(street_camera(*SIZE), frames, seed, fps=FPS))
    write_bag(bag, counted(drawn, frames, progress))
    with BagReader(bag) as reader:
        topic = reader.choose_image_topic()
        stamps = [item.stamp_ns for item in reader.messages([topic])]
    truth.index = {stamp: i for i, stamp in enumerate(stamps)}
    options = ReplayOptions(bundle, engine)
    summary = replay_into(bag, out, options, progress=progress, inspect=truth.compare)
    return summary, write_errors(out, truth.errors)
