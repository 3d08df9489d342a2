# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Each installed configuration trains: on a tiny data set of its layout, with small networks.

With ``-m slow`` the networks are whole, and each is a process that is killed and started again.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from published_worlds import write_data
from training_worlds import ENCODER

from sg_depth_ros.bundle.share import share_directory
from sg_depth_ros.cli.main import main
from sg_depth_ros.cli.train import find_config
from sg_depth_ros.export import export_checkpoint
from sg_depth_ros.networks.checkpoint import load_networks, save_networks
from sg_depth_ros.networks.families import build_depth
from sg_depth_ros.networks.segmentation import SegmentationConfig, SegmentationNet
from sg_depth_ros.training.curve import read_curve
from sg_depth_ros.training.depth import DepthTraining
from sg_depth_ros.training.depth_settings import DepthSettings
from sg_depth_ros.training.distil import DistilSettings, write_teaching
from sg_depth_ros.training.run import train_depth
from sg_depth_ros.training.segmentation import SegmentationTraining, train_segmentation
from sg_depth_ros.training.segmentation_settings import SegmentationSettings
from sg_depth_ros.training.settings import load_settings

OTHERS = {'segmentation': SegmentationSettings, 'distil': DistilSettings}
NAMES = sorted(path.stem for path in (share_directory() / 'config' / 'train').glob('*.yaml'))
DEPTH = [name for name in NAMES if name not in OTHERS]
TWO_STEPS = ['steps=2', 'validate_every=1', 'batch=2', 'workers=0', 'accelerator=cpu']
GUIDANCE = '{strides: [4, 8], feature_channels: 8, channels: 4}'
SMALL = {
    'resnet': [
        f'network.encoder={ENCODER}', 'network.decoder_channels=[16, 16, 8, 8, 8]',
        f'network.guidance={GUIDANCE}',
    ],
    'packnet': [
        'network.stem_channels=16', 'network.channels=[16, 16, 16, 16, 16]', 'network.groups=4',
        'network.blocks=[1, 1, 1, 1]', f'network.guidance={GUIDANCE}',
    ],
}  # fmt: skip
MAIN = 'from sg_depth_ros.cli.main import main; main()'
SMALL_SIZE = ['size=[64, 32]', 'focal_length=50', 'pretrained=false']


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """The data sets, by the environment variables that name them, and two-class labels."""
    return write_data(tmp_path_factory.mktemp('published'))


@pytest.fixture(autouse=True)
def environment(data, segmentation_checkpoint, monkeypatch):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setenv('SEGMENTATION', str(segmentation_checkpoint))
    for name, path in data.items():
        monkeypatch.setenv(name, str(path))
    yield
    torch.set_num_threads(threads)


def cut_off(module, train, monkeypatch):
    """Train until the power goes out in the second step, then to the end."""
    step = module.training_step

    def failing(self, batch, index):
        if self.global_step == 1:
            raise OSError('the power went out')
        return step(self, batch, index)

    with monkeypatch.context() as patch:
        patch.setattr(module, 'training_step', failing)
        with pytest.raises(OSError, match='power'):
            train()
    return train()


def shrunk(name, *more):
    """Give the settings of a configuration for two steps of small networks."""
    whole = load_settings(DepthSettings, find_config(name))
    changes = [*TWO_STEPS, *SMALL_SIZE, 'initial=null', 'pose.channels=[16, 16, 16]']
    # The shipped network's features have other channels than the small ones are guided by.
    changes.append(f'segmentation={os.environ["SEGMENTATION"]}')
    changes += [*SMALL[whole.network.family], *more]
    return load_settings(DepthSettings, find_config(name), changes)


@pytest.mark.parametrize('name', DEPTH)
def test_a_depth_configuration_trains_validates_and_goes_on(name, tmp_path, monkeypatch):
    whole = name == 'packnet'
    settings = shrunk(name, *([] if whole else ['two_stage=false']))
    final = cut_off(DepthTraining, lambda: train_depth(settings, tmp_path / 'run'), monkeypatch)
    _, depth, meta = load_networks(final)
    assert depth.config == settings.network
    assert meta['provenance']['depth_steps'] == 2
    # KITTI's OXTS and the bag's odometry tell the speed.
    assert meta['scale'] == 'metric'
    if settings.validation:
        assert [row['step'] for row in read_curve(final.parent)] == [1, 2]
        assert (final.parent / 'best.pt').exists()
    if whole:
        bundle = export_checkpoint(final, tmp_path / 'bundle')
        assert bundle.manifest.depth.scale == 'metric'
        monkeypatch.setattr(sys, 'argv', ['sg_depth', *evaluation(tmp_path)])
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code in (0, None)
        assert (tmp_path / 'report' / 'metrics.json').exists()


