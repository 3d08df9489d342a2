# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bundle folders on disk: found, checked against their hashes, and written whole or not at all.

A bundle holds ``bundle.yaml`` (see ``manifest``), ``segmentation.onnx``, ``depth.onnx`` and
``MODEL_CARD.md``.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sg_depth_ros.bundle.external_data import external_files
from sg_depth_ros.bundle.labels import Label
from sg_depth_ros.bundle.manifest import (
    DEPTH,
    FORMAT_VERSION,
    MANIFEST,
    SEGMENTATION,
    BundleError,
    Manifest,
    format_manifest,
    parse_manifest,
    plain_values,
    read_manifest,
)
from sg_depth_ros.bundle.model_card import render_card
from sg_depth_ros.bundle.share import share_directory
from sg_depth_ros.files import atomic_path, sha256

CARD = 'MODEL_CARD.md'
FAILURES = 'failures.jpg'
"""Pictures for the card; a bundle works without."""


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
    def label_names(self) -> dict[int, str]:
        """The names of the classes by the id that the labels image holds."""
        return {label.id: label.name for label in self.manifest.labels}

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
    manifest = read_manifest(path / MANIFEST)
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
        _require_alone(file.read_bytes(), file)
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
    _require_alone(segmentation, path / SEGMENTATION)
    _require_alone(depth, path / DEPTH)
    graphs = {SEGMENTATION: segmentation, DEPTH: depth}
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in graphs.items()}
    manifest = parse_manifest(
        {'format_version': FORMAT_VERSION, **fields, 'files': hashes}, path / MANIFEST
    )
    with atomic_path(path) as temporary:
        temporary.mkdir()
        for name, data in graphs.items():
            (temporary / name).write_bytes(data)
        _write_texts(temporary, manifest)
    return Bundle(path, manifest)


def _require_alone(graph: bytes, file: Path) -> None:
    """Raise BundleError if a graph keeps weights in files that no hash speaks for."""
    if others := external_files(graph):
        raise BundleError(
            f'{file} keeps weights in another file ({others[0]}), whose hash {MANIFEST} does not '
            'have; export the network again with all weights inside of it'
        )


def require_free(path: str | Path) -> None:
    """Raise BundleError if a bundle cannot be written to ``path`` as something is there."""
    path = Path(path)
    if not path.name:
        raise BundleError(
            f'{path} is no name for a new bundle; give the folder that is to be made'
        )
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise BundleError(f'{path} exists already; remove it or choose another folder')


def add_metric(
    path: str | Path, metric: Mapping[str, Any], failures: bytes | None = None
) -> Bundle:
    """Put newly measured errors into a bundle's manifest and card.

    They replace what was measured on the same dataset under the same protocol and scaling.

    :param failures: JPEG of images with the greatest errors, for the card to show
    """
    bundle = load_bundle(path)
    values = plain_values(bundle.manifest)
    kinds = ('dataset', 'protocol', 'scaling')
    others = [old for old in values['metrics'] if any(old[k] != metric.get(k) for k in kinds)]
    manifest = parse_manifest({**values, 'metrics': [*others, metric]}, bundle.path / MANIFEST)
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


def _write_texts(folder: Path, manifest: Manifest) -> None:
    """Write the card and, last, the manifest."""
    values = plain_values(manifest)
    texts = {
        CARD: render_card(values, FAILURES if (folder / FAILURES).is_file() else None),
        MANIFEST: format_manifest(values),
    }
    for name, text in texts.items():
        with atomic_path(folder / name) as temporary:
            temporary.write_text(text, encoding='utf-8')
