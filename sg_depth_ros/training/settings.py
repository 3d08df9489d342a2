# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings read from YAML with ``key=value`` overrides, checked against typed models."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sg_depth_ros.documents import DocumentError, parse_yaml, read_text
from sg_depth_ros.networks.encoder import STRIDES

T = TypeVar('T', bound=BaseModel)

Side = Annotated[int, Field(gt=0, multiple_of=STRIDES[-1])]
"""Width or height of what a network sees, which it halves five times."""


class RunSettings(BaseModel):
    """What a training of depth and one of segmentation are both set by."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    pretrained: bool = True
    """Start encoders from ImageNet weights, where they can be had."""
    size: tuple[Side, Side] = (640, 192)
    """Width and height that the network sees."""
    initial: Path | None = None
    """Checkpoint of an earlier training to start from, or the name of a shipped one; what fits is
    taken."""
    average: float = Field(default=0.0, ge=0, lt=1)
    """Decay of a running mean of the weights, such as 0.995, which is then what is validated and
    written; 0 for the weights as they are."""
    steps: int = Field(default=200_000, ge=1)
    batch: int = Field(default=4, ge=1)
    """Samples of a step, in each process."""
    workers: int = Field(default=2, ge=0)
    seed: int = Field(default=0, ge=0)
    validate_every: int = Field(default=1000, ge=1)
    """Steps between validations; checkpoints are written then."""
    precision: Literal['auto', '32-true', 'bf16-mixed', '16-mixed'] = 'auto'
    """auto: bfloat16 on a GPU that has it, float16 on another, float32 on a CPU."""
    devices: int | Literal['auto'] = 'auto'
    """Processes of this machine, one a GPU; torchrun and SLURM say it themselves."""
    accelerator: Literal['auto', 'gpu', 'cpu'] = 'auto'
    provenance: dict[str, Any] = {}
    """What goes into the model card: data sets, licences."""


def load_settings(model: type[T], path: str | Path, overrides: Sequence[str] = ()) -> T:
    """Read a YAML file into ``model``; environment variables in it are expanded.

    :param overrides: ``key=value``, ``outer.inner=value`` or ``list.0.key=value``; values are YAML
    :raises ValueError: that names every unknown, missing or bad key
    """
    values = parse_yaml(os.path.expandvars(read_text(path)), str(path)) or {}
    return check_settings(model, values, overrides, str(path))


def check_settings(
    model: type[T], values: dict[str, Any], overrides: Sequence[str], origin: str
) -> T:
    """Change values by overrides and check them.

    :param origin: where the values come from, for the error
    :raises ValueError: that names every unknown, missing or bad key
    """
    for override in overrides:
        _override(values, override)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problems = '; '.join(
            f'{".".join(map(str, item["loc"]))}: {item["msg"]}' for item in error.errors()
        )
        raise ValueError(f'{origin}: {problems}') from error


def _override(values: Any, override: str) -> None:
    key, separator, text = override.partition('=')
    if not separator:
        raise ValueError(f'{override!r} is no setting; write key=value')
    *outer, last = key.split('.')
    try:
        for name in outer:
            is_list = isinstance(values, list)
            values = values[int(name)] if is_list else values.setdefault(name, {})
        values[int(last) if isinstance(values, list) else last] = parse_yaml(text, repr(override))
    except DocumentError:
        raise
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise ValueError(f'{key} is no setting of this configuration ({error})') from error
