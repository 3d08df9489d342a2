# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading the sources of a training: what is there, what is left out and why."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection
from collections.abc import Sequence as Sequence_
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.training.data.motion import Selection, select_all, select_targets
from sg_depth_ros.training.data.sequence import Sequence
from sg_depth_ros.training.data.union import DepthSource
from sg_depth_ros.training.progress import track

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Clip:
    """A sequence with how it is used.

    :ivar camera: index of its unknown camera, -1 where the intrinsics are known
    :ivar mask: (H, W) uint8 of the stored size, 0 where the vehicle hides the view; or None
    """

    sequence: Sequence
    source: DepthSource
    camera: int
    mask: NDArray[np.uint8] | None
    selection: Selection

    def box(self, image: NDArray[np.uint8]) -> tuple[int, int, int, int]:
        """Give x, y, width and height of the part that is used of an image (H, W, ...).

        :raises ValueError: if its camera or mask are of another size
        """
        height, width = image.shape[:2]
        camera = self.sequence.camera
        if camera is not None and (camera.width, camera.height) != (width, height):
            raise ValueError(
                f'{self.sequence.name}: the images are {width}x{height}, the intrinsics belong to '
                f'{camera.width}x{camera.height}; correct the camera file'
            )
        if self.mask is not None and self.mask.shape != (height, width):
            raise ValueError(
                f'{self.sequence.name}: the images are {width}x{height}, its mask is '
                f'{self.mask.shape[1]}x{self.mask.shape[0]}; draw it at the size of the images'
            )
        left, top, right, bottom = self.source.crop
        x, y = round(left * width), round(top * height)
        return x, y, round(right * width) - x, round(bottom * height) - y


@dataclass(frozen=True)
class Drives:
    """All clips of a training.

    :ivar counts: samples of each source
    :ivar cameras: names of the sources whose intrinsics are learned, by camera index
    :ivar notes: what was broken, left out or unknown, a sentence each
    """

    clips: list[Clip]
    counts: list[int]
    cameras: list[str]
    notes: list[str]

    def headline(self) -> str:
        """Say in a line what there is: samples, what is known of them, masks, what is left out."""
        clips = self.clips
        frames = sum(len(clip.sequence.frames) for clip in clips)
        left_out: Counter[str] = Counter()
        for clip in clips:
            left_out += clip.selection.left_out
        # Of different drives the mask hides as much as of their images in the mean.
        hidden = [0.0 if clip.mask is None else float((clip.mask == 0).mean()) for clip in clips]
        share = sum(hidden) / len(hidden)
        parts = [
            f'intrinsics {_of(clips, [clip.camera < 0 for clip in clips], "known", "learned")}',
            f'speed {_of(clips, [c.sequence.tells_speed for c in clips], "known", "unknown")}',
            f'masks hide {share:.1%}' if share else 'no mask',
            *([f'left out: {_listed(left_out)}'] if left_out else []),
        ]
        plural = 's' if len(clips) != 1 else ''
        return (
            f'{sum(self.counts)} samples of {frames} frames in {len(clips)} sequence{plural}; '
            + ', '.join(parts)
        )

    def summary(self) -> list[dict[str, Any]]:
        """Give name, frames, samples and what was left out of each sequence."""
        return [
            {
                'sequence': clip.sequence.name,
                'frames': len(clip.sequence.frames),
                'samples': len(clip.selection.targets),
                'intrinsics': 'known' if clip.camera < 0 else 'learned',
                'speed': clip.sequence.tells_speed,
                'left_out': dict(clip.selection.left_out),
            }
            for clip in self.clips
        ]


