# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings read from YAML with ``key=value`` overrides, checked against typed models."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sg_depth_ros.documents import DocumentError, parse_yaml, read_text
from sg_depth_ros.networks.encoder import STRIDES
from sg_depth_ros.training.progress import say
from sg_depth_ros.training.schedule import Length
from sg_depth_ros.training.settings_errors import explain

T = TypeVar('T', bound=BaseModel)

_PRESET = 'preset='
_VARIABLE = re.compile(r'\$(?:\{(\w+)\}|(\w+))')

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
    steps: Length = 200_000
    """Length of the training: steps, or a text such as "30 epochs" of the samples found."""
    batch: int = Field(default=4, ge=1)
    """Samples of a step, in each process."""
    workers: int = Field(default=2, ge=0)
    """Processes that make samples, for each that trains; 0 to make them in between."""
    seed: int = Field(default=0, ge=0)
    """Of all chance: weights, the order of the samples, their changes."""
    validate_every: Length = 1000
    """Steps, or epochs such as "1 epoch", between validations; networks are written then."""
    checkpoint_minutes: float = Field(default=10.0, gt=0)
    """Minutes after which the checkpoint to go on from is written, besides at validations."""
    line_seconds: float = Field(default=30.0, gt=0)
    """Seconds between lines that say how far the training is, where there is no terminal."""
    precision: Literal['auto', '32-true', 'bf16-mixed', '16-mixed'] = 'auto'
    """auto: bfloat16 on a GPU that has it, float16 on another, float32 on a CPU."""
    devices: int | Literal['auto'] = 'auto'
    """Processes of this machine, one a GPU; torchrun and SLURM say it themselves."""
    accelerator: Literal['auto', 'gpu', 'cpu'] = 'auto'
    """auto takes a GPU where there is one."""
    provenance: dict[str, Any] = {}
    """What goes into the model card: data sets, licences."""


def load_settings(model: type[T], path: str | Path, overrides: Sequence[str] = ()) -> T:
    """Read a YAML file into ``model``; environment variables in it are expanded.

    :param overrides: ``key=value``, ``outer.inner=value`` or ``list.0.key=value``; values are YAML
    :raises ValueError: that names every unknown, missing or bad key
    """
    values = parse_yaml(read_text(path), str(path)) or {}
    return check_settings(model, values, overrides, str(path))


def check_settings(
    model: type[T], values: dict[str, Any], overrides: Sequence[str], origin: str
) -> T:
    """Change values by overrides, expand environment variables in them, and check them.

    Values may have ``presets``, changes by name, of which ``preset=NAME`` takes one.
    A focal length belongs to a width: where an override changes ``size`` alone, ``focal_length``
    is scaled with it.

    :param origin: where the values come from, for the error
    :raises ValueError: that names every unknown, missing or bad key
    """
    if not isinstance(values, dict):
        raise ValueError(f'{origin} is no list of settings; write lines such as "steps: 1000"')
    before = values.get('size')
    _take_preset(values, overrides, origin)
    overridden = [
        _override(values, override) for override in overrides if not override.startswith(_PRESET)
    ]
    unset: list[str] = []
    values = _expanded(values, '', unset)
    if 'focal_length' in model.model_fields and 'focal_length' not in overridden:
        _scale_focal_length(values, before or model.model_fields['size'].default)
    try:
        settings = model.model_validate(values)
    except ValidationError as error:
        problems = [*explain(model, error, overridden), *unset]
        raise ValueError(f'{origin}: {"; ".join(problems)}') from error
    if unset:
        raise ValueError(f'{origin}: {"; ".join(unset)}')
    return settings


def _take_preset(values: dict[str, Any], overrides: Sequence[str], origin: str) -> None:
    """Take the changes of the preset that is named last, if one is, and no word of the others.

    :raises ValueError: if there is none of that name
    """
    presets, name = values.pop('presets', {}), values.pop('preset', None)
    for override in overrides:
        if override.startswith(_PRESET):
            name = override.removeprefix(_PRESET)
    if name is None:
        return
    if name not in presets:
        known = ', '.join(presets) or 'none'
        raise ValueError(f'{origin} has no preset {name!r}; there are: {known}')
    for key, value in presets[name].items():
        _override(values, f'{key}={json.dumps(value)}')


def _expanded(value: Any, key: str, unset: list[str]) -> Any:
    """Expand the environment variables of all texts; add a sentence for each that is not set."""
    if isinstance(value, dict):
        return {k: _expanded(v, f'{key}.{k}' if key else str(k), unset) for k, v in value.items()}
    if isinstance(value, list):
        return [_expanded(v, f'{key}.{i}', unset) for i, v in enumerate(value)]
    if not isinstance(value, str):
        return value
    for braced, plain in _VARIABLE.findall(value):
        name = braced or plain
        if name not in os.environ:
            unset.append(
                f'{key} is {value}, and the environment has no {name}; put {name}=... before the '
                f'command, or give {key}=... behind it'
            )
    return os.path.expandvars(value)


def _scale_focal_length(values: dict[str, Any], before: Any) -> None:
    """Keep the angle of view where the width is another one than ``before``."""
    try:
        factor = values.get('size', before)[0] / before[0]
        values['focal_length'] *= factor
    except (KeyError, IndexError, TypeError, ZeroDivisionError):
        return  # What is wrong is said where it is checked.
    if factor != 1:
        say(
            f'focal_length is scaled with size, to {values["focal_length"]:.1f} pixels at a width '
            f'of {values["size"][0]}'
        )


def _override(values: Any, override: str) -> str:
    """Set a value; gives its dotted key."""
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
        raise ValueError(
            f'{key} is no setting of this configuration ({error}); it was on the command line'
        ) from error
    return key
