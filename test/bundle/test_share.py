# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from sg_depth_ros.bundle.share import share_directory


def test_in_this_installation_it_holds_launch_and_config() -> None:
    assert {'launch', 'config', 'models'} <= {p.name for p in share_directory().iterdir()}


@pytest.mark.parametrize(
    'packages',
    [
        'venv/lib/python3.11/site-packages',
        'workspace/install/sg_depth_ros/local/lib/python3.10/dist-packages',
        'target',
    ],
)
def test_an_installed_package_finds_the_share_of_its_own_prefix(
    tmp_path: Path, packages: str
) -> None:
    package = tmp_path / packages / 'sg_depth_ros'
    package.mkdir(parents=True)
    prefix = tmp_path.joinpath(*Path(packages).parts[:1])
    if 'workspace' in packages:
        prefix = prefix / 'install' / 'sg_depth_ros'
    share = prefix / 'share' / 'sg_depth_ros'
    share.mkdir(parents=True)
    (tmp_path / 'share' / 'sg_depth_ros').mkdir(parents=True)  # of another installation
    assert share_directory(package / 'bundle' / 'share.py') == share


def test_a_symlink_to_a_source_tree_leads_to_the_tree(tmp_path: Path) -> None:
    source = tmp_path / 'src'
    (source / 'sg_depth_ros').mkdir(parents=True)
    (source / 'resource').mkdir()
    (source / 'resource' / 'sg_depth_ros').touch()
    link = tmp_path / 'build' / 'sg_depth_ros'
    link.parent.mkdir()
    link.symlink_to(source / 'sg_depth_ros')
    assert share_directory(link / 'bundle' / 'share.py') == source


def test_code_without_a_share_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match='install the package'):
        share_directory(tmp_path / 'sg_depth_ros' / 'bundle' / 'share.py')
