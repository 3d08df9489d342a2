# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The families of depth and pose networks, by the name that their configurations carry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Discriminator, Tag, TypeAdapter

from sg_depth_ros.networks.depth_resnet import DepthResNet, DepthResNetConfig
from sg_depth_ros.networks.packnet import PackNet, PackNetConfig
from sg_depth_ros.networks.pose import PoseNet, PoseNetConfig, PoseResNet, PoseResNetConfig


def _family_or(default: str) -> Discriminator:
    """Tell the family of a configuration or of its values, which may leave out the default."""

    def family(config: Any) -> Any:
        if isinstance(config, Mapping):
            return config.get('family', default)
        return getattr(config, 'family', None)

    return Discriminator(family)


DepthConfig = Annotated[
    Annotated[DepthResNetConfig, Tag('resnet')] | Annotated[PackNetConfig, Tag('packnet')],
    _family_or('resnet'),
]
"""A configuration of any family of depth networks, for a pydantic model's field."""

PoseConfig = Annotated[
    Annotated[PoseNetConfig, Tag('stack')] | Annotated[PoseResNetConfig, Tag('resnet')],
    _family_or('stack'),
]
"""A configuration of any family of pose networks."""

_ADAPTER: TypeAdapter[DepthResNetConfig | PackNetConfig] = TypeAdapter(DepthConfig)


def build_depth(
    config: Mapping[str, Any] | DepthResNetConfig | PackNetConfig, pretrained: bool = False
) -> DepthResNet | PackNet:
    """Build the depth network that a configuration or its values describe.

    :param pretrained: start the encoder from ImageNet weights, which PackNet does without
    :raises pydantic.ValidationError: if the family or a setting is unknown
    """
    checked = _ADAPTER.validate_python(config)
    if isinstance(checked, PackNetConfig):
        return PackNet(checked)
    return DepthResNet(checked, pretrained)


def build_pose(
    config: PoseNetConfig | PoseResNetConfig, pretrained: bool = False
) -> PoseNet | PoseResNet:
    """Build the pose network that a configuration describes.

    :param pretrained: start the encoder, of those that have one, from ImageNet weights
    """
    if isinstance(config, PoseResNetConfig):
        return PoseResNet(config, pretrained)
    return PoseNet(config)
