# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Point clouds as binary PLY files, which CloudCompare, MeshLab, Open3D and Blender open."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.files import atomic_path

_PLY_TYPES = {'<f4': 'float', '|u1': 'uchar'}


def write_ply(
    path: str | Path,
    points_n3: NDArray[np.floating],
    colors_n3: NDArray[np.uint8],
    labels_n: NDArray[np.integer] | None = None,
) -> int:
    """Write the finite points with their colours; give how many there were.

    :param points_n3: (N, 3), written as float32 in the frame and unit they have.
    :param colors_n3: (N, 3) uint8 RGB.
    :param labels_n: (N,) class ids, written as the property ``label``.
    """
    known = np.isfinite(points_n3).all(1)
    layout = [(name, '<f4') for name in 'xyz']
    layout += [(name, '|u1') for name in ('red', 'green', 'blue')]
    columns = [*points_n3[known].T, *colors_n3[known].T]
    if labels_n is not None:
        layout.append(('label', '|u1'))
        columns.append(labels_n[known])
    vertices = np.empty(int(known.sum()), layout)
    for (name, _), column in zip(layout, columns, strict=True):
        vertices[name] = column
    header = [
        'ply',
        'format binary_little_endian 1.0',
        f'element vertex {len(vertices)}',
        *(f'property {_PLY_TYPES[kind]} {name}' for name, kind in layout),
        'end_header\n',
    ]
    with atomic_path(path) as temporary, temporary.open('wb') as file:
        file.write('\n'.join(header).encode())
        file.write(vertices.tobytes())
    return len(vertices)
