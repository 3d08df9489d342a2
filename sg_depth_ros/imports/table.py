# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The one way in for a published network: ``KINDS`` tells them apart, each becomes a bundle.

Another kind is another row, with a function that makes the bundle. Those whose weights fit the
networks of this package are read into these, and then exported as a training's are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from sg_depth_ros.bundle import Bundle, require_free
from sg_depth_ros.export import export_checkpoint
from sg_depth_ros.files import atomic_path, sha256
from sg_depth_ros.imports.kind import ForeignNetworkError, FoundNetworks, ImportOptions, Kind
from sg_depth_ros.imports.monodepth2 import is_monodepth2, read_monodepth2
from sg_depth_ros.imports.packnet_sfm import KITTI_FOCAL_LENGTH, is_packnet_sfm, read_packnet_sfm
from sg_depth_ros.networks.checkpoint import load_networks, save_networks
from sg_depth_ros.training.warm_start import find_networks, licence_of

UNSTATED = 'LicenseRef-unstated'
"""Stands for a licence of weights that nobody has stated."""


def import_network(path: Path, out: Path, options: ImportOptions) -> tuple[Bundle, list[str]]:
    """Make a bundle of a published network.

    :param path: its file or folder, as it was published
    :param out: the bundle's folder; must not exist
    :return: the bundle, and what was left out, a sentence each
    :raises ForeignNetworkError: if it is of no known kind, damaged, or does not say what must
        be known; nothing is left behind
    :raises BundleError: if ``out`` holds something
    """
    require_free(out)
    if not path.exists():
        raise ForeignNetworkError(f'{path} does not exist; give the network as it was published')
    for kind in KINDS:
        if kind.recognises(path):
            return kind.to_bundle(path, out, options)
    known = '; '.join(f'{kind.name}: {kind.looks_like}' for kind in KINDS)
    raise ForeignNetworkError(
        f'{path} is no network of a kind that is known here, which are {known}'
    )


def _by_weights(
    read: Callable[[Path], FoundNetworks], path: Path, out: Path, options: ImportOptions
) -> tuple[Bundle, list[str]]:
    """Make a bundle of weights that fit networks of this package, and write them too."""
    weights = options.weights or out.with_name(f'{out.name}.pt')
    if weights.exists():
        raise ForeignNetworkError(
            f'{weights} exists already; remove it or choose another with --weights'
        )
    segmentation_file = find_networks(Path(options.segmentation))
    found = read(path)
    width, height = _size(path, found, options)
    segmentation, _, of_segmentation = load_networks(segmentation_file)
    licences = {
        options.licence or found.licence or UNSTATED,
        licence_of(segmentation_file, of_segmentation) or UNSTATED,
    }
    meta = {
        'input_width': width,
        'input_height': height,
        'training_focal_length': _focal_length(path, width, found, options),
        'scale': 'metric' if options.metric or found.metric else 'relative',
        'licence': ' AND '.join(sorted(licences)),
        'cameras': {},
        'provenance': {
            **found.origin,
            'imported_files': _hashes(path),
            **{
                key: value
                for key, value in of_segmentation['provenance'].items()
                if key.startswith('segmentation') or key == 'data_licences'
            },
        },
    }
    if 'labels' in of_segmentation:
        meta['labels'] = of_segmentation['labels']
    with atomic_path(weights) as temporary:
        save_networks(temporary, segmentation, found.depth, meta, found.pose)
        description = f'{found.origin["network"]}: depth from one camera, without guidance.'
        bundle = export_checkpoint(temporary, out, description=description)
    return bundle, [*found.notes, f'{weights} is written, to train on from']


def _size(path: Path, found: FoundNetworks, options: ImportOptions) -> tuple[int, int]:
    size = options.size or found.size
    if size is None:
        raise ForeignNetworkError(
            f'{path} does not say the size of the images that it was trained with; give it as '
            '--size WIDTHxHEIGHT'
        )
    return size


def _focal_length(path: Path, width: int, found: FoundNetworks, options: ImportOptions) -> float:
    if options.focal_length is not None:
        return options.focal_length
    if found.focal_length is None:
        raise ForeignNetworkError(
            f'{path} does not say which camera it was trained with, and depth holds for its '
            f'focal length alone; give it as --focal-length, in pixels of images {width} wide '
            f'(KITTI: {KITTI_FOCAL_LENGTH * width:.1f})'
        )
    return round(found.focal_length * width, 1)


def _hashes(path: Path) -> str:
    """Name the files with their SHA-256."""
    files = sorted(path.glob('*.pth')) if path.is_dir() else [path]
    return ', '.join(f'{file.name} {sha256(file)}' for file in files)


KINDS = (
    Kind(
        'packnet-sfm',
        'a file NAME.ckpt (PackNet01, PackNetSlim01 or DepthResNet)',
        is_packnet_sfm,
        partial(_by_weights, read_packnet_sfm),
    ),
    Kind(
        'monodepth2',
        'a folder with encoder.pth and depth.pth (ResNet-18 or -50)',
        is_monodepth2,
        partial(_by_weights, read_monodepth2),
    ),
)
"""In the order in which they are asked."""
