# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

torch = pytest.importorskip('torch')

from sg_depth_ros.networks.checkpoint import (  # noqa: E402
    load_networks,
    save_half,
    save_networks,
    save_unguided,
)
from sg_depth_ros.networks.depth_resnet import DepthResNet, DepthResNetConfig  # noqa: E402
from sg_depth_ros.networks.families import DepthConfig, build_depth  # noqa: E402
from sg_depth_ros.networks.guidance import GuidanceConfig  # noqa: E402
from sg_depth_ros.networks.packnet import PackNet, PackNetConfig  # noqa: E402
from sg_depth_ros.networks.pose import PoseNet, PoseNetConfig  # noqa: E402
from sg_depth_ros.networks.segmentation import SegmentationConfig, SegmentationNet  # noqa: E402

GUIDANCE = GuidanceConfig(strides=(4,), feature_channels=8, channels=4)
SEGMENTATION = SegmentationConfig(encoder='resnet10t', pyramid_channels=8, classes=5)
RESNET = DepthResNetConfig(
    encoder='resnet10t', decoder_channels=(8, 8, 8, 8, 8), guidance=GUIDANCE, max_depth=70.0
)
PACKNET = PackNetConfig(
    stem_channels=4, channels=(4, 4, 4, 4, 4), blocks=(1, 1, 1, 1), groups=2, guidance=None
)
META = {'input_width': 64, 'scale': 'metric', 'provenance': {'data': ['street'], 'steps': 3}}


def assert_same_state(a: torch.nn.Module, b: torch.nn.Module) -> None:
    assert a.state_dict().keys() == b.state_dict().keys()
    assert all(torch.equal(v, b.state_dict()[k]) for k, v in a.state_dict().items())


@pytest.mark.parametrize(
    ('config', 'kind'), [(RESNET, DepthResNet), (PACKNET, PackNet)], ids=['resnet', 'packnet']
)
def test_what_is_saved_is_loaded(config: BaseModel, kind: type, tmp_path: Path) -> None:
    segmentation, depth = SegmentationNet(SEGMENTATION), build_depth(config)
    save_networks(tmp_path / 'n.pt', segmentation, depth, META)
    loaded_segmentation, loaded_depth, meta = load_networks(tmp_path / 'n.pt')
    assert meta == META
    assert (loaded_segmentation.config, loaded_depth.config) == (SEGMENTATION, config)
    assert type(loaded_depth) is kind
    assert_same_state(segmentation, loaded_segmentation)
    assert_same_state(depth, loaded_depth)
    assert loaded_segmentation.frozen and not loaded_depth.training
    assert os.listdir(tmp_path) == ['n.pt']


def test_half_a_checkpoint_loads_as_the_whole(tmp_path: Path) -> None:
    segmentation, depth = SegmentationNet(SEGMENTATION), build_depth(RESNET)
    # A statistic that float16 cannot hold.
    depth.encoder.body.bn1.running_var.fill_(1e6)
    save_networks(tmp_path / 'n.pt', segmentation, depth, META)
    save_half(tmp_path / 'n.pt', tmp_path / 'h.pt', 'CC0-1.0')
    sizes = [(tmp_path / name).stat().st_size for name in ('h.pt', 'n.pt')]
    assert sizes[0] < 0.6 * sizes[1]
    _, loaded, meta = load_networks(tmp_path / 'h.pt')
    assert meta == {**META, 'licence': 'CC0-1.0'}
    for name, value in depth.state_dict().items():
        found = loaded.state_dict()[name]
        assert found.dtype == value.dtype
        torch.testing.assert_close(found, value, rtol=1e-3, atol=1e-6)


def test_a_segmentation_network_alone_and_one_with_pose(tmp_path: Path) -> None:
    segmentation = SegmentationNet(SEGMENTATION)
    save_networks(tmp_path / 's.pt', segmentation, None, {})
    assert load_networks(tmp_path / 's.pt')[1:] == (None, {})
    pose = PoseNet(PoseNetConfig(channels=(16, 16)))
    save_networks(tmp_path / 'p.pt', segmentation, None, {}, pose)
    state = torch.load(tmp_path / 'p.pt', weights_only=True)['pose']
    pose.load_state_dict(state)


