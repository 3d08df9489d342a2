# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bundles to test with: one whose answers are a formula, one of real networks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from formula import (
    DEPTH_TEXT,
    HEIGHT,
    SEGMENTATION_TEXT,
    WIDTH,
    BundleMaker,
    graph_bytes,
    manifest_fields,
)
from numpy.typing import NDArray

from sg_depth_ros.bundle import Bundle, write_bundle


@pytest.fixture(scope='session', autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the user's cache out of the tests, and what they make out of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))
        yield


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let a run without a test fail, where colcon would take pytest's status for success."""
    if session.testscollected == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def make_bundle(tmp_path: Path) -> BundleMaker:
    """Write a formula bundle; changes to graphs or fields make faulty ones."""

    def make(
        segmentation: str = SEGMENTATION_TEXT,
        depth: str = DEPTH_TEXT,
        folder: str = 'formula',
        **fields: Any,
    ) -> Bundle:
        return write_bundle(
            tmp_path / folder,
            manifest_fields(**fields),
            graph_bytes(segmentation),
            graph_bytes(depth),
        )

    return make


@pytest.fixture
def formula_bundle(make_bundle: BundleMaker) -> Bundle:
    return make_bundle()


@pytest.fixture
def frame() -> NDArray[np.uint8]:
    """An image of the formula bundle's size whose channels never tie."""
    values = np.random.default_rng(1).permuted(np.arange(256, dtype=np.uint8))
    return np.resize(values, (HEIGHT, WIDTH, 3))


@pytest.fixture(scope='session')
def network_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of small guided networks with random weights, for 128x64 pixels."""
    torch = pytest.importorskip('torch')
    from sg_depth_ros.networks.checkpoint import save_networks
    from sg_depth_ros.networks.depth_resnet import DepthResNet, DepthResNetConfig
    from sg_depth_ros.networks.guidance import GuidanceConfig
    from sg_depth_ros.networks.segmentation import SegmentationConfig, SegmentationNet

    torch.manual_seed(0)
    guidance = GuidanceConfig(strides=(4,), feature_channels=16, channels=4)
    segmentation = SegmentationNet(SegmentationConfig(encoder='resnet10t', pyramid_channels=16))
    depth = DepthResNet(
        DepthResNetConfig(encoder='resnet10t', decoder_channels=(16,) * 5, guidance=guidance)
    )
    with torch.no_grad():
        # Random heads say the same everywhere; these use the range of depth.
        for head in depth.heads.values():
            head.weight *= 20
            head.bias -= 4
        # So do random features, by which everything is alike.
        for project in depth.guide.project.values():
            project.weight *= 20
    path = tmp_path_factory.mktemp('checkpoint') / 'networks.pt'
    meta = {
        'input_width': 256,
        'input_height': 128,
        'training_focal_length': 148.0,
        'scale': 'relative',
        'provenance': {'data': 'none'},
    }
    save_networks(path, segmentation, depth, meta)
    return path


@pytest.fixture(scope='session')
def network_bundle(network_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """These networks, exported."""
    from sg_depth_ros.export import export_checkpoint

    out = tmp_path_factory.mktemp('models') / 'small'
    return export_checkpoint(network_checkpoint, out, size=(128, 64))
