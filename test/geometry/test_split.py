# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np

from sg_depth_ros.bundle.labels import ID, ids_with
from sg_depth_ros.geometry.ground_plane import GroundPlane
from sg_depth_ros.geometry.point_cloud import POINT
from sg_depth_ros.geometry.split import split_by_label, split_by_plane, tolerances_by_label

PLANE = GroundPlane(np.array([0.0, -1.0, 0.0]), 1.5, 1.0)
"""1.5 below the camera: y of the optical frame points down."""


def cloud(heights, labels):
    points = np.zeros(len(heights), POINT)
    points['y'] = 1.5 - np.asarray(heights)
    points['z'] = 5
    points['label'] = labels
    return points


def test_what_looks_like_ground_may_lie_higher():
    road, car = ID['road'], ID['car']
    points = cloud([-1.0, 0.1, 0.3, 0.6, 0.1, 0.3], [road, road, road, road, car, car])
    tolerances = tolerances_by_label(0.2, 0.5, ids_with('ground'))
    ground, above = split_by_plane(points, PLANE, tolerances)
    np.testing.assert_allclose(1.5 - ground['y'], [-1, 0.1, 0.3, 0.1], atol=1e-6)
    np.testing.assert_allclose(1.5 - above['y'], [0.6, 0.3], atol=1e-6)
    # The smaller of both never counts: all that is higher by 0.7 is an obstacle, none below.
    ground, _ = split_by_plane(points, PLANE, tolerances_by_label(0.7, 0.5, ids_with('ground')))
    assert len(ground) == len(points)


def test_what_is_no_point_is_in_neither_part():
    points = cloud([0.0, 1.0, 1.0], [0, 2, 2]).reshape(1, 3)
    for axis in 'xyz':
        points[axis][0, 2] = np.nan
    ground, above = split_by_plane(points, PLANE, tolerances_by_label(0.2, 0.5, ()))
    assert (len(ground), len(above)) == (1, 1)


def test_parts_by_label_keep_the_order_and_lose_nothing():
    points = cloud(np.arange(6), [13, 2, 13, 11, 8, 2])
    dynamic, static = split_by_label(points, ids_with('dynamic'))
    assert dynamic['label'].tolist() == [13, 13, 11]
    assert static['label'].tolist() == [2, 8, 2]
    np.testing.assert_array_equal(np.sort(np.concatenate([dynamic, static])), np.sort(points))
