# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is wrong with settings, in sentences: which key, where it was set, and the nearest one."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

Location = Sequence[int | str]
_FEW = 16
"""So many names are listed."""
_MANY = 'sg_depth train settings lists all'


def explain(
    model: type[BaseModel], error: ValidationError, overridden: Sequence[str]
) -> list[str]:
    """Give a sentence for each problem.

    :param overridden: dotted keys that were set on the command line
    """
    sentences = []
    for item in error.errors():
        location, models = _walk(model, item['loc'])
        key = '.'.join(map(str, location))
        if item['type'] == 'extra_forbidden':
            names = sorted({name for found in models for name in found.model_fields})
            outer = ''.join(f'{part}.' for part in location[:-1])
            near = difflib.get_close_matches(str(location[-1]), names, 1, 0.5)
            hint = f'the nearest is {outer}{near[0]}' if near else _MANY
            if not near and len(names) <= _FEW:
                hint = f'there are {", ".join(names)}'
            text = f'{key} is no setting; {hint}'
        elif item['type'] == 'missing':
            text = f'{key} is missing; set it'
        else:
            problem = item['msg'].removeprefix('Value error, ')
            text = f'{key}: {problem}' if key else problem
        if key and any(_touches(key, name) for name in overridden):
            text += ' (on the command line)'
        sentences.append(text)
    return sentences


def _touches(key: str, name: str) -> bool:
    """Tell if one is the other, or a part of it."""
    return f'{key}.'.startswith(f'{name}.') or f'{name}.'.startswith(f'{key}.')


def _walk(model: type[BaseModel], location: Location) -> tuple[list[int | str], list[Any]]:
    """Follow a location of an error; give it without the names of kinds, and the last models."""
    shown: list[int | str] = []
    models: list[Any] = [model]
    annotations: list[Any] = []
    for part in location:
        fields = [m.model_fields[part].annotation for m in models if part in m.model_fields]
        kinds = [m for m in models if part in _tags(m)]
        if isinstance(part, str) and not fields and kinds:
            models = kinds
            continue
        shown.append(part)
        if isinstance(part, str):
            annotations = fields
        if fields or isinstance(part, int):
            models = [m for annotation in annotations for m in models_of(annotation)]
    return shown, models


def _tags(model: type[BaseModel]) -> set[Any]:
    """Give what tells a model apart from others that could stand in its place."""
    fields = (model.model_fields.get(name) for name in ('kind', 'family'))
    return {field.default for field in fields if field is not None}


def models_of(annotation: Any) -> Iterator[type[BaseModel]]:
    """Give the models inside an annotation."""
    if get_origin(annotation) is Annotated:
        yield from models_of(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, types.UnionType, list, tuple):
        for inner in get_args(annotation):
            yield from models_of(inner)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
