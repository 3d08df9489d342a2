# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The families of depth networks, by the name that their configurations carry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Discriminator, Tag, TypeAdapter

from sg_depth_ros.networks.depth_resnet import DepthResNet, DepthResNetConfig
from sg_depth_ros.networks.packnet import PackNet, PackNetConfig


def _family(config: Any) -> Any:
    """Give the family of a configuration or of its values, by default the ResNet style."""
    if isinstance(config, Mapping):
        return config.get('family', 'resnet')
    return getattr(config, 'family', None)


DepthConfig = Annotated[
    Annotated[DepthResNetConfig, Tag('resnet')] | Annotated[PackNetConfig, Tag('packnet')],
    Discriminator(_family),
]
"""A configuration of any family, for a pydantic model's field."""

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
