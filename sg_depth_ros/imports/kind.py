# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every kind of published network is turned into on its way in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from sg_depth_ros.bundle import Bundle
from sg_depth_ros.networks.depth_resnet import DepthResNet
from sg_depth_ros.networks.packnet import PackNet
from sg_depth_ros.networks.pose import PoseNet, PoseResNet


class ForeignNetworkError(ValueError):
    """A published network cannot be brought in; the message says why and what to do."""


@dataclass(frozen=True)
class ImportOptions:
    """What a user says of a network where its files do not, or say something else.

    :ivar segmentation: checkpoint or shipped name of the network that gives the labels
    :ivar size: width and height that it was trained at
    :ivar focal_length: of its training camera, pixels at that width
    :ivar metric: that its depth is in metres
    :ivar licence: of its weights (SPDX)
    :ivar weights: where to write them, to train on from
    """

    segmentation: str
    size: tuple[int, int] | None = None
    focal_length: float | None = None
    metric: bool = False
    licence: str | None = None
    weights: Path | None = None


@dataclass(frozen=True)
class FoundNetworks:
    """Networks of this package with the weights of a published checkpoint.

    :ivar size: width and height of its training, None where the files do not say
    :ivar focal_length: in widths of the image, None where the files do not say
    :ivar metric: whether depth is in metres
    :ivar origin: for the provenance: what it is and what it says of its training
    :ivar licence: of such weights, None where none is stated
    :ivar notes: what was left out, a sentence each
    """

    depth: DepthResNet | PackNet
    pose: PoseNet | PoseResNet | None
    size: tuple[int, int] | None
    focal_length: float | None
    metric: bool
    origin: dict[str, Any]
    licence: str | None = None
    notes: list[str] = field(default_factory=list)


class Kind(NamedTuple):
    """A kind of published network: a row of ``imports.table.KINDS``.

    :ivar name: what it is called in messages
    :ivar looks_like: what its files are, for messages
    :ivar recognises: tells by the path, and at most a glance into it, if this is one
    :ivar to_bundle: makes the bundle (second path) of the files (first path)
    """

    name: str
    looks_like: str
    recognises: Callable[[Path], bool]
    to_bundle: Callable[[Path, Path, ImportOptions], tuple[Bundle, list[str]]]
