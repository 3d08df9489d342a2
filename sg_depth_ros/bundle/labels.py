# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The label set: Cityscapes' 19 train ids with names, colours and roles."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Role = Literal['sky', 'road', 'ground', 'dynamic']

VOID = 255
"""Train id of pixels that have no label."""


class Label(NamedTuple):
    """One class: train id, name, RGB colour and what it means to a robot."""

    id: int
    name: str
    color: tuple[int, int, int]
    roles: tuple[Role, ...]


CITYSCAPES: tuple[Label, ...] = (
    Label(0, 'road', (128, 64, 128), ('road', 'ground')),
    Label(1, 'sidewalk', (244, 35, 232), ('ground',)),
    Label(2, 'building', (70, 70, 70), ()),
    Label(3, 'wall', (102, 102, 156), ()),
    Label(4, 'fence', (190, 153, 153), ()),
    Label(5, 'pole', (153, 153, 153), ()),
    Label(6, 'traffic light', (250, 170, 30), ()),
    Label(7, 'traffic sign', (220, 220, 0), ()),
    Label(8, 'vegetation', (107, 142, 35), ()),
    Label(9, 'terrain', (152, 251, 152), ('ground',)),
    Label(10, 'sky', (70, 130, 180), ('sky',)),
    Label(11, 'person', (220, 20, 60), ('dynamic',)),
    Label(12, 'rider', (255, 0, 0), ('dynamic',)),
    Label(13, 'car', (0, 0, 142), ('dynamic',)),
    Label(14, 'truck', (0, 0, 70), ('dynamic',)),
    Label(15, 'bus', (0, 60, 100), ('dynamic',)),
    Label(16, 'train', (0, 80, 100), ('dynamic',)),
    Label(17, 'motorcycle', (0, 0, 230), ('dynamic',)),
    Label(18, 'bicycle', (119, 11, 32), ('dynamic',)),
)
"""Colours are those of the Cityscapes tools, so that pictures look as users know them."""

ID = {label.name: label.id for label in CITYSCAPES}


def ids_with(*roles: Role, labels: Iterable[Label] = CITYSCAPES) -> list[int]:
    """Give the ids of the labels that have one of the roles."""
    return [label.id for label in labels if not set(roles).isdisjoint(label.roles)]


def palette(labels: tuple[Label, ...] = CITYSCAPES) -> NDArray[np.uint8]:
    """Give the colours as (256, 3) uint8 RGB, indexed by id; ids without a label are black."""
    colors = np.zeros((256, 3), np.uint8)
    for label in labels:
        colors[label.id] = label.color
    return colors
