# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lengths of time in a training, in steps or in epochs of its data."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator

_EPOCHS = re.compile(r'(\d+\.?\d*|\.\d+) epochs?')


def _check(value: Any) -> Any:
    if isinstance(value, str) and (match := _EPOCHS.fullmatch(value.strip())):
        if float(match[1]) > 0:
            return value.strip()
    elif isinstance(value, str) and value.isdecimal() and int(value) >= 1:
        return int(value)
    elif isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise ValueError(f'{value!r} is no length; give steps such as 30000, or "30 epochs"')


Length = Annotated[int | str, BeforeValidator(_check)]
"""Steps, at least one, or a text such as ``30 epochs``; :func:`in_steps` makes steps of it."""

Settings = TypeVar('Settings', bound=BaseModel)


def in_steps(settings: Settings, samples: int, batch: int) -> Settings:
    """Give the same settings with all their lengths in steps.

    :param samples: of an epoch
    :param batch: samples of a step, in all processes together
    """
    epoch = samples / batch
    changed = {}
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if any(isinstance(m, BeforeValidator) and m.func is _check for m in field.metadata):
            match = _EPOCHS.fullmatch(value) if isinstance(value, str) else None
            changed[name] = value if match is None else max(math.ceil(float(match[1]) * epoch), 1)
    return settings.model_copy(update=changed)


def steps(length: int | str) -> int:
    """Give a length that is in steps; settings that :func:`in_steps` has made have no other."""
    if isinstance(length, str):
        raise TypeError(f'{length} is not in steps yet')
    return length
