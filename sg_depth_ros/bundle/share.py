# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the package's launch files, configuration and model bundles lie."""

from __future__ import annotations

from pathlib import Path

PACKAGE = 'sg_depth_ros'


def share_directory(module_file: str | Path = __file__) -> Path:
    """Give the folder that holds ``models``, ``config`` and ``launch``.

    In a source tree (also through an editable or ``--symlink-install`` installation) that is its
    root. Everywhere else Python packages lie under the prefix that also holds ``share``, be it
    a virtual environment, ``~/.local``, a colcon workspace or ``/opt/ros``: the nearest
    ``share/sg_depth_ros`` above the code is the one that was installed with it, which an
    environment variable with several workspaces cannot promise.

    Raises FileNotFoundError if the code was copied without its share folder.
    """
    package = Path(module_file).resolve().parents[1]
    if (package.parent / 'resource' / PACKAGE).is_file():
        return package.parent
    for parent in package.parents:
        if (parent / 'share' / PACKAGE).is_dir():
            return parent / 'share' / PACKAGE
    raise FileNotFoundError(
        f'no share/{PACKAGE} folder above {package}, expected the one that an installation makes; '
        f'install the package with pip or colcon'
    )
