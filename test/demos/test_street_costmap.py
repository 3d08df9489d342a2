# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The measurement of costmaps: with the truth in the node's place nothing may be amiss."""

import functools
import json

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from sg_depth_ros.demos import costmap
from sg_depth_ros.evaluation.costmap import LayerRule, ObstacleLayer
from sg_depth_ros.synthetic import drive, street_camera


@functools.cache
def street():
    """A free road between parked cars; also the truth that the measurement takes."""
    return list(drive(street_camera(160, 48), 2, 111))


def maps_of(change):
    """Maps where the node's clouds are the true ones, changed."""
    layers = ObstacleLayer(LayerRule()), ObstacleLayer(LayerRule())
    return [
        costmap._frame(layers, frame, change(*costmap._true_clouds(frame))) for frame in street()
    ]


def test_the_truth_agrees_with_itself():
    maps = maps_of(lambda obstacles, ground: (obstacles, ground))
    figures = costmap.summarise(maps)
    assert figures['frames'] == 2
    for name in ('precision', 'recall'):
        assert figures[f'{name}_within_0_m'] == 1
    assert all(map_.is_marked != map_.is_free for map_ in maps)
    assert maps[0].true.sum() > 20


def test_obstacles_that_are_farther_and_too_few_are_told():
    whole = costmap.summarise(maps_of(lambda obstacles, ground: (obstacles, ground)))
    moved = costmap.summarise(maps_of(lambda obstacles, ground: (obstacles * 1.05, ground)))
    assert moved['precision_within_0_m'] < 0.8 * whole['precision_within_0_m']
    assert moved['recall_within_1_m'] > moved['recall_within_0_m']
    fewer = costmap.summarise(
        maps_of(lambda obstacles, ground: (obstacles[obstacles[:, 0] > 0], ground))
    )
    assert fewer['recall_within_0_m'] < 0.9
    assert fewer['precision_within_0_m'] == 1


def test_what_stands_on_a_free_road_is_counted():
    ahead = np.array([[0.0, 0.5, 6.0], [0.1, 0.5, 6.1]])
    maps = maps_of(lambda obstacles, ground: (np.concatenate([obstacles, ahead]), ground))
    assert all(map_.is_free and map_.is_marked for map_ in maps)
    assert costmap.summarise(maps)['free_where_free'] == 0


def test_the_picture_shows_what_agrees_and_what_does_not():
    maps = maps_of(lambda obstacles, ground: (obstacles[obstacles[:, 0] > 0], ground))
    picture = costmap.draw(maps[0])
    colors = {tuple(color) for color in picture.reshape(-1, 3).tolist()}
    assert {costmap._BOTH, costmap._TRUE, costmap._CORRIDOR} <= colors
    assert picture.shape[1] == len(maps[0].true)


@pytest.mark.slow
def test_a_street_through_the_node(tmp_path):
    figures = costmap.run_costmap(tmp_path, 'sg_depth_small', 'auto', [200], 6)
    assert figures == json.loads((tmp_path / 'costmap.json').read_text())
    assert figures['frames'] >= 3
    assert figures['recall_within_1_m'] > 0.5
    assert (tmp_path / 'costmap.png').stat().st_size > 0
