# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every command of docs/reproduce.md is one that runs; with ``-m slow`` each takes two steps."""

import re
import shlex
from pathlib import Path

import pytest
import torch
from published_worlds import write_data
from typer.testing import CliRunner

from sg_depth_ros.cli.evaluate import app as evaluate
from sg_depth_ros.cli.train import find_config
from sg_depth_ros.networks.checkpoint import load_networks, save_networks
from sg_depth_ros.networks.families import build_depth
from sg_depth_ros.networks.packnet import PackNetConfig
from sg_depth_ros.networks.segmentation import SegmentationConfig, SegmentationNet
from sg_depth_ros.training.depth_settings import DepthSettings
from sg_depth_ros.training.run import train_depth
from sg_depth_ros.training.settings import load_settings

PAGE = (Path(__file__).parents[2] / 'docs' / 'reproduce.md').read_text()
COMMANDS = [shlex.split(line) for line in re.findall(r'^    (sg_depth .*)$', PAGE, re.MULTILINE)]
TRAININGS = {
    Path(command[command.index('--out') + 1]).name: command[3 : command.index('--out')]
    for command in COMMANDS
    if command[1:3] == ['train', 'depth']
}


@pytest.fixture
def environment(tmp_path, monkeypatch):
    for name, path in write_data(tmp_path / 'data').items():
        monkeypatch.setenv(name, str(path))
    monkeypatch.setenv('SEGMENTATION', str(tmp_path / 'guide.pt'))


def settings(name, *more):
    config, *overrides = TRAININGS[name]
    return load_settings(DepthSettings, find_config(config), [*overrides, *more])


def test_the_rows_are_what_they_say(environment):
    assert len(TRAININGS) == 19
    found = {name: settings(name) for name in TRAININGS}
    for name, row in found.items():
        assert (row.network.guidance is None) == (
            'guided' not in name and not name.startswith('levels')
            and name not in ('packnet_k_theirs', 'packnet_k_ours', 'packnet_k_hr')
        ), name  # fmt: skip
        high = '_hr' in name
        assert row.size == ((1280, 384) if high else (640, 192))
        assert row.focal_length == pytest.approx(743.6 if high else 371.8)
        start = f'runs/packnet_cs{"_hr" if high else ""}/networks.pt'
        assert row.initial == (Path(start) if '_csk' in name else None)
    theirs, ours = (found[f'packnet_k_{who}'].filter for who in ('theirs', 'ours'))
    assert (theirs.rule, theirs.metres, theirs.pixels) == ('all', 0.5, 10)
    assert (ours.rule, ours.metres) == ('ground', 3.3)
    assert found['packnet_csk_guided'].two_stage and not found['packnet_csk'].two_stage
    assert found['packnet_cs'].sources[0].kind == 'cityscapes'
    assert found['packnet_cs'].steps == '50 epochs' and found['packnet_k'].steps == '30 epochs'
    assert [found[f'levels_{s}'].network.guidance.strides[0] for s in (16, 8, 4, 2)] == [
        16, 8, 4, 2,
    ]  # fmt: skip
    assert found['resnet50_k'].network.padding == 'reflect'


def test_the_measurements_are_commands_that_exist(environment):
    measured = [command[2:] for command in COMMANDS if command[1] == 'evaluate']
    assert len(measured) == 4
    for command in measured:
        # What is missing is the data: options that do not exist end with code 2.
        result = CliRunner().invoke(evaluate, command)
        assert result.exit_code == 1, result.output
        assert 'cannot be read' in str(result.exception)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize('name', TRAININGS)
def test_a_row_is_started(name, environment, tmp_path):
    torch.manual_seed(0)
    segmentation = SegmentationNet(SegmentationConfig())
    meta = {'provenance': {'segmentation': {}}}
    save_networks(tmp_path / 'guide.pt', segmentation, None, meta)
    more = ['steps=2', 'validate_every=2', 'batch=1', 'workers=0', 'pretrained=false']
    if '_csk' in name:
        # The start is a PackNet without guidance; it is of random weights here.
        start = build_depth(PackNetConfig(guidance=None))
        meta |= {'input_width': 640, 'input_height': 192, 'training_focal_length': 371.8}
        save_networks(tmp_path / 'start.pt', segmentation, start, meta)
        more.append(f'initial={tmp_path / "start.pt"}')
    row = settings(name, *more, 'accelerator=cpu')
    final = train_depth(row, tmp_path / 'run')
    _, depth, trained = load_networks(final)
    assert depth.config == row.network
    assert (trained['provenance']['depth_steps'], trained['scale']) == (2, 'metric')
