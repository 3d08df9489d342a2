# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings of the depth training; every value of METHOD.md is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sg_depth_ros.networks.depth_resnet import DepthResNetConfig
from sg_depth_ros.networks.pose import PoseNetConfig
from sg_depth_ros.training.data.augmentation import JitterConfig
from sg_depth_ros.training.data.sequences import DepthSource


class LossSettings(BaseModel):
    """Weights and forms of the losses."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    ssim_weight: float = Field(default=0.85, ge=0, le=1)
    smoothness: float = Field(default=0.001, ge=0)
    velocity: float = Field(default=0.05, ge=0)
    automask: bool = True
    scales: int = Field(default=4, ge=1, le=4)
    supervision: float = Field(default=1.0, ge=0)
    """Weight of |log depth - log truth| where a source has truth."""
    max_depth: float = 100.0
    """Metres; truth beyond, and sky, is taken to be there."""


class DepthSettings(BaseModel):
    """All that a depth training is set by."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    segmentation: Path
    """Checkpoint of the segmentation network, which is frozen."""
    initial: Path | None = None
    """Checkpoint of an earlier depth training to start from."""
    network: DepthResNetConfig = DepthResNetConfig()
    pose: PoseNetConfig = PoseNetConfig()
    pretrained: bool = True
    sources: list[DepthSource]
    validation: Path | None = None
    """Folder of images and LiDAR depth on which errors are measured."""
    size: tuple[int, int] = (640, 192)
    focal_length: float = Field(gt=0)
    """Pixels at that width, for which the network predicts depth."""
    jitter: JitterConfig = JitterConfig()
    flip: bool = True
    loss: LossSettings = LossSettings()
    steps: int = 200_000
    batch: int = 4
    learning_rate: float = 2e-4
    pose_learning_rate: float = 5e-4
    schedule: Literal['halve', 'onecycle'] = 'halve'
    halve_every: int = 120_000
    """Steps after which the learning rates are halved."""
    workers: int = 2
    seed: int = 0
    validate_every: int = 1000
    precision: str = '32-true'
    provenance: dict[str, Any] = {}
