# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings of the depth training; every value of the paper is one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sg_depth_ros.evaluation.metrics import Scaling
from sg_depth_ros.networks.depth_resnet import DepthResNetConfig
from sg_depth_ros.networks.families import DepthConfig, PoseConfig
from sg_depth_ros.networks.pose import PoseNetConfig
from sg_depth_ros.training.data.augmentation import JitterConfig
from sg_depth_ros.training.data.sources import FolderSource, StreetSource
from sg_depth_ros.training.data.union import DepthSource
from sg_depth_ros.training.schedule import Length
from sg_depth_ros.training.settings import RunSettings


class LossSettings(BaseModel):
    """Weights and forms of the losses."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    ssim_weight: float = Field(default=0.85, ge=0, le=1)
    """Share of (1 - SSIM) / 2 in the photometric error; the rest is L1."""
    smoothness: float = Field(default=0.001, ge=0)
    """Halved at every coarser scale."""
    velocity: float = Field(default=0.05, ge=0)
    """Weight of the velocity loss, in effect where a source tells distances."""
    automask: bool = True
    """Leave out pixels that the neighbours as they are explain better."""
    scales: int = Field(default=4, ge=1, le=4)
    """Scales of inverse depth that learn, from the finest on."""
    supervision: float = Field(default=1.0, ge=0)
    """Weight of |log depth - log truth| where a source has truth."""
    shape: float = Field(default=0.5, ge=0)
    """Weight of that error's gradient, relative to ``supervision``."""
    max_depth: float = Field(default=100.0, gt=0)
    """Metres; truth beyond, and sky, is taken to be there."""


class LidarValidation(BaseModel):
    """A folder of images and LiDAR depth, as ``sg_depth evaluate`` takes it."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    kind: Literal['lidar'] = 'lidar'
    path: Path
    """Folder with ``images`` and ``depth``."""
    protocol: str = 'eigen-raw'
    """As ``sg_depth evaluate --protocol``."""
    scaling: Scaling = 'median'
    """How depth is scaled to the truth: median, once for all frames, or none."""


class StreetValidation(BaseModel):
    """Clips of the procedural street with its exact depth."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    kind: Literal['street'] = 'street'
    street: StreetSource
    scaling: Scaling = 'median'
    """How depth is scaled to the truth: median, once for all frames, or none."""


class KittiValidation(BaseModel):
    """KITTI raw with a split, against the raw LiDAR or the improved depth."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    kind: Literal['kitti_raw'] = 'kitti_raw'
    path: Path
    """Folder with ``DATE/DRIVE``, images and LiDAR."""
    split: Path
    """Lines ``DATE/DRIVE INDEX l|r``, as monodepth2's ``eigen_zhou/val_files.txt``."""
    improved: bool = False
    """Against the annotated depth maps in place of the raw LiDAR."""
    protocol: str = 'eigen-raw'
    """As ``sg_depth evaluate --protocol``."""
    scaling: Scaling = 'median'
    """How depth is scaled to the truth: median, once for all frames, or none."""
    frames: int = Field(default=200, ge=1)
    """At most so many frames, spread evenly over the split."""


Validation = Annotated[
    LidarValidation | KittiValidation | StreetValidation, Field(discriminator='kind')
]


class FilterSettings(BaseModel):
    """When an image is dropped between the stages of a two-stage training."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    rule: Literal['ground', 'all'] = 'ground'
    """ground: the plane is fitted to what is labelled ground, and only pixels are counted whose
    ray meets it within ``max_distance``. all: the authors' way, all pixels serve to find the plane
    and all that lie under it count, whatever they are; with ``metres: 0.5``."""
    pixels: int = Field(default=10, ge=0)
    """More pixels than so many under the ground drop an image."""
    metres: float = Field(default=3.3, gt=0)
    """How far under the ground a pixel has to be. Depth that is too large by a share of itself
    leads under the ground by that share of the camera's height, at any distance: twice the height
    is three times too far, which a hole is and an error hardly ever."""
    camera_height: float = Field(default=1.65, gt=0)
    """Metres of the camera over the ground; to it relative depth is compared."""
    max_distance: float = Field(default=40.0, gt=0)
    """Metres; pixels whose ray meets the ground further away are not counted, as there a small
    error of depth or a change of the road's gradient already leads under the plane."""
    min_ground: float = Field(default=0.02, ge=0, le=1)
    """Share of the image that has to be ground; where there is less, the image is kept."""
    min_inliers: float = Field(default=1 / 3, ge=0, le=1)
    """Share of the ground that has to lie on one plane. Where less does, something else is called
    ground, and a plane through that is nothing to judge by: the image is kept."""


class DepthSettings(RunSettings):
    """All that a depth training is set by."""

    segmentation: Path
    """Checkpoint of the segmentation network, which is frozen, or the name of a shipped one."""
    network: DepthConfig = DepthResNetConfig()
    pose: PoseConfig = PoseNetConfig()
    sources: list[DepthSource]
    kept: Path | None = None
    """List that ``sg_depth filter`` has written: only these frames are targets."""
    validation: Validation | None = None
    focal_length: float = Field(gt=0)
    """Pixels at the width of ``size``, for which the network predicts depth."""
    jitter: JitterConfig = JitterConfig()
    keep_frames: bool = True
    """Decode every image once and keep it in memory at ``size``, on the GPU where it fits; where
    it fits nowhere, or ``zoom`` shows it in other ways, images are decoded for every sample."""
    zoom: float = Field(default=1.0, gt=0, le=1)
    """Views show at least this part of the image's width and height, and so other focal lengths
    and principal points; 1 for whole images."""
    flip: bool = True
    """Show mirrored images to the depth network, half of the time."""
    loss: LossSettings = LossSettings()
    optimizer: Literal['adam', 'adamw'] = 'adam'
    """adamw takes weight decay apart from the gradients."""
    learning_rate: float = Field(default=2e-4, gt=0)
    """Of the depth network."""
    pose_learning_rate: float = Field(default=5e-4, gt=0)
    """Of the pose network."""
    intrinsics_learning_rate: float = Field(default=5e-3, gt=0)
    """Of intrinsics that are not known."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Of all weights."""
    clip_gradients: float = Field(default=1.0, ge=0)
    """Largest norm of all gradients; 0 for no limit."""
    schedule: Literal['halve', 'plateau', 'onecycle'] = 'halve'
    """Halve the learning rates after a fixed length, or where validations get no better, or let
    them rise for a tenth of the training and then fall to zero."""
    halve_every: Length = 120_000
    """Steps, or epochs such as "15 epochs", after which ``halve`` halves the learning rates."""
    patience: Length = '2 epochs'
    """Steps or epochs without a better validation after which ``plateau`` halves them."""
    two_stage: bool = False
    """Train, filter the images by what was learned, train again from scratch."""
    filter: FilterSettings = FilterSettings()

    @model_validator(mode='after')
    def _has_what_the_plateau_is_of(self) -> DepthSettings:
        if self.schedule == 'plateau' and self.validation is None:
            raise ValueError('schedule: plateau follows the validation; set validation too')
        return self

    @property
    def has_exact_depth(self) -> bool:
        """Whether some of the sources have true depth to learn from."""
        kinds = (FolderSource, StreetSource)
        return any(isinstance(s, kinds) and s.use_depth for s in self.sources)
