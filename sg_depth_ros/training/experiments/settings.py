# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sizes of the experiments."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from sg_depth_ros.networks.depth_resnet import DepthResNetConfig
from sg_depth_ros.networks.pose import PoseNetConfig
from sg_depth_ros.networks.segmentation import SegmentationConfig
from sg_depth_ros.training.depth_settings import FilterSettings


class ExperimentSettings(BaseModel):
    """Sizes of the experiments; ``EXPERIMENTS`` has those with which each shows its point."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    size: tuple[int, int] = (192, 64)
    clips: int = Field(default=240, ge=1)
    """Fewer are learned by heart: with 60 the error in the test is twice that in training."""
    frames: int = Field(default=5, ge=3)
    test_clips: int = Field(default=12, ge=1)
    steps: int = Field(default=1000, ge=1)
    batch: int = Field(default=6, ge=1)
    learning_rate: float = Field(default=5e-4, gt=0)
    scales: int = Field(default=1, ge=1, le=4)
    """Of the loss; four, as published, take a third more time at this size."""
    velocity: float = Field(default=0.5, ge=0)
    """Weight of the velocity loss; ten times the published one, as there are few steps for it."""
    zoom: float = Field(default=1.0, gt=0, le=1)
    segmentation_steps: int = Field(default=2000, ge=1)
    seeds: int = Field(default=3, ge=1)
    following: float = Field(default=0.3, gt=0, lt=1)
    """Share of the clips that follow a car at its own speed."""
    filter: FilterSettings = FilterSettings(metres=2.5, pixels=20, max_distance=20.0)
    """Between two stages; networks as small as these blur what is further away into the road."""
    pretrained: bool = True
    workers: int = Field(default=2, ge=0)
    segmentation_network: SegmentationConfig = SegmentationConfig()
    depth_network: DepthResNetConfig = DepthResNetConfig(decoder_channels=(128, 96, 64, 32, 16))
    pose_network: PoseNetConfig = PoseNetConfig(scale=0.1, begin_still=True)
    """A car moves a metre between frames, which takes long to learn from steps of a hundredth."""
