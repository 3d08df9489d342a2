# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The rule of Nav2's obstacle layer, on scenes that can be worked out by hand."""

import math

import numpy as np
import pytest

from sg_depth_ros.evaluation.costmap import Corridor, LayerRule, ObstacleLayer, compare, planar

RULE = LayerRule(resolution=0.5, size=20.0, obstacle_max_range=8.0, raytrace_max_range=6.0)
NONE = np.empty((0, 3))
HERE = np.array([0.25, 0.25])
"""The middle of a cell."""


def points(*xyz):
    return np.array(xyz, float).reshape(-1, 3)


def marked(layer):
    """Centres of the occupied cells, as (x, y)."""
    rows, columns = np.nonzero(layer.occupied)
    centers = np.stack([columns, rows], 1) + 0.5
    return {tuple(place) for place in (centers * layer.rule.resolution + layer.origin).tolist()}


def test_points_mark_within_the_band_and_the_range():
    layer = ObstacleLayer(RULE)
    kept = points((3.2, 0.1, 0.5), (3.4, 0.2, 1.9), (0.1, -7.6, -0.9))
    left = points((4, 4, 2.1), (4, 4, -1.1), (8.3, 0.3, 1), (np.nan, 1, 1), (1, 1, np.nan))
    layer.update(np.concatenate([kept, left]), NONE, HERE)
    assert marked(layer) == {(3.25, 0.25), (0.25, -7.75)}


def test_rays_free_the_cells_before_the_ground_and_not_behind():
    layer = ObstacleLayer(RULE)
    wall = points(*((x + 0.25, 0.25, 1.0) for x in np.arange(1, 8, 0.5)))
    layer.update(wall, NONE, HERE)
    layer.update(NONE, points((4.25, 0.25, 0.0)), HERE)
    assert min(x for x, _ in marked(layer)) == 4.75
    # No farther than the range: 6 m are 12 cells.
    layer.update(wall, points((9.75, 0.25, 0.0)), HERE)
    layer.update(NONE, points((9.75, 0.25, 0.0)), HERE)
    assert min(x for x, _ in marked(layer)) == 6.75
    # Ground beyond the band of heights frees nothing.
    before = marked(layer)
    layer.update(NONE, points((9.75, 0.25, 2.5)), HERE)
    assert marked(layer) == before


def test_a_slanted_ray_takes_the_cells_of_bresenham_s_line():
    layer = ObstacleLayer(RULE)
    layer.occupied[:] = True
    layer._origin[:] = -20  # where the window is about HERE already
    layer.update(NONE, points((2.75, -0.75, 0.0)), HERE)
    freed = np.argwhere(~layer.occupied)[:, ::-1] - 20
    # From cell (0, 0) to (5, -2): the remainder starts at a half.
    assert sorted(map(tuple, freed.tolist())) == [
        (0, 0), (1, 0), (2, -1), (3, -1), (4, -2), (5, -2),
    ]  # fmt: skip


def test_marking_comes_after_clearing():
    layer = ObstacleLayer(RULE)
    layer.update(points((2.25, 0.25, 1.0)), points((5.25, 0.25, 0.0)), HERE)
    assert marked(layer) == {(2.25, 0.25)}


def test_lone_cells_are_left_out_but_stay_in_the_layer():
    layer = ObstacleLayer(RULE)
    pair = [(3.25, 2.25), (3.75, 2.75)]  # they touch by a corner
    for x, y in [*pair, (-3.25, 1.25)]:
        layer.update(points((x, y, 1.0)), NONE, HERE)
    assert len(marked(layer)) == 3
    layer.occupied = layer.denoised()
    assert marked(layer) == set(pair)


def test_the_window_follows_and_forgets_what_leaves_it():
    layer = ObstacleLayer(RULE)
    layer.update(points((-6.75, 0.25, 1.0), (3.25, 1.25, 1.0)), NONE, HERE)
    assert len(marked(layer)) == 2
    for place in ((3.0, 1.0), (5.3, -2.4)):
        layer.update(NONE, NONE, np.array(place))
    assert marked(layer) == {(3.25, 1.25)}
    layer.update(NONE, NONE, np.array((500.0, 0.0)))
    assert not marked(layer)


def test_maps_agree_within_a_tolerance():
    true, found = np.zeros((2, 9, 9), bool)
    true[4, 2:6] = True
    found[4, 2:4] = True
    found[8, 8] = True
    exact = compare(found, true, 0)
    assert (exact.precision, exact.recall) == (pytest.approx(2 / 3), 0.5)
    near = compare(found, true, 1)
    assert (near.precision, near.recall) == (pytest.approx(2 / 3), 0.75)
    nothing = compare(np.zeros_like(true), true, 0)
    assert math.isnan(nothing.precision)
    assert nothing.recall == 0


def test_the_corridor_lies_ahead_of_the_vehicle():
    layer = ObstacleLayer(RULE)
    turned = np.eye(4)
    turned[:2, :2] = [[0, -1], [1, 0]]  # looks along y
    layer.update(points((0.25, 4.25, 1), (4.25, 0.25, 1), (0.25, -4.25, 1)), NONE, HERE)
    within = layer.occupied & Corridor(farthest=6.0).cells(layer, planar(turned))
    rows, columns = np.nonzero(within)
    assert (columns * 0.5 + 0.25 + layer.origin[0]).tolist() == [0.25]
    assert (rows * 0.5 + 0.25 + layer.origin[1]).tolist() == [4.25]
