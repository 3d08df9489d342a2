# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np

from sg_depth_ros.images.depth import limit_range, mark_sky, to_millimetres


def test_sky_is_infinite_and_the_input_stays():
    depth = np.array([[1, 2, np.nan], [4, 5, 6]], np.float32)
    labels = np.array([[10, 0, 10], [200, 0, 255]], np.uint8)
    marked = mark_sky(depth, labels, (10, 200))
    np.testing.assert_array_equal(
        marked, np.array([[np.inf, 2, np.inf], [np.inf, 5, 6]], np.float32)
    )
    assert depth[0, 0] == 1
    np.testing.assert_array_equal(mark_sky(depth, labels, ()), depth)


def test_millimetres_are_rounded_and_invalid_is_zero():
    depth = [0.0014, 0.0016, 12.3456, 65.5349, 65.536, 1e9, np.inf, -np.inf, np.nan, 0, -2]
    expected = [1, 2, 12346, 65535, 0, 0, 0, 0, 0, 0, 0]
    found = to_millimetres(np.array([depth], np.float32))
    assert found.dtype == np.uint16
    assert found.tolist() == [expected]


def test_what_is_out_of_range_is_infinite_and_the_unknown_stays():
    depth = np.array([[0.2, 1, 5, 5.1, np.nan, np.inf, -np.inf]], np.float32)
    limited = limit_range(depth, 1.0, 5.0)
    expected = [[-np.inf, 1, 5, np.inf, np.nan, np.inf, -np.inf]]
    np.testing.assert_array_equal(limited, np.array(expected, np.float32))
