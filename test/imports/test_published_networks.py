# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Published networks answer here as the code of their authors does.

The figures are what packnet-sfm and monodepth2 themselves gave with the weights and images of
``published.py``: inverse depth or depth at five pixels, and 3x4 poses.
"""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('timm')

from published import images, published_checkpoint, write_monodepth2  # noqa: E402

from sg_depth_ros.imports.kind import ForeignNetworkError  # noqa: E402
from sg_depth_ros.imports.monodepth2 import read_monodepth2  # noqa: E402
from sg_depth_ros.imports.packnet_sfm import read_packnet_sfm  # noqa: E402
from sg_depth_ros.training.view_synthesis import pose_matrix  # noqa: E402

AT = ((0, 0), (0, 70), (31, 5), (40, 90), (63, 127))
INVERSE_DEPTHS = {
    'PackNetSlim01': (1.607405, 1.75993, 0.2435279, 1.998337, 1.778762),
    'DepthResNet18': (5.726873, 5.211814, 5.339352, 5.900184, 4.977325),
    'DepthResNet50': (5.071813, 4.446041, 4.803994, 5.387632, 4.395443),
    'PackNet01': (1.563188, 0.05094948, 0.007748687, 0.07805122, 1.766098),
}
DEPTHS = {
    18: (0.1746154, 0.1918718, 0.1872887, 0.1694863, 0.2009111),
    50: (0.1971682, 0.2249192, 0.2081601, 0.1856103, 0.2275083),
}
POSES = {
    'PoseNet': (
        (0.9976131, -0.0301829, 0.06210567, 0.06066783, 0.03137692, 0.9993393, -0.01834074,
         -0.1104014, -0.06151106, 0.02024565, 0.997901, -0.0884188),
        (0.993291, 0.05133696, 0.103622, 0.05772063, -0.05118854, 0.9986806, -0.004092852,
         0.08025283, -0.1036954, -0.001238868, 0.9946083, -0.04752876),
    ),
    'PoseResNet18': (
        (0.999393, 0.01998774, -0.02853057, 0.02178806, -0.01894548, 0.9991597, 0.03634571,
         -0.02766649, 0.02923306, -0.03578312, 0.9989319, -0.006914704),
        (0.9993961, 0.02059697, -0.02798198, 0.0234939, -0.01954954, 0.9991164, 0.03720376,
         -0.02686176, 0.02872355, -0.03663426, 0.9989159, -0.005829217),
    ),
    'monodepth2': (
        (0.9993534, -0.02031831, 0.02966307, -0.02198831, 0.021425, 0.9990677, -0.03747974,
         0.02903773, -0.02887388, 0.03809104, 0.998857, 0.008066171),
        (0.9993962, 0.02111835, -0.02759, 0.0234939, -0.02007674, 0.999095, 0.03749905,
         -0.02686176, 0.02835697, -0.03692248, 0.9989157, -0.005829217),
    ),
}  # fmt: skip


def inverse_depth(network: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        finest: torch.Tensor = network.eval()(images(3)[:1], None)[0]
    return torch.stack([finest[0, 0, row, column] for row, column in AT])


def assert_poses(network: torch.nn.Module, expected: tuple[tuple[float, ...], ...]) -> None:
    target, *neighbours = images(3).split(1)
    with torch.no_grad():
        vectors = network.eval()(target, torch.stack(neighbours, 1))
    matrices = pose_matrix(vectors[0])[:, :3].flatten(1)
    torch.testing.assert_close(matrices, torch.tensor(expected), rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ('name', 'pose'),
    [
        ('PackNetSlim01', 'PoseNet'),
        ('DepthResNet18', 'PoseResNet18'),
        pytest.param('DepthResNet50', 'PoseNet', marks=pytest.mark.slow),
        pytest.param('PackNet01', 'PoseNet', marks=pytest.mark.slow),
    ],
)
def test_networks_of_packnet_sfm(name: str, pose: str, tmp_path: Path) -> None:
    config = {
        'model': {'name': 'SelfSupModel'},
        'datasets': {
            'augmentation': {'image_shape': (192, 640)},
            'train': {'dataset': ['KITTI', 'KITTI']},
        },
    }
    file = tmp_path / 'epoch=03.ckpt'
    torch.save({'config': config, 'state_dict': published_checkpoint(name, pose)}, file)
    found = read_packnet_sfm(file)
    expected = torch.tensor(INVERSE_DEPTHS[name])
    torch.testing.assert_close(inverse_depth(found.depth), expected, rtol=0, atol=2e-4)
    assert found.pose is not None
    assert_poses(found.pose, POSES[pose])
    assert (found.size, found.metric) == ((640, 192), False)
    assert found.focal_length == pytest.approx(371.8 / 640)
    assert found.origin['trained_on'] == 'KITTI, KITTI'


@pytest.mark.parametrize(
    ('layers', 'stereo'), [(18, True), pytest.param(50, False, marks=pytest.mark.slow)]
)
def test_networks_of_monodepth2(layers: int, stereo: bool, tmp_path: Path) -> None:
    said = {'width': 1024, 'height': 320, 'use_stereo': stereo}
    found = read_monodepth2(write_monodepth2(tmp_path / 'mono', layers, **said))
    metres = 5.4 if stereo else 1.0
    expected = metres * torch.tensor(DEPTHS[layers])
    depth = inverse_depth(found.depth).reciprocal()
    torch.testing.assert_close(depth, expected, rtol=2e-6, atol=0)
    assert found.pose is not None
    assert_poses(found.pose, POSES['monodepth2'])
    assert (found.size, found.metric, found.notes) == ((1024, 320), stereo, [])


@pytest.mark.parametrize('name', ['VelSupModel', 'SemiSupModel'])
def test_what_was_shown_metres_is_metric(name: str, tmp_path: Path) -> None:
    state = published_checkpoint('DepthResNet18')
    file = tmp_path / 'm.ckpt'
    torch.save({'config': {'model': {'name': name}}, 'state_dict': state}, file)
    found = read_packnet_sfm(file)
    assert found.metric and found.pose is None
    # What the file does not say is not made up.
    assert (found.size, found.focal_length) == (None, None)


@pytest.mark.slow
def test_older_names_are_understood(tmp_path: Path) -> None:
    state = {
        name.replace('model.depth_net', 'disp_network').replace(
            '.conv3.weight', '.conv3.0.weight'
        ): value
        for name, value in published_checkpoint('PackNetSlim01').items()
    }
    torch.save({'state_dict': state}, tmp_path / 'm.pth.tar')
    found = read_packnet_sfm(tmp_path / 'm.pth.tar')
    expected = torch.tensor(INVERSE_DEPTHS['PackNetSlim01'])
    torch.testing.assert_close(inverse_depth(found.depth), expected, rtol=0, atol=2e-4)


def test_what_has_no_place_or_is_missing_is_an_error(tmp_path: Path) -> None:
    def read(change: dict[str, torch.Tensor | None]) -> None:
        state = {**published_checkpoint('DepthResNet18'), **change}
        kept = {name: value for name, value in state.items() if value is not None}
        torch.save({'state_dict': kept}, tmp_path / 'm.ckpt')
        read_packnet_sfm(tmp_path / 'm.ckpt')

    head = 'model.depth_net.decoder.decoder.13.conv'
    extra = 'model.depth_net.mconvs.d1.weight'
    with pytest.raises(ForeignNetworkError, match=r'no DepthResNet: it has no decoder.decoder.13'):
        read({f'{head}.weight': None})
    with pytest.raises(
        ForeignNetworkError, match=r'has a place for mconvs.d1.weight; it is anoth'
    ):
        read({extra: torch.zeros(3)})
    with pytest.raises(ForeignNetworkError, match=r'conv.bias has the shape 2, expected 1'):
        read({f'{head}.bias': torch.zeros(2)})
    with pytest.raises(ForeignNetworkError, match='are not all finite; download it again'):
        read({f'{head}.bias': torch.full((1,), torch.nan)})
    with pytest.raises(ForeignNetworkError, match=r'encoder has \[3, 2, 2, 2\] blocks'):
        read({'model.depth_net.encoder.encoder.layer1.2.bn1.bias': torch.zeros(64)})


def test_a_pose_network_of_another_kind_is_left_out_and_said(tmp_path: Path) -> None:
    folder = write_monodepth2(tmp_path / 'mono', 18)
    (folder / 'pose_encoder.pth').unlink()
    found = read_monodepth2(folder)
    assert found.pose is None and found.size is None
    assert 'comes without pose_encoder.pth' in found.notes[0]
    (folder / 'pose.pth').unlink()
    assert read_monodepth2(folder).notes == []
    torch.save({'width': 'x', 'height': 192}, folder / 'encoder.pth')
    with pytest.raises(ForeignNetworkError, match='none of resnet18'):
        read_monodepth2(folder)
