# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Published weights under the names that they have in the networks of this package.

A table gives, for each module of ours, the published module that has its weights. Everything has
to find its place, here and there: what is left over is an error and no warning.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from sg_depth_ros.imports.kind import ForeignNetworkError

RESNETS = {'resnet18': (2, 2, 2, 2), 'resnet34': (3, 4, 6, 3), 'resnet50': (3, 4, 6, 3)}
"""Blocks of each layer of the encoders that are published."""
PUBLISHED_MEAN, PUBLISHED_STD = (0.45, 0.45, 0.45), (0.225, 0.225, 0.225)
"""What monodepth2's encoders, and packnet-sfm's after them, take off and divide by."""


def under(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give what lies under a prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def take_weights(
    network: nn.Module,
    state: Mapping[str, Tensor],
    modules: Mapping[str, str],
    spare: Collection[str],
    what: str,
) -> None:
    """Give a network published weights, all of them and no others.

    :param modules: the published module of ours; the longest that fits the beginning counts
    :param spare: published modules that are in no use
    :param what: the published network, for the error
    :raises ForeignNetworkError: if one is missing, left over, no tensor or of another shape
    """
    taken: dict[str, Tensor] = {}
    used: set[str] = set()
    for key, own in network.state_dict().items():
        ours = max((m for m in modules if key.startswith(f'{m}.')), key=len)
        name = modules[ours] + key.removeprefix(ours)
        found = state.get(name)
        if not isinstance(found, Tensor):
            raise ForeignNetworkError(
                f'this is no {what}: it has no {name}; of another version of the network, or cut '
                'short'
            )
        if found.shape != own.shape:
            raise ForeignNetworkError(
                f'this is no {what}: {name} has the shape {_text(found)}, expected {_text(own)}'
            )
        taken[key] = found
        used.add(name)
    rest = [k for k in state if k not in used and not k.startswith(tuple(f'{s}.' for s in spare))]
    if rest:
        raise ForeignNetworkError(
            f'this is no {what}: nothing here has a place for {rest[0]}'
            f'{f" and {len(rest) - 1} more" if rest[1:] else ""}; it is another network'
        )
    if not all(value.isfinite().all() for value in taken.values()):
        raise ForeignNetworkError(
            f'the weights of this {what} are not all finite; download it again'
        )
    network.load_state_dict(taken)


def resnet_name(state: Mapping[str, Tensor], prefix: str) -> str:
    """Tell which ResNet has these weights.

    :param prefix: of torchvision's names
    :raises ForeignNetworkError: if it is none of those that are published
    """
    blocks = tuple(
        len({k.split('.')[0] for k in under(f'{prefix}layer{layer}.', state)})
        for layer in range(1, 5)
    )
    bottleneck = f'{prefix}layer1.0.conv3.weight' in state
    for name, wanted in RESNETS.items():
        if blocks == wanted and bottleneck == (name == 'resnet50'):
            return name
    raise ForeignNetworkError(
        f'the encoder has {list(blocks)} blocks, which is none of {", ".join(RESNETS)}; others '
        'are not read'
    )


def depth_decoder_modules(theirs: str) -> dict[str, str]:
    """Give the published decoder's modules by those of ``DepthResNet``.

    :param theirs: what its list of layers lies under
    """
    modules = {}
    for level in range(5):
        modules[f'reduce.{level}.conv'] = f'{theirs}{2 * level}.conv.conv'
        modules[f'fuse.{level}'] = f'{theirs}{2 * level + 1}.conv.conv'
    return modules | {f'heads.{2**scale}': f'{theirs}{10 + scale}.conv' for scale in range(4)}


def pose_decoder_modules(theirs: str) -> dict[str, str]:
    """Give the published decoder's modules by those of ``PoseResNet``."""
    modules = {'squeeze': f'{theirs}0'}
    return modules | {f'convs.{layer}': f'{theirs}{1 + layer}' for layer in range(3)}


def rotation_first(state: Mapping[str, Tensor], layer: str) -> dict[str, Tensor]:
    """Give the state with the outputs of a layer for rotation before translation.

    :param layer: the last one, that gives six values for each neighbour, the translation first
    """
    changed = dict(state)
    for name in (f'{layer}.weight', f'{layer}.bias'):
        value = state.get(name)
        if isinstance(value, Tensor) and value.ndim and not len(value) % 6:
            changed[name] = value.unflatten(0, (-1, 2, 3)).flip(1).flatten(0, 2)
    return changed


def _text(tensor: torch.Tensor) -> str:
    return 'x'.join(map(str, tensor.shape)) or 'scalar'
