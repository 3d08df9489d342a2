# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest
from evaluation_worlds import write_bag, write_folder, write_red_bundle


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / 'world')


@pytest.fixture
def bag(tmp_path):
    return write_bag(tmp_path / 'world_bag')


@pytest.fixture(scope='session')
def bundle(tmp_path_factory):
    return write_red_bundle(tmp_path_factory.mktemp('bundle'))