def read_drives(sources: Sequence_[DepthSource], kept: Collection[str] | None = None) -> Drives:
    """Read all sources and choose their targets.

    :param kept: names ``sequence:index`` of the frames to which the targets are limited
    :raises ValueError: if a source cannot be read or gives no target, or two have one name
    """
    if not sources:
        raise ValueError('there are no sources to train on; list at least one under "sources"')
    drives = Drives([], [], [], [])
    for source in track(list(sources), 'Reading the sources'):
        first = len(drives.clips)
        sequences = source.sequences()
        camera = -1
        if any(sequence.camera is None for sequence in sequences):
            camera = len(drives.cameras)
            drives.cameras.append(sequences[0].name)
            drives.notes.append(
                f'{sequences[0].name}: its intrinsics are unknown; a training learns them'
            )
        mask = _read_mask(source)
        for sequence in sequences:
            _refuse_known(sequence, drives.clips)
            if source.stills:
                _refuse_without_truth(sequence)
                selection = select_all(sequence)
            else:
                selection = select_targets(
                    sequence, source.step, source.min_motion, source.min_distance
                )
            _limit(sequence, selection, kept)
            index = camera if sequence.camera is None else -1
            clip = Clip(sequence, source, index, mask, selection)
            _note(clip, drives.notes)
            if len(selection.targets):
                clip.box(sequence.frames[int(selection.targets[0])])
            drives.clips.append(clip)
        clips = drives.clips[first:]
        count = sum(len(clip.selection.targets) for clip in clips)
        if not count:
            raise ValueError(_nothing_left(clips))
        drives.counts.append(count)
    for note in drives.notes:
        _log.warning(note)
    return drives


def _read_mask(source: DepthSource) -> NDArray[np.uint8] | None:
    if source.mask is None:
        return None
    mask = cv2.imread(str(source.mask), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise ValueError(f'{source.mask} cannot be read as a mask image; correct the path')
    return np.asarray(mask, np.uint8)


def _refuse_known(sequence: Sequence, clips: list[Clip]) -> None:
    if any(clip.sequence.name == sequence.name for clip in clips):
        raise ValueError(
            f'two sources are called {sequence.name}, after the last two parts of their paths; '
            'leave one out, or rename its folder'
        )


def _refuse_without_truth(sequence: Sequence) -> None:
    if sequence.depth is None:
        raise ValueError(
            f'{sequence.name} is said to be stills, which are learned from true depth, and has '
            'none: set use_depth where the source has a folder of depth, or leave stills out'
        )


def _limit(sequence: Sequence, selection: Selection, kept: Collection[str] | None) -> None:
    if kept is None:
        return
    chosen = [i for i in selection.targets if f'{sequence.name}:{i}' in kept]
    selection.left_out['filtered'] += len(selection.targets) - len(chosen)
    selection.targets = np.array(chosen, np.intp)


def _note(clip: Clip, notes: list[str]) -> None:
    """Say what somebody who wonders where the frames are should know."""
    name, frames = clip.sequence.name, len(clip.sequence.frames)
    notes += [f'{name}: {problem}' for problem in clip.sequence.skipped]
    notes += [f'{name}: {problem}' for problem in clip.selection.broken]
    moved = clip.sequence.moved
    if moved is not None and len(moved) and not clip.sequence.tells_speed:
        notes.append(
            f'{name}: the speed is known for {int(np.isfinite(moved).sum())} of {len(moved)} '
            'intervals between frames, too few to learn metres from; look at its time stamps'
        )
    if frames < 3 and not clip.source.stills:
        notes.append(f'{name}: {frames} frame(s) are no sequence and are left out')


def _of(clips: list[Clip], holds: list[bool], yes: str, no: str) -> str:
    """Say of how many something holds."""
    count = sum(holds)
    if count in (0, len(clips)):
        return yes if count else no
    return f'{yes} of {count} and {no} of {len(clips) - count}'


def _listed(reasons: Counter[str]) -> str:
    return ', '.join(f'{count} {reason}' for reason, count in reasons.most_common())


def _nothing_left(clips: list[Clip]) -> str:
    reasons: Counter[str] = Counter()
    for clip in clips:
        reasons += clip.selection.left_out
    frames = sum(len(clip.sequence.frames) for clip in clips)
    return (
        f'{clips[0].sequence.name}: none of its {frames} frames can be learned from '
        f'({_listed(reasons)}); record more, lower min_motion or min_distance, or leave the '
        'source out'
    )
