# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The typed contents of ``bundle.yaml``: what a bundle says of itself, checked key by key.

They keep to what pydantic 1 and 2 share, since robots get pydantic 1 from their distribution.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError

from sg_depth_ros.bundle.labels import Role
from sg_depth_ros.documents import DocumentError, read_yaml

FORMAT_VERSION = 1
MANIFEST = 'bundle.yaml'
SEGMENTATION = 'segmentation.onnx'
DEPTH = 'depth.onnx'


class BundleError(ValueError):
    """A bundle is missing, damaged or of another version; the message says what to do."""


class InputSpec(BaseModel, extra='forbid', frozen=True):
    """Network size in pixels; images are uint8 RGB stretched to it."""

    width: int = Field(gt=0)
    height: int = Field(gt=0)


class Normalisation(BaseModel, extra='forbid', frozen=True):
    """RGB mean and deviation of images in 0..1; for the record, the graph applies them."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class LabelSpec(BaseModel, extra='forbid', frozen=True):
    """One class of the labels image."""

    id: int = Field(ge=0, le=255)
    name: str = Field(min_length=1)
    color: tuple[int, int, int]
    roles: tuple[Role, ...]


class DepthSpec(BaseModel, extra='forbid', frozen=True):
    """Range of the depth output and the camera it holds for.

    ``min`` and ``max`` are metres if ``scale`` is metric. Depth is right for a camera whose
    focal length is ``training_focal_length`` pixels at the network's input width.
    """

    min: float = Field(gt=0)
    max: float = Field(gt=0, lt=math.inf)
    scale: Literal['relative', 'metric']
    training_focal_length: float = Field(gt=0, lt=math.inf)


class Metric(BaseModel, extra='forbid', frozen=True):
    """Errors measured on one dataset under one protocol."""

    dataset: str
    protocol: str
    scaling: str
    values: dict[str, float]


class Manifest(BaseModel, extra='forbid', frozen=True):
    """Contents of ``bundle.yaml``."""

    format_version: Literal[1]
    name: str
    description: str
    licence: str
    input: InputSpec
    normalisation: Normalisation
    labels: tuple[LabelSpec, ...]
    depth: DepthSpec
    precision: Literal['fp32', 'fp16', 'int8']
    provenance: dict[str, Any]
    metrics: tuple[Metric, ...]
    files: dict[str, str]


def read_manifest(file: Path) -> Manifest:
    """Read and validate a ``bundle.yaml``; raises BundleError that says what is wrong."""
    try:
        values = read_yaml(file)
    except DocumentError as error:
        raise BundleError(f'{error}; copy the bundle again') from error
    if not isinstance(values, dict):
        raise BundleError(f'{file} holds no mapping of keys to values; copy the bundle again')
    if key := _truth_value({name: values[name] for name in values if name != 'provenance'}):
        raise BundleError(
            f'{file}: {key} is wrong: found true or false, which no key has; correct it or export '
            'the bundle again'
        )
    version = values.get('format_version')
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise BundleError(
            f'{file} has format_version {version}, this software reads up to {FORMAT_VERSION}; '
            f'update sg_depth_ros'
        )
    return parse_manifest(values, file)


def _truth_value(values: Any) -> str:
    """Give the key of a true or false, which pydantic would take for 1 or 0; '' without any."""
    pairs = values.items() if isinstance(values, dict) else enumerate(values)
    for key, value in pairs:
        if isinstance(value, bool):
            return str(key)
        if isinstance(value, dict | list) and (inner := _truth_value(value)):
            return f'{key}.{inner}'
    return ''


def parse_manifest(values: Mapping[Any, Any], file: Path) -> Manifest:
    """Validate a manifest; the first fault becomes one sentence that names the key."""
    try:
        manifest = Manifest(**{str(key): value for key, value in values.items()})
    except ValidationError as error:
        fault = error.errors()[0]
        key = '.'.join(str(part) for part in fault['loc'])
        if 'extra' in fault['type']:
            reason = f'unknown key {key}; remove it or update sg_depth_ros'
        elif fault['type'].endswith('missing'):
            reason = f'the key {key} is missing; add it or export the bundle again'
        else:
            reason = f'{key} is wrong: {fault["msg"]}; correct it or export the bundle again'
        raise BundleError(f'{file}: {reason}') from error
    if reason := _contradiction(manifest):
        raise BundleError(f'{file}: {reason}; correct it or export the bundle again')
    return manifest


def _contradiction(manifest: Manifest) -> str:
    """Give what is wrong although every key has the right type; empty if nothing is."""
    depth, labels = manifest.depth, manifest.labels
    if depth.min >= depth.max:
        return f'depth.min {depth.min} is not below depth.max {depth.max}'
    if set(manifest.files) != {SEGMENTATION, DEPTH}:
        return f'files lists {sorted(manifest.files)}, expected exactly {SEGMENTATION} and {DEPTH}'
    if not labels:
        return 'labels is empty, expected one entry for each class'
    ids = [label.id for label in labels]
    if doubled := sorted({number for number in ids if ids.count(number) > 1}):
        return f'labels has id {doubled[0]} more than once'
    for label in labels:
        if not all(0 <= value <= 255 for value in label.color):
            return f'label {label.name} has color {list(label.color)}, expected 0 to 255'
    return ''


def manifest_values(manifest: Manifest) -> dict[str, Any]:
    """Give the fields of a manifest as :func:`write_bundle` takes them, to derive another."""
    own = ('format_version', 'files')
    return {key: value for key, value in plain_values(manifest).items() if key not in own}


def plain_values(manifest: Manifest) -> dict[str, Any]:
    """Give the manifest as the plain values that YAML knows."""
    dump = manifest.model_dump if hasattr(manifest, 'model_dump') else manifest.dict
    # YAML makes dates of what looks like one.
    values: dict[str, Any] = json.loads(json.dumps(dump(), default=str))
    return values


def format_manifest(values: Mapping[str, Any]) -> str:
    """Format a manifest with one line for each innermost list or mapping."""
    return yaml.safe_dump(
        values, sort_keys=False, allow_unicode=True, width=99, default_flow_style=None
    )
