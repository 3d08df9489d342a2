# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0

import os

import pytest
from typer.testing import CliRunner

from sg_depth_ros.bundle.share import share_directory
from sg_depth_ros.cli.train import app, find_config
from sg_depth_ros.training.depth_settings import DepthSettings
from sg_depth_ros.training.distil import DistilSettings
from sg_depth_ros.training.schedule import in_steps, steps
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
        ('stepz=3', r'stepz is no setting; the nearest is steps \(on the command line\)'),
        ('loss.velocty=1', 'loss.velocty is no setting; the nearest is loss.velocity'),
        ('sources.1.topc=/a', 'sources.1.topc is no setting; the nearest is sources.1.topic'),
        ('network.guidance.sigmaa=1', r'the nearest is network\.guidance\.sigma \(on'),
        ('qqq=1', 'qqq is no setting; sg_depth train settings lists all'),
        ('loss.qqq=1', 'loss.qqq is no setting; there are automask, max_depth, '),
        ('steps=many', 'steps: \'many\' is no length; give steps such as 30000, or "30 epochs"'),
        ('steps=0 epochs', "'0 epochs' is no length"),
        ('steps=0', '0 is no length'),
        ('schedule=plateau', r'\.yaml: schedule: plateau follows the validation'),
        ('validation.kind=lidar', r'validation\.path is missing; set it;'),
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


def test_what_is_wrong_in_the_file_is_not_said_of_the_command_line(tmp_path, monkeypatch):
    monkeypatch.setenv('SOME_BAG', '/data/bag')
    with pytest.raises(ValueError, match=r'batsh is no setting; the nearest is batch$'):
        load_settings(DepthSettings, write(tmp_path, TEXT + 'batsh: 3\n'), ['steps=3'])


def test_an_environment_variable_that_is_not_set_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv('SOME_BAG', raising=False)
    with pytest.raises(
        ValueError, match=r'1\.path is \$SOME_BAG, and the environment has no SOME_BAG'
    ):
        load_settings(DepthSettings, write(tmp_path))
    given = load_settings(DepthSettings, write(tmp_path), ['sources.1.path=/b'])
    assert str(given.sources[1].path) == '/b'
    # What stands in a comment is nobody's setting, and a value may hold what YAML reads.
    monkeypatch.setenv('SOME_BAG', '/data/a: b')
    given = load_settings(DepthSettings, write(tmp_path, TEXT + '# $NONE\n'))
    assert str(given.sources[1].path) == '/data/a: b'


def test_the_focal_length_belongs_to_the_width(tmp_path, monkeypatch):
    monkeypatch.setenv('SOME_BAG', '/data/bag')

    def focal_length(*overrides, text=TEXT):
        return load_settings(DepthSettings, write(tmp_path, text), overrides).focal_length

    assert focal_length() == 370
    assert focal_length('size=[320, 96]') == 185
    assert focal_length('size=[320, 96]', text=TEXT + 'size: [1280, 384]\n') == 92.5
    assert focal_length('size=[320, 96]', 'focal_length=200') == 200


def test_a_preset_is_taken_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setenv('SOME_BAG', '/data/bag')
    text = TEXT + 'presets:\n  cpu: {size: [320, 96], loss.scales: 1, steps: 3 epochs}\n'
    path = write(tmp_path, text)
    plain = load_settings(DepthSettings, path)
    assert (plain.size, plain.steps, plain.loss.scales) == ((640, 192), 200_000, 4)
    cpu = load_settings(DepthSettings, path, ['steps=7', 'preset=cpu'])
    assert (cpu.size, cpu.steps, cpu.loss.scales, cpu.focal_length) == ((320, 96), 7, 1, 185)
    assert load_settings(DepthSettings, write(tmp_path, text + 'preset: cpu\n')).size == (320, 96)
    with pytest.raises(ValueError, match="has no preset 'gpu'; there are: cpu"):
        load_settings(DepthSettings, path, ['preset=gpu'])


def test_lengths_are_steps_or_epochs(tmp_path, monkeypatch):
    monkeypatch.setenv('SOME_BAG', '/data/bag')
    overrides = ['steps=30 epochs', 'halve_every=0.5 epochs', 'validate_every=1 epoch']
    settings = load_settings(DepthSettings, write(tmp_path), overrides)
    # KITTI with eight processes of a batch of 4.
    planned = in_steps(settings, 39_810, 32)
    assert steps(planned.steps) == 37_322
    assert (planned.halve_every, planned.validate_every, planned.patience) == (623, 1245, 2489)
    assert in_steps(planned, 10, 1) == planned
    assert in_steps(settings, 1, 32).validate_every == 1
    with pytest.raises(TypeError, match='not in steps yet'):
        steps(settings.steps)


def test_a_file_that_is_none_is_named(tmp_path):
    with pytest.raises(ValueError, match='cannot be read'):
        load_settings(DepthSettings, tmp_path / 'none.yaml')
    with pytest.raises(ValueError, match='is not YAML'):
        load_settings(DepthSettings, write(tmp_path, 'a: ['))
    with pytest.raises(ValueError, match='is no list of settings'):
        load_settings(DepthSettings, write(tmp_path, 'some text'))


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
    assert (settings.optimizer, settings.schedule) == ('adam', 'plateau')
    assert (settings.steps, settings.validation.kind) == ('30 epochs', 'kitti_raw')
    assert settings.two_stage


def test_commands_say_what_is_wrong(tmp_path):
    runner = CliRunner()
    assert 'segmentation' in runner.invoke(app, ['--help']).output
    failed = runner.invoke(app, ['depth', 'nothing'])
    assert isinstance(failed.exception, ValueError)
    assert 'there are: ' in str(failed.exception)
    failed = runner.invoke(app, ['depth', str(write(tmp_path)), 'stepz=1'])
    assert 'stepz' in str(failed.exception)