def evaluation(folder):
    """Give the command that measures a bundle on the validation's frames."""
    kitti = os.environ['KITTI']
    split = f'{kitti}/eigen_zhou/val_files.txt'
    return (
        'evaluate', 'kitti', '--root', kitti, '--split', split, '--bundle', str(folder / 'bundle'),
        '--engine', 'onnxruntime', '--out', str(folder / 'report'),
    )  # fmt: skip


def test_the_segmentation_configuration_trains_validates_and_goes_on(tmp_path, monkeypatch):
    changes = [*TWO_STEPS, 'size=[64, 32]', 'crop=[64, 32]', 'pretrained=false']
    changes += [f'network.encoder={ENCODER}', 'network.pyramid_channels=8']
    settings = load_settings(SegmentationSettings, find_config('segmentation'), changes)
    train = lambda: train_segmentation(settings, tmp_path)  # noqa: E731
    final = cut_off(SegmentationTraining, train, monkeypatch)
    assert load_networks(final)[0].config == settings.network
    assert [row['step'] for row in read_curve(tmp_path)] == [1, 2]


def test_the_distil_configuration_writes_a_source(tmp_path):
    final = train_depth(shrunk('small', 'steps=1'), tmp_path / 'run')
    teacher = f'[{{checkpoint: {final}, mirror: true}}]'
    changes = [f'teachers={teacher}', 'size=[64, 32]', 'focal_length=50', 'images=2']
    # Random weights see no vehicles that stand on a road.
    changes += ['vehicles=null']
    write_teaching(load_settings(DistilSettings, find_config('distil'), changes), tmp_path / 'out')
    assert len(list((tmp_path / 'out' / 'depth').glob('*.png'))) >= 2


def run(*arguments, kill_after=None):
    """Run ``sg_depth`` in a process; give its output. It is killed when it has said something."""
    process = subprocess.Popen(
        [sys.executable, '-c', MAIN, *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
    )  # fmt: skip
    said = []
    for line in process.stdout:
        said.append(line)
        if kill_after is not None and kill_after in line:
            process.send_signal(signal.SIGKILL)
    process.wait()
    return process.returncode, ''.join(said)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize('name', DEPTH)
def test_a_whole_depth_configuration_trains_exports_and_evaluates(name, tmp_path, monkeypatch):
    segmentation = tmp_path / 'segmentation.pt'
    torch.manual_seed(0)
    meta = {'provenance': {'segmentation': {}}}
    save_networks(segmentation, SegmentationNet(SegmentationConfig()), None, meta)
    monkeypatch.setenv('SEGMENTATION', str(segmentation))
    out = tmp_path / 'run'
    changes = ['steps=2', 'validate_every=1', 'batch=1', 'workers=0', 'pretrained=false']
    changes += ['two_stage=false', 'line_seconds=0.001']
    # On the CPU that the test has to do with.
    command = ('train', 'depth', name, *changes, 'accelerator=cpu', '--out', out)
    code, said = run(*command, kill_after='step 1/2')
    assert code == -signal.SIGKILL, said
    code, said = run(*command)
    assert code == 0, said
    code, said = run('export', out / 'networks.pt', '--out', tmp_path / 'bundle')
    assert code == 0, said
    code, said = run(*evaluation(tmp_path))
    assert code == 0, said


@pytest.mark.slow
def test_a_whole_packnet_is_judged_against_float64_where_it_amplifies_rounding(tmp_path):
    """Weights as large as a training makes them: float32 alone errs by more than most may."""
    torch.manual_seed(0)
    depth = build_depth({'family': 'packnet'})
    for parameter in depth.parameters():
        if parameter.ndim > 1:
            parameter.data *= 3
    meta = {'input_width': 320, 'input_height': 96, 'training_focal_length': 186.0,
            'scale': 'relative', 'provenance': {}}  # fmt: skip
    segmentation = SegmentationNet(SegmentationConfig())
    save_networks(tmp_path / 'networks.pt', segmentation, depth, meta)
    export_checkpoint(tmp_path / 'networks.pt', Path(tmp_path / 'bundle'))
