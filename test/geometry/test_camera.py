# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which cameras are believed, through each door that they come in by."""

import json

import numpy as np
import pytest

from sg_depth_ros.geometry.camera import PinholeCamera

GOOD = {'width': 640, 'height': 480, 'fx': 500.0, 'fy': 510.0, 'cx': 320.0, 'cy': 240.0}
IMPLAUSIBLE = [
    ({'fx': 0.58, 'cx': 0.5}, 'fx=0.58 cannot be the focal length.*640 pixels along x; if the'),
    ({'fy': 1e300}, 'fy=1e.300 cannot be'),
    ({'cx': 1e12}, 'cx=1e.12 is too far outside an image with 640 pixels along x'),
    ({'cy': -3000.0}, 'cy=-3000 is too far outside'),
    ({'fx': 63.9}, 'fx=63.9 cannot be'),
    ({'fx': 0.0}, 'positive focal lengths'),
    ({'width': 0}, 'a positive size, found 0x480'),
    ({'height': 268435831}, 'found a size of 640x268435831, more than the 268435456 pixels'),
]


@pytest.mark.parametrize(('change', 'message'), IMPLAUSIBLE)
def test_what_no_camera_can_be_is_refused(change, message, tmp_path):
    values = GOOD | change
    with pytest.raises(ValueError, match=message):
        PinholeCamera(**values)
    matrix = [[values['fx'], 0, values['cx']], [0, values['fy'], values['cy']], [0, 0, 1]]
    with pytest.raises(ValueError, match=message):
        PinholeCamera.from_matrix(matrix, values['width'], values['height'])
    (tmp_path / 'camera.json').write_text(json.dumps(values))
    with pytest.raises(ValueError, match=f'camera.json: .*{message}.*a camera file is JSON'):
        PinholeCamera.from_json(tmp_path / 'camera.json')


def test_wide_and_long_lenses_are_believed():
    wide = PinholeCamera(**GOOD | {'fx': 64.0, 'fy': 48.0})
    assert PinholeCamera(**GOOD | {'fx': 1e6, 'fy': 1e6}).fx == 1e6
    # Whatever is believed is believed of each of its parts, and however it is stretched.
    part = wide.cropped(600, 440, 40, 40)
    assert (part.cx, part.cy) == (-280, -200)
    thin = PinholeCamera(**GOOD).cropped(0, 479, 640, 1).resized(20, 900)
    assert thin.cy == pytest.approx((240 - 479 + 0.5) * 900 - 0.5)


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        (json.dumps({k: v for k, v in GOOD.items() if k != 'cy'}), "'cy' is missing"),
        (json.dumps(GOOD).replace('640', '1e400'), "'width' must be a whole number"),
        (json.dumps(GOOD).replace('640', '1' * 400), "'width' must be a whole number"),
        (json.dumps(GOOD).replace('640', '640.5'), "'width' must be a whole number"),
        (json.dumps(GOOD).replace('500.0', 'NaN'), "'fx' must be a finite number"),
        (json.dumps(GOOD).replace('500.0', 'true'), "'fx' must be a number, found true"),
        (
            json.dumps(GOOD).replace('500.0', '[[[]]]'),
            r"'fx' must be a number, found \[\[\[\]\]\]",
        ),
        ('[' * 100000, 'nested too deeply'),
        ('[1, 2]', 'found a list, expected an object'),
        ('', 'Expecting value'),
    ],
)
def test_a_camera_file_that_is_none_gets_a_sentence(text, reason, tmp_path):
    (tmp_path / 'camera.json').write_text(text)
    with pytest.raises(ValueError, match=f'{reason}.*; a camera file is JSON with width, height'):
        PinholeCamera.from_json(tmp_path / 'camera.json')


def test_a_camera_file_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / 'camera.json').write_text(json.dumps(GOOD), encoding='utf-8-sig')
    assert PinholeCamera.from_json(tmp_path / 'camera.json') == PinholeCamera(**GOOD)


def test_there_and_back_through_a_file(tmp_path):
    camera = PinholeCamera(**GOOD)
    camera.to_json(tmp_path / 'camera.json')
    assert PinholeCamera.from_json(tmp_path / 'camera.json') == camera


def test_rays_and_points_are_those_of_the_pixels():
    camera = PinholeCamera(40, 30, 50.0, 60.0, 18.5, 14.0)
    rays = camera.rays()
    np.testing.assert_allclose(rays[7, 3], [(3 - 18.5) / 50, (7 - 14) / 60, 1], rtol=1e-6)
    depth = np.arange(1200, dtype=np.float32).reshape(30, 40) + 1
    points = camera.back_project(depth)
    pixels, z = camera.project(points.reshape(-1, 3))
    np.testing.assert_allclose(z, depth.ravel())
    v, u = np.divmod(np.arange(1200), 40)
    np.testing.assert_allclose(pixels, np.column_stack([u, v]), atol=1e-3)
    behind = camera.project(np.array([[1.0, 1.0, -2.0], [0.0, 0.0, 0.0]]))[0]
    assert np.isnan(behind).all()
