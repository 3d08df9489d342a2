# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings of the segmentation training."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sg_depth_ros.networks.segmentation import SegmentationConfig
from sg_depth_ros.training.data.augmentation import JitterConfig
from sg_depth_ros.training.data.labelled import LabelledSource
from sg_depth_ros.training.schedule import Length
from sg_depth_ros.training.settings import RunSettings, Side


class SegmentationSettings(RunSettings):
    """All that a segmentation training is set by."""

    network: SegmentationConfig = SegmentationConfig()
    train: list[LabelledSource] = Field(min_length=1)
    validation: tuple[LabelledSource, ...] = ()
    crop: tuple[Side, Side] = (640, 192)
    """Width and height of the views that are trained on."""
    scale: tuple[float, float] = (0.7, 1.3)
    """Range of the random factor on the size of the images."""
    stretch: float = Field(default=0.5, ge=0, le=1)
    """Share of the views that are stretched to ``size`` as at inference."""
    jitter: JitterConfig = JitterConfig()
    steps: Length = 48_000
    batch: int = Field(default=8, ge=1)
    optimizer: Literal['sgd', 'adamw'] = 'sgd'
    """sgd has a momentum of 0.9."""
    learning_rate: float = Field(default=0.01, gt=0)
    """Falls to zero over the steps, as a polynomial of power 0.9."""
    weight_decay: float = Field(default=1e-4, ge=0)
    """Of all weights."""
