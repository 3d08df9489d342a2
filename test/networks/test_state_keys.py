# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Names and shapes of the networks' weights have not moved: old checkpoints stay readable.

After a change that is meant, write the lists anew: ``python test/networks/test_state_keys.py``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip('torch')

from sg_depth_ros.networks.depth_resnet import DepthResNet, DepthResNetConfig  # noqa: E402
from sg_depth_ros.networks.packnet import PackNet, PackNetConfig  # noqa: E402
from sg_depth_ros.networks.pose import PoseNet, PoseNetConfig  # noqa: E402
from sg_depth_ros.networks.segmentation import SegmentationConfig, SegmentationNet  # noqa: E402

FOLDER = Path(__file__).parent / 'state_keys'
NETWORKS = {
    'segmentation': lambda: SegmentationNet(SegmentationConfig()),
    'depth_resnet': lambda: DepthResNet(DepthResNetConfig()),
    'packnet': lambda: PackNet(PackNetConfig()),
    'pose': lambda: PoseNet(PoseNetConfig()),
}


def listing(name: str) -> str:
    """List the default network's weights; the encoders' names are timm's, their count is ours."""
    with torch.device('meta'):
        state = NETWORKS[name]().state_dict()
    own = [k for k in state if not k.startswith('encoder.body.')]
    lines = [f'{key} {"x".join(map(str, state[key].shape)) or "scalar"}' for key in own]
    if encoder := [state[k] for k in state if k not in own]:
        lines.append(f'encoder.body.* {len(encoder)} of {sum(t.numel() for t in encoder)} values')
    return '\n'.join(lines) + '\n'


@pytest.mark.parametrize('name', NETWORKS)
def test_state_keys_have_not_moved(name: str) -> None:
    assert listing(name) == (FOLDER / f'{name}.txt').read_text()


if __name__ == '__main__':
    FOLDER.mkdir(exist_ok=True)
    for name in NETWORKS:
        (FOLDER / f'{name}.txt').write_text(listing(name))
