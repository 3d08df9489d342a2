# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The experiments: small enough to see that they run, and, marked slow, what they have to show."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from training_worlds import tiny_networks
from typer.testing import CliRunner

from sg_depth_ros.cli.train import app
from sg_depth_ros.networks.pose import PoseNetConfig
from sg_depth_ros.training.experiments.holes import worst_thing
from sg_depth_ros.training.experiments.runs import EXPERIMENTS, Experiments
from sg_depth_ros.training.experiments.settings import ExperimentSettings


@pytest.fixture(scope='module')
def tiny(tmp_path_factory):
    segmentation, depth = tiny_networks()
    settings = ExperimentSettings(
        size=(64, 32),
        clips=2,
        frames=3,
        test_clips=1,
        steps=1,
        batch=2,
        segmentation_steps=1,
        seeds=2,
        following=0.5,
        pretrained=False,
        workers=0,
        segmentation_network=segmentation,
        depth_network=depth,
        pose_network=PoseNetConfig(channels=(16, 16)),
    )
    return Experiments(settings, tmp_path_factory.mktemp('experiments'))


def test_guidance_is_compared_by_part_and_class(tiny):
    result = tiny.guidance()
    for found in (result['guided'], result['unguided']):
        assert len(found['all']) == 2
        assert all(value > 0 for value in found['all'] + found['edges'])
        assert 'road' in found['classes']
    assert result['guided']['all'] != result['unguided']['all']
    assert (tiny.out / 'guidance' / 'result.json').exists()


def test_two_stages_are_judged_by_the_clips_that_follow(tiny):
    result = tiny.two_stage()
    shares = [value for key, value in result.items() if key.startswith(('holes', 'dropped'))]
    assert len(shares) == 6
    # Of no images at all the share is not a number.
    assert all(0 <= share <= 1 or share != share for share in shares)
    assert set(result['abs_rel_of_vehicles']) == {'stage_1', 'stage_2'}
    # The one clip that follows: image, both stages and truth, each 64x32 twice as large.
    assert cv2.imread(str(tiny.out / 'two_stage/followed.jpg')).shape == (4 * 64, 128, 3)


def test_the_worst_thing_is_what_hangs_together():
    moving, times = np.zeros((10, 30), bool), np.ones((10, 30), np.float32)
    moving[2:6, 2:6], moving[2:6, 10:14], moving[1, 20:29] = True, True, True
    times[2:6, 10:14] = 5
    times[2:4, 2:5], times[1, 20:29] = 9, 20  # less than half of a thing, and too few pixels
    assert worst_thing(times, moving) == 5
    assert worst_thing(times, np.zeros_like(moving)) == 0


def test_an_unknown_experiment_is_named(tmp_path):
    failed = CliRunner().invoke(app, ['experiment', 'luck', '--out', str(tmp_path)])
    assert 'choose one of truth, velocity' in str(failed.exception)


def test_sizes_of_an_experiment_can_be_changed():
    usual = EXPERIMENTS['truth'].settings()
    assert (usual.pretrained, usual.clips) == (False, 400)
    changed = EXPERIMENTS['truth'].settings(['clips=8', 'filter.metres=2'])
    assert (changed.clips, changed.filter.metres, changed.steps) == (8, 2, usual.steps)
    assert EXPERIMENTS['truth'].settings() == usual


@pytest.fixture(scope='module')
def show(tmp_path_factory):
    """Run an experiment at its usual sizes; SG_DEPTH_EXPERIMENTS keeps what was rendered."""
    kept = os.environ.get('SG_DEPTH_EXPERIMENTS')
    out = Path(kept) if kept else tmp_path_factory.mktemp('experiments')

    def run(name):
        experiment = EXPERIMENTS[name]
        return experiment.run(Experiments(experiment.settings(), out))

    return run


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_truth_is_learned_from_random_weights(show):
    assert show('truth')['abs_rel_without_scaling'] < 0.15


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_speed_makes_depth_metric(show):
    assert show('velocity')['true_to_predicted_scale'] == pytest.approx(1, abs=0.05)


@pytest.mark.slow
@pytest.mark.timeout(14400)
def test_the_filter_finds_followed_cars_and_the_second_stage_profits(show):
    result = show('two-stage')
    assert result['holes_of_following'] > 0.5
    assert result['found_of_holes'] >= 0.9
    assert result['dropped_of_sound'] <= 0.05
    cars = result['abs_rel_of_vehicles']
    assert cars['stage_2'] < cars['stage_1']
