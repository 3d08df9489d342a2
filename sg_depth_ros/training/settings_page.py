# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The reference of all settings of the trainings, made from their models."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sg_depth_ros.bundle.share import share_directory
from sg_depth_ros.documents import read_yaml
from sg_depth_ros.training.depth_settings import DepthSettings
from sg_depth_ros.training.distil import DistilSettings
from sg_depth_ros.training.segmentation_settings import SegmentationSettings
from sg_depth_ros.training.settings_errors import models_of

TRAININGS: dict[str, type[BaseModel]] = {
    'depth': DepthSettings,
    'segmentation': SegmentationSettings,
    'distil': DistilSettings,
}
_PAPER = {'depth': 'packnet', 'segmentation': 'segmentation'}
"""The configurations that hold the paper's values."""

_HEAD = """# Settings of the trainings

Made by `sg_depth train settings` from the models that check them. A setting is written in YAML,
or on the command line as `outer.inner=value`; of a list, `sources.0.path=...`. A length is in
steps (`30000`) or in epochs of the samples that are found (`"30 epochs"`). *Paper* is what
`config/train/packnet.yaml` and `segmentation.yaml` set, which hold the paper's values; where it is
empty the default stands.
"""


def settings_page() -> str:
    """Give the page in Markdown: a table for each model, the trainings' own first."""
    parts, seen = [_HEAD], set[type[BaseModel]]()
    for name, model in TRAININGS.items():
        parts.append(f'## `sg_depth train {name}`\n')
        paper = _paper(_PAPER[name]) if name in _PAPER else {}
        parts += _tables(model, '', paper, seen)
    return '\n'.join(parts)


def undescribed() -> list[str]:
    """Name the settings that have no description."""
    models: set[type[BaseModel]] = set()
    waiting: list[type[BaseModel]] = list(TRAININGS.values())
    while waiting:
        model = waiting.pop()
        if model not in models:
            models.add(model)
            for field in model.model_fields.values():
                waiting += models_of(field.annotation)
    return sorted(
        f'{model.__name__}.{name}'
        for model in models
        for name, field in model.model_fields.items()
        if name not in ('kind', 'family')
        and not _described(model, name)
        and not list(models_of(field.annotation))
    )


def _tables(
    model: type[BaseModel], prefix: str, paper: dict[str, Any], seen: set[type[BaseModel]]
) -> Iterator[str]:
    """Give the table of a model, then those of the models inside that have not been shown."""
    inner: list[tuple[str, type[BaseModel]]] = []
    rows = []
    for name, field in model.model_fields.items():
        key = f'{prefix}{name}'
        within = list(models_of(field.annotation))
        many = _is_list(field)
        inner += [(f'{key}.0.' if many else f'{key}.', found) for found in within]
        text = _described(model, name)
        if within:
            names = ', '.join(f'*{found.__name__}*' for found in within)
            text = f'{text} See {names}.'.strip()
        own = '' if isinstance(paper.get(key), dict | list) else _value(paper.get(key, ''))
        rows.append(f'| `{name}` | {_default(field, within)} | {own} | {text} |')
    if prefix:
        about = _one_line(inspect.getdoc(model) or '')
        yield f'### {model.__name__}: `{prefix[:-1]}`\n\n{about}\n'
    yield '| setting | default | paper | |\n|---|---|---|---|\n' + '\n'.join(rows) + '\n'
    for inner_prefix, found in inner:
        if found not in seen:
            seen.add(found)
            yield from _tables(found, inner_prefix, paper, seen)


def _described(model: type[BaseModel], name: str) -> str:
    """Give the text under a field, of the class that defines it last."""
    for found in model.__mro__:
        own = issubclass(found, BaseModel) and found is not BaseModel
        if own and (text := _texts(found).get(name)):
            return text
    return ''


def _texts(model: type) -> dict[str, str]:
    """Give the texts that stand under the fields of a class."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(body, ast.ClassDef)
    texts = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
        ):
            texts[field.target.id] = _one_line(str(text.value.value))
    return texts


def _default(field: FieldInfo, within: list[type[BaseModel]]) -> str:
    if field.is_required():
        return '*needed*'
    value = field.default
    if isinstance(value, BaseModel):
        return 'its own'
    return 'none' if value is None or (within and not value) else _value(value)


def _value(value: Any) -> str:
    if value == '':
        return ''
    if isinstance(value, bool):
        value = str(value).lower()
    elif isinstance(value, float):
        value = f'{value:.6g}'
    elif isinstance(value, tuple):
        value = str(list(value)).replace('(', '[').replace(')', ']')
    return f'`{value}`'


def _is_list(field: FieldInfo) -> bool:
    return str(field.annotation).startswith(('list', 'tuple', 'typing.List'))


def _one_line(text: str) -> str:
    text = ' '.join(text.split()).replace('|', '\\|').replace('``', '`')
    return re.sub(r':(?:class|meth|func):`~?(?:\w+\.)*(\w+)`', r'`\1`', text)


def _paper(name: str) -> dict[str, Any]:
    """Give what a configuration sets, by dotted key; nothing that is a path."""
    values = read_yaml(share_directory() / 'config' / 'train' / f'{name}.yaml')
    flat: dict[str, Any] = {}

    def walk(value: Any, key: str) -> None:
        if isinstance(value, dict):
            for inner, found in value.items():
                walk(found, f'{key}.{inner}' if key else str(inner))
        elif not (isinstance(value, str) and '$' in value):
            flat[key] = tuple(value) if isinstance(value, list) else value

    for key in ('sources', 'train', 'validation', 'provenance'):
        values.pop(key, None)
    walk(values, '')
    return flat