def test_poses_are_small_and_one_for_each_neighbour() -> None:
    images = torch.rand(2, 3, 64, 128), torch.rand(2, 3, 3, 64, 128)
    motion = PoseNet(PoseNetConfig(neighbours=3))(*images)
    assert motion.shape == (2, 3, 6)
    assert 0 < motion.abs().max() < 0.05
    assert not PoseNet(PoseNetConfig(neighbours=3, begin_still=True))(*images).any()


class Attack:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_a_file_that_would_run_code_is_refused_and_does_not(tmp_path: Path) -> None:
    torch.save({'format': 1, 'meta': Attack(tmp_path / 'ran')}, tmp_path / 'bad.pt')
    with pytest.raises(ValueError, match=r'bad\.pt is not a network checkpoint \(Unpickling'):
        load_networks(tmp_path / 'bad.pt')
    assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize('content', [b'', b'not a checkpoint', b'PK\x03\x04 torn'])
def test_foreign_and_torn_files(content: bytes, tmp_path: Path) -> None:
    (tmp_path / 'x.pt').write_bytes(content)
    with pytest.raises(ValueError, match=r'is not a network checkpoint .* `sg_depth train`'):
        load_networks(tmp_path / 'x.pt')


@pytest.mark.parametrize('content', [{'state_dict': {}}, [1, 2], torch.zeros(3)], ids=repr)
def test_checkpoints_of_others(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / 'x.pt')
    with pytest.raises(ValueError, match='is not a network checkpoint'):
        load_networks(tmp_path / 'x.pt')


def test_a_newer_format_says_so(tmp_path: Path) -> None:
    torch.save({'format': 2, 'meta': {}}, tmp_path / 'x.pt')
    with pytest.raises(ValueError, match='has checkpoint format 2, this version reads 1; update'):
        load_networks(tmp_path / 'x.pt')


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        (lambda content: content.pop('segmentation'), "'segmentation'"),
        (lambda content: content['depth']['config'].update(newer=1), 'newer'),
        (lambda content: content['depth']['state_dict'].popitem(), 'Missing key'),
    ],
    ids=['part', 'setting', 'weight'],
)
def test_networks_of_another_version_are_named_with_their_file(
    change: Callable[[Any], object], reason: str, tmp_path: Path
) -> None:
    save_networks(tmp_path / 'n.pt', SegmentationNet(SEGMENTATION), PackNet(PACKNET), {})
    content = torch.load(tmp_path / 'n.pt', weights_only=True)
    change(content)
    torch.save(content, tmp_path / 'n.pt')
    with pytest.raises(ValueError, match=rf'(?s)n\.pt holds networks that .*{reason}.*version'):
        load_networks(tmp_path / 'n.pt')


def test_a_missing_file_is_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'does not exist; give a \.pt file'):
        load_networks(tmp_path / 'x.pt')


class Settings(BaseModel):
    network: DepthConfig


def test_the_family_is_chosen_by_name_and_is_resnet_where_none_is_given() -> None:
    assert Settings(network={'family': 'packnet', 'groups': 8}).network == PackNetConfig(groups=8)
    assert Settings(network={'max_depth': 9.0}).network == DepthResNetConfig(max_depth=9.0)
    assert Settings(network=PACKNET).network is PACKNET
    assert type(build_depth(PACKNET.model_dump(mode='json'))) is PackNet


def test_unknown_families_and_settings_are_named() -> None:
    with pytest.raises(ValidationError, match=r"'vit' .*'resnet', 'packnet'"):
        build_depth({'family': 'vit'})
    with pytest.raises(ValidationError, match=r'packnet\.encoder\n.*Extra inputs'):
        Settings(network={'family': 'packnet', 'encoder': 'resnet18'})


def test_the_unguided_twin_has_the_weights_and_no_guidance(tmp_path: Path) -> None:
    depth = DepthResNet(RESNET)
    save_networks(tmp_path / 'guided.pt', SegmentationNet(SEGMENTATION), depth, META)
    save_unguided(tmp_path / 'guided.pt', tmp_path / 'plain.pt')
    _, plain, meta = load_networks(tmp_path / 'plain.pt')
    assert plain is not None and plain.config.guidance is None and meta == META
    guided = depth.state_dict()
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(value, guided[name])
    with pytest.raises(ValueError, match='holds no guided depth network, so there is nothing'):
        save_unguided(tmp_path / 'plain.pt', tmp_path / 'again.pt')
