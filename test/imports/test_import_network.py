# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a published file to a bundle that runs, and to weights that train on."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('lightning')
pytest.importorskip('onnx')

from published import published_checkpoint, write_monodepth2  # noqa: E402

from sg_depth_ros.bundle import BundleError, load_bundle  # noqa: E402
from sg_depth_ros.estimator import Estimator  # noqa: E402
from sg_depth_ros.imports import table  # noqa: E402
from sg_depth_ros.imports.kind import ForeignNetworkError, ImportOptions  # noqa: E402
from sg_depth_ros.imports.table import import_network  # noqa: E402
from sg_depth_ros.networks.checkpoint import load_networks, load_pose  # noqa: E402
from sg_depth_ros.networks.families import build_depth, build_pose  # noqa: E402
from sg_depth_ros.networks.guidance import GuidanceConfig  # noqa: E402
from sg_depth_ros.networks.pose import PoseNetConfig, PoseResNetConfig  # noqa: E402
from sg_depth_ros.training.warm_start import take_fitting  # noqa: E402


@pytest.fixture(scope='module')
def imported(network_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of monodepth2 as a bundle, for 128x64 pixels."""
    folder = tmp_path_factory.mktemp('import')
    source = write_monodepth2(folder / 'mono_640x192', 18, width=640, height=192, use_stereo=True)
    options = ImportOptions(
        str(network_checkpoint), size=(128, 64), focal_length=74.4, licence='LicenseRef-theirs'
    )
    bundle, notes = import_network(source, folder / 'models' / 'mono', options)
    assert bundle.path == folder / 'models' / 'mono'
    assert notes == [f'{folder}/models/mono.pt is written, to train on from']
    return bundle.path


def test_the_bundle_says_what_is_known_of_it(imported: Path) -> None:
    manifest = load_bundle(imported).manifest
    assert (manifest.input.width, manifest.input.height) == (128, 64)
    assert manifest.depth.scale == 'metric'
    assert (manifest.depth.min, manifest.depth.max) == pytest.approx((0.54, 540))
    assert manifest.depth.training_focal_length == 74.4
    assert manifest.licence == 'LicenseRef-theirs AND LicenseRef-unstated'
    found = manifest.provenance
    assert found['network'] == 'resnet18 of monodepth2'
    files = {name.split()[0] for name in found['imported_files'].split(', ')}
    assert files == {'encoder.pth', 'depth.pth', 'pose_encoder.pth', 'pose.pth'}
    assert len(manifest.labels) == 19


def test_the_bundle_runs_as_the_network_does(imported: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 128, 3), np.uint8)
    estimator = Estimator.load(imported, 'onnxruntime')
    depth = estimator.predict(image).depth
    estimator.close()
    _, network, _ = load_networks(imported.with_suffix('.pt'))
    chw = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    assert network is not None
    with torch.no_grad():
        expected = network(chw, None)[0][0, 0].reciprocal().numpy()
    assert depth.max() > 1.05 * depth.min()
    np.testing.assert_allclose(depth, expected, rtol=1e-4)


def test_a_training_goes_on_from_it_guided_or_not(
    imported: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights = imported.with_suffix('.pt')
    _, found, _ = load_networks(weights)
    assert found is not None and found.config.guidance is None
    for guidance in (None, GuidanceConfig(strides=(4, 8), feature_channels=16)):
        caplog.clear()
        network = build_depth(found.config.model_copy(update={'guidance': guidance}))
        with caplog.at_level(logging.WARNING):
            take_fitting(network, found, weights)
        assert not caplog.records
        own = network.state_dict()
        for name, value in found.state_dict().items():
            assert torch.equal(own[name], value), name
    # Weights that were trained under another normalisation are not taken in silence.
    other = build_depth(found.config.model_copy(update={'mean': None, 'padding': 'zeros'}))
    with caplog.at_level(logging.WARNING):
        take_fitting(other, found, weights)
    assert "was trained with mean (0.45, 0.45, 0.45), padding 'reflect'; set" in caplog.text


def test_its_pose_network_needs_its_settings(imported: Path) -> None:
    weights = imported.with_suffix('.pt')
    config = torch.load(weights, weights_only=True)['pose_config']
    pose = build_pose(PoseResNetConfig(**config))
    load_pose(weights, pose)
    state = torch.load(weights, weights_only=True)['pose']
    assert all(torch.equal(state[name], value) for name, value in pose.state_dict().items())
    with pytest.raises(ValueError, match=r"another kind .* pose: \{'family': 'resnet'"):
        load_pose(weights, build_pose(PoseNetConfig()))


def test_what_is_not_said_is_asked_for_and_nothing_is_left(
    network_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, 'export_checkpoint', lambda *_, **__: 1 / 0)
    source, out = tmp_path / 'm.ckpt', tmp_path / 'models' / 'm'
    torch.save({'state_dict': published_checkpoint('DepthResNet18')}, source)
    segmentation = str(network_checkpoint)
    with pytest.raises(ForeignNetworkError, match=r'does not say the size .* --size WIDTHxHEIGHT'):
        import_network(source, out, ImportOptions(segmentation))
    with pytest.raises(ForeignNetworkError, match=r'images 1280 wide \(KITTI: 743.6\)'):
        import_network(source, out, ImportOptions(segmentation, size=(1280, 384)))
    options = ImportOptions(segmentation, size=(128, 64), focal_length=70.0)
    with pytest.raises(ZeroDivisionError):
        import_network(source, out, options)
    assert list((tmp_path / 'models').iterdir()) == []
    out.with_suffix('.pt').write_text('mine')
    with pytest.raises(ForeignNetworkError, match=r'm.pt exists already; remove it or choose'):
        import_network(source, out, options)
    out.mkdir()
    (out / 'mine').touch()
    with pytest.raises(BundleError, match='exists already'):
        import_network(source, out, options)


def test_what_is_of_no_known_kind_is_said(network_checkpoint: Path, tmp_path: Path) -> None:
    options = ImportOptions(str(network_checkpoint))
    with pytest.raises(ForeignNetworkError, match='does not exist; give the network as it was'):
        import_network(tmp_path / 'x', tmp_path / 'o', options)
    with pytest.raises(ForeignNetworkError, match=r'known here, which are packnet-sfm: .*; mono'):
        import_network(tmp_path, tmp_path / 'o', options)
    with pytest.raises(
        ForeignNetworkError, match=r'no state_dict .* but format, meta.* sg_depth e'
    ):
        import_network(network_checkpoint, tmp_path / 'o', options)
    torch.save({'state_dict': {'a': torch.zeros(1)}}, tmp_path / 'a.pth')
    with pytest.raises(ForeignNetworkError, match='holds no depth network'):
        import_network(tmp_path / 'a.pth', tmp_path / 'o', options)
