# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0

import os

import pytest
from typer.testing import CliRunner

from sg_depth_ros.bundle.share import share_directory
from sg_depth_ros.cli.train import app, find_config
from sg_depth_ros.training.depth_settings import DepthSettings
from sg_depth_ros.training.distil import DistilSettings
from sg_depth_ros.training.segmentation_settings import SegmentationSettings
from sg_depth_ros.training.settings import load_settings

CONFIGS = sorted((share_directory() / 'config' / 'train').glob('*.yaml'))
TEXT = """
segmentation: seg.pt
focal_length: 370
sources:
  - {kind: video, path: a.mp4}
  - {kind: bag, path: $SOME_BAG}
"""


def write(tmp_path, text=TEXT):
    (tmp_path / 'c.yaml').write_text(text)
    return tmp_path / 'c.yaml'


def test_overrides_reach_into_mappings_and_lists(tmp_path, monkeypatch):
    monkeypatch.setenv('SOME_BAG', '/data/bag')
    overrides = ['loss.velocity=0.1', 'sources.0.weight=3', 'steps=7', 'size=[320, 96]']
    settings = load_settings(DepthSettings, write(tmp_path), overrides)
    assert settings.loss.velocity == 0.1
    assert settings.sources[0].weight == 3
    assert (settings.steps, settings.size) == (7, (320, 96))
    assert str(settings.sources[1].path) == '/data/bag'


@pytest.mark.parametrize(
    ('override', 'match'),
    [
        ('steps', 'write key=value'),
        ('stepz=3', 'stepz: Extra inputs'),
        ('loss.velocty=1', 'loss.velocty: Extra inputs'),
        ('steps=many', 'steps: Input should be a valid integer'),
        ('sources.5.weight=1', r'sources\.5\.weight is no setting'),
        ('sources.0.kind=tape', 'sources.0: Input tag'),
        ('sources.0.weight=0', 'greater than 0'),
        ('size=[200, 64]', 'size.0: Input should be a multiple of 32'),
        ('size=[192, 64', r"'size=\[192, 64' is not YAML"),
        ('sources.0.crop=[0, 0, 1242, 340]', r'\[0.0, 0.0, 1242.0, 340.0\] is no part of an im'),
        ('sources.0.crop=[0.5, 0, 0.4, 1]', 'fractions of its width and height'),
    ],
)
def test_a_wrong_setting_is_named(tmp_path, override, match):
    with pytest.raises(ValueError, match=match):
        load_settings(DepthSettings, write(tmp_path), [override])


def test_a_file_that_is_none_is_named(tmp_path):
    with pytest.raises(ValueError, match='cannot be read'):
        load_settings(DepthSettings, tmp_path / 'none.yaml')
    with pytest.raises(ValueError, match='is not YAML'):
        load_settings(DepthSettings, write(tmp_path, 'a: ['))


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_installed_configurations_are_valid(path, monkeypatch):
    for name in ('SEGMENTATION', 'BAG', 'DATA', 'STREET', 'KITTI', 'CITYSCAPES', 'UNGUIDED'):
        monkeypatch.setenv(name, f'/{name.lower()}')
    others = {'segmentation': SegmentationSettings, 'distil': DistilSettings}
    settings = load_settings(others.get(path.stem, DepthSettings), path)
    assert '$' not in str(settings)
    assert settings.size[0] % 32 == settings.size[1] % 32 == 0


def test_the_published_schedule_is_that_of_the_paper(monkeypatch):
    path = find_config('packnet')
    monkeypatch.setattr(os, 'environ', {**os.environ, 'KITTI': '/k', 'SEGMENTATION': '/s'})
    settings = load_settings(DepthSettings, path)
    assert settings.network.family == 'packnet'
    assert (settings.batch, settings.learning_rate, settings.pose_learning_rate) == (4, 2e-4, 5e-4)
    assert settings.optimizer == 'adam'
    assert settings.two_stage


def test_commands_say_what_is_wrong(tmp_path):
    runner = CliRunner()
    assert 'segmentation' in runner.invoke(app, ['--help']).output
    failed = runner.invoke(app, ['depth', 'nothing'])
    assert isinstance(failed.exception, ValueError)
    assert 'there are: ' in str(failed.exception)
    failed = runner.invoke(app, ['depth', str(write(tmp_path)), 'stepz=1'])
    assert 'stepz' in str(failed.exception)
