# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames to calibrate with, and others to measure on."""

from __future__ import annotations

from pathlib import Path

from sg_depth_ros.bags.recorded_images import Image, spread_images

MEASURED_OF = 4
"""Every fourth frame is measured on, the others are calibrated with."""


class QuantizationError(ValueError):
    """A bundle cannot be quantised as asked; the message says what to do."""


def read_frames(source: Path, count: int, width: int, height: int) -> list[Image]:
    """Give up to ``count`` frames (H, W, 3) uint8 RGB of a bag, a folder or a video.

    :raises QuantizationError: if these are fewer than ``MEASURED_OF``
    :raises ValueError: if it cannot be read; the message says what to do
    """
    frames = list(spread_images(source, count, width, height))
    if len(frames) < MEASURED_OF:
        raise QuantizationError(
            f'{source} gave {len(frames)} images, expected at least {MEASURED_OF}, better 50 of '
            f'all that the camera is to see; give another bag, folder or video'
        )
    return frames


def split_frames(frames: list[Image]) -> tuple[list[Image], list[Image]]:
    """Give the frames to calibrate with and those to measure on."""
    measured = frames[MEASURED_OF - 1 :: MEASURED_OF]
    return [f for i, f in enumerate(frames) if i % MEASURED_OF != MEASURED_OF - 1], measured
