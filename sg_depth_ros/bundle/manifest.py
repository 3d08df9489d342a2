# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Model bundles: the folder that passes from training to the run-time.

A bundle holds ``bundle.yaml`` (the typed manifest below), ``segmentation.onnx``, ``depth.onnx``
and ``MODEL_CARD.md``. The manifest keeps to what pydantic 1 and 2 share, since robots get
pydantic 1 from their distribution.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError

from sg_depth_ros.files import atomic_path, sha256
from sg_depth_ros.bundle.labels import Label, Role
from sg_depth_ros.bundle.model_card import render_card
from sg_depth_ros.bundle.share import share_directory

FORMAT_VERSION = 1
MANIFEST = 'bundle.yaml'
CARD = 'MODEL_CARD.md'
SEGMENTATION = 'segmentation.onnx'
DEPTH = 'depth.onnx'
FAILURES = 'failures.jpg'
"""Pictures for the card; a bundle works without."""


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
    max: float = Field(gt=0)
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


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk whose manifest and file hashes have been checked."""

    path: Path
    manifest: Manifest

    @property
    def segmentation_onnx(self) -> Path:
        """The graph from image to labels and guidance features."""
        return self.path / SEGMENTATION

    @property
    def depth_onnx(self) -> Path:
        """The graph from image and guidance features to depth."""
        return self.path / DEPTH

    @property
    def labels(self) -> tuple[Label, ...]:
        """The classes of the labels image."""
        return tuple(Label(s.id, s.name, s.color, s.roles) for s in self.manifest.labels)

    @property
    def digest(self) -> str:
        """SHA-256 over the hashes of the graphs: equal digests compute equal depth."""
        hashes = [self.manifest.files[name] for name in (SEGMENTATION, DEPTH)]
        return hashlib.sha256('\n'.join(hashes).encode()).hexdigest()


def load_bundle(path_or_name: str | Path) -> Bundle:
    """Read and check a bundle, given its folder or the name of one in the share folder.

    Raises BundleError if it is missing, or its manifest or files are not what they should be.
    """
    path = _find(path_or_name)
    manifest = _read_manifest(path / MANIFEST)
    for name, expected in manifest.files.items():
        file = path / name
        if not file.is_file():
            raise BundleError(f'{file} is missing, {MANIFEST} lists it; copy the bundle again')
        found = sha256(file)
        if found != expected:
            raise BundleError(
                f'{file} has SHA-256 {found[:12]}..., {MANIFEST} expects {expected[:12]}...; '
                f'the file was changed or cut short: copy or export the bundle again'
            )
    return Bundle(path, manifest)


def write_bundle(
    path: str | Path, fields: Mapping[str, Any], segmentation: bytes, depth: bytes
) -> Bundle:
    """Write a bundle folder, whole or not at all.

    ``fields`` are the manifest's keys without ``format_version`` and ``files``; ``segmentation``
    and ``depth`` are serialised ONNX models. Raises BundleError if ``path`` holds something or
    the fields make no valid manifest.
    """
    path = Path(path)
    require_free(path)
    graphs = {SEGMENTATION: segmentation, DEPTH: depth}
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in graphs.items()}
    manifest = _parse(
        {'format_version': FORMAT_VERSION, **fields, 'files': hashes}, path / MANIFEST
    )
    with atomic_path(path) as temporary:
        temporary.mkdir()
        for name, data in graphs.items():
            (temporary / name).write_bytes(data)
        _write_texts(temporary, manifest)
    return Bundle(path, manifest)


def require_free(path: str | Path) -> None:
    """Raise BundleError if a bundle cannot be written to ``path`` as something is there."""
    path = Path(path)
    if not path.name:
        raise BundleError(
            f'{path} is no name for a new bundle; give the folder that is to be made'
        )
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise BundleError(f'{path} exists already; remove it or choose another folder')


def manifest_values(manifest: Manifest) -> dict[str, Any]:
    """Give the fields of a manifest as :func:`write_bundle` takes them, to derive another."""
    own = ('format_version', 'files')
    return {key: value for key, value in _plain(manifest).items() if key not in own}


def add_metric(
    path: str | Path, metric: Mapping[str, Any], failures: bytes | None = None
) -> Bundle:
    """Put newly measured errors into a bundle's manifest and card.

    They replace what was measured on the same dataset under the same protocol and scaling.

    :param failures: JPEG of images with the greatest errors, for the card to show
    """
    bundle = load_bundle(path)
    values = _plain(bundle.manifest)
    kinds = ('dataset', 'protocol', 'scaling')
    others = [old for old in values['metrics'] if any(old[k] != metric.get(k) for k in kinds)]
    manifest = _parse({**values, 'metrics': [*others, metric]}, bundle.path / MANIFEST)
    if failures is not None:
        with atomic_path(bundle.path / FAILURES) as temporary:
            temporary.write_bytes(failures)
    _write_texts(bundle.path, manifest)
    return Bundle(bundle.path, manifest)


def _find(path_or_name: str | Path) -> Path:
    """Give the folder of a bundle; raises BundleError that lists the installed ones."""
    path = Path(os.path.expanduser(path_or_name))
    if (path / MANIFEST).is_file():
        return path
    if path.is_dir():
        raise BundleError(
            f'{path} holds no {MANIFEST}, so it is no complete bundle; copy or export it again'
        )
    models = share_directory() / 'models'
    if path.name == str(path_or_name) and (models / path / MANIFEST).is_file():
        return models / path
    names = ', '.join(sorted(file.parent.name for file in models.glob(f'*/{MANIFEST}')))
    raise BundleError(
        f'no bundle {path_or_name}: neither a folder nor one of the installed bundles '
        f'({names or "none"}) in {models}; give the path of a bundle folder'
    )


def _read_manifest(file: Path) -> Manifest:
    try:
        values = yaml.safe_load(file.read_text(encoding='utf-8'))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = ' '.join(str(error).split())
        raise BundleError(f'{file} is not YAML ({reason}); copy the bundle again') from error
    if not isinstance(values, dict):
        raise BundleError(f'{file} holds no mapping of keys to values; copy the bundle again')
    version = values.get('format_version')
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise BundleError(
            f'{file} has format_version {version}, this software reads up to {FORMAT_VERSION}; '
            f'update sg_depth_ros'
        )
    return _parse(values, file)


def _parse(values: Mapping[Any, Any], file: Path) -> Manifest:
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


def _plain(manifest: Manifest) -> dict[str, Any]:
    """Give the manifest as the plain values that YAML knows."""
    dump = manifest.model_dump if hasattr(manifest, 'model_dump') else manifest.dict
    # YAML makes dates of what looks like one.
    values: dict[str, Any] = json.loads(json.dumps(dump(), default=str))
    return values


def _yaml(values: Mapping[str, Any]) -> str:
    """Format a manifest with one line for each innermost list or mapping."""
    return yaml.safe_dump(
        values, sort_keys=False, allow_unicode=True, width=99, default_flow_style=None
    )


def _write_texts(folder: Path, manifest: Manifest) -> None:
    """Write the card and, last, the manifest."""
    values = _plain(manifest)
    texts = {
        CARD: render_card(values, FAILURES if (folder / FAILURES).is_file() else None),
        MANIFEST: _yaml(values),
    }
    for name, text in texts.items():
        with atomic_path(folder / name) as temporary:
            temporary.write_text(text, encoding='utf-8')
