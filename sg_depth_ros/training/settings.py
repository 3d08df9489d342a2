# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings read from YAML with ``key=value`` overrides, checked against typed models."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

T = TypeVar('T', bound=BaseModel)


def load_settings(model: type[T], path: str | Path, overrides: Sequence[str] = ()) -> T:
    """Read a YAML file into ``model``; environment variables in it are expanded.

    :param overrides: ``key=value`` or ``outer.inner=value``; values are YAML
    :raises ValueError: that names every unknown, missing or bad key
    """
    text = os.path.expandvars(Path(path).read_text())
    try:
        values = yaml.safe_load(text) or {}
        for override in overrides:
            _override(values, override)
        return model.model_validate(values)
    except yaml.YAMLError as error:
        raise ValueError(f'{path} is not YAML: {error}') from error
    except ValidationError as error:
        problems = '; '.join(
            f'{".".join(map(str, item["loc"]))}: {item["msg"]}' for item in error.errors()
        )
        raise ValueError(f'{path}: {problems}') from error


def _override(values: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition('=')
    if not separator:
        raise ValueError(f'{override!r} is no setting; write key=value')
    *outer, last = key.split('.')
    for name in outer:
        values = values.setdefault(name, {})
    values[last] = yaml.safe_load(text)
