# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""All kinds of sources of drives, and the kind that a path is of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from sg_depth_ros.images.files import image_files
from sg_depth_ros.training.data.cityscapes import CityscapesSource
from sg_depth_ros.training.data.ddad import DdadSource
from sg_depth_ros.training.data.kitti import KittiOdometrySource, KittiRawSource
from sg_depth_ros.training.data.nuscenes import NuScenesSource
from sg_depth_ros.training.data.sources import BagSource, FolderSource, StreetSource, VideoSource

DepthSource = Annotated[
    VideoSource
    | FolderSource
    | BagSource
    | KittiRawSource
    | KittiOdometrySource
    | CityscapesSource
    | DdadSource
    | NuScenesSource
    | StreetSource,
    Field(discriminator='kind'),
]


def source_of_path(path: Path) -> DepthSource:
    """Take a path for the source that it looks like; raises ValueError if it is like none."""
    if path.is_dir():
        if (path / 'sequences').is_dir():
            return KittiOdometrySource(path=path)
        if any(path.glob('*/*/image_02/data')):
            return KittiRawSource(path=path)
        if any(path.glob('*.mcap')) or any(path.glob('*.db3')):
            return BagSource(path=path)
        for images in ('images', 'frames', '.'):
            if image_files(path / images):
                return FolderSource(path=path, images=images)
        raise ValueError(f'{path} holds neither a bag nor images nor KITTI; give such a folder')
    if path.suffix in ('.mcap', '.db3'):
        return BagSource(path=path)
    if path.exists():
        return VideoSource(path=path)
    raise ValueError(f'{path} does not exist; give a bag, a video or a folder of images')
