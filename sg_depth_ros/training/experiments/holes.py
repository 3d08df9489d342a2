# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What on a street came out as a hole, by its truth: the measure of two-stage training."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.evaluation.frames import Frame
from sg_depth_ros.evaluation.pictures import jpeg, sheet
from sg_depth_ros.files import atomic_path
from sg_depth_ros.images.resize import resize_image
from sg_depth_ros.images.visualise import Rgb, colorize_depth, depth_range
from sg_depth_ros.training.data.sources import StreetSource, short_name
from sg_depth_ros.training.experiments.judging import CheckpointModel

HOLE = 4.0
"""Times too far from which on what moves is a hole. The lower end of a vehicle, a third of a metre
up, hides the road 1.3 times as far away, and the filter asks for about three times of that."""
SOUND = 2.0
"""Times too far up to which it is none; in between an image may well be dropped or kept."""
_FEW = 10


def too_far(
    checkpoint: Path, streets: Sequence[StreetSource], names: Collection[str]
) -> dict[str, tuple[float, Frame]]:
    """Give how many times too far the worst moving thing of each frame is, 0 without any.

    :param names: of the frames to look at
    """
    model = CheckpointModel(checkpoint)
    found = {}
    for street in streets:
        for clip, folder in enumerate(street.folders()):
            for index, seen in enumerate(street.drive(clip)):
                name = f'{short_name(folder)}:{index}'
                if name in names:
                    frame = Frame(name, seen.image, seen.depth, seen.camera, seen.labels)
                    times = model.predict(frame).depth / seen.depth
                    found[name] = worst_thing(times, seen.moving), frame
    return found


def worst_thing(times_hw: NDArray[np.float32], moving_hw: NDArray[np.bool_]) -> float:
    """Give the largest median over what moves and hangs together, of more than a few pixels."""
    count, things_hw = cv2.connectedComponents(moving_hw.astype(np.uint8))
    things = [times_hw[things_hw == thing] for thing in range(1, count)]
    return max((float(np.median(t)) for t in things if t.size > _FEW), default=0.0)


def worst_of_each_clip(found: Mapping[str, tuple[float, Frame]]) -> list[Frame]:
    """Give one frame a clip, those with the deepest holes first."""
    clips: dict[str, Frame] = {}
    for name, (_, frame) in sorted(found.items(), key=lambda item: item[1][0], reverse=True):
        clips.setdefault(name.rpartition(':')[0], frame)
    return [*clips.values()]


def write_picture(
    frames: Sequence[Frame], checkpoints: Sequence[Path], titles: Sequence[str], path: Path
) -> None:
    """Show frames side by side, each over the depth of the checkpoints and the true one."""
    models = [CheckpointModel(checkpoint) for checkpoint in checkpoints]
    columns: list[dict[str, Rgb]] = []
    for frame in frames:
        height, width = frame.truth.shape
        depths = [*(model.predict(frame).depth for model in models), frame.truth]
        span = depth_range([frame.truth])
        pictures = [frame.image, *(colorize_depth(depth, *span) for depth in depths)]
        # Twice as large, so that the titles can be read.
        large = [resize_image(picture, 2 * width, 2 * height) for picture in pictures]
        columns.append(dict(zip(['image', *titles, 'truth'], large, strict=True)))
    with atomic_path(path) as temporary:
        temporary.write_bytes(jpeg(sheet(columns)))
