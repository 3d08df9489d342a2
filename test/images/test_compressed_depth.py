# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""compressedDepth, read back as compressed_depth_image_transport's decoder reads it.

The decoder here is written from the formulas of that package's ``codec.cpp`` and knows nothing of
our encoder.
"""

import struct

import cv2
import numpy as np
import pytest

from sg_depth_ros.images.compressed_depth import encode_colors, encode_metres, encode_millimetres


def decode(data):
    """Give the kind, the header's a and b, and the stored 16-bit values."""
    kind, a, b = struct.unpack('<iff', data[:12])
    stored = cv2.imdecode(np.frombuffer(data[12:], np.uint8), cv2.IMREAD_UNCHANGED)
    assert stored.dtype == np.uint16
    return kind, np.float32(a), np.float32(b), stored


def decode_metres(data):
    kind, a, b, stored = decode(data)
    assert kind == 0
    with np.errstate(divide='ignore'):
        return np.where(stored > 0, a / (stored.astype(np.float32) - b), np.float32(np.nan))


@pytest.mark.parametrize(('farthest', 'quantization'), [(10.0, 100.0), (100.0, 100.0), (60, 40)])
def test_metres_come_back_within_the_step(farthest, quantization):
    rng = np.random.default_rng(3)
    depth = np.exp(rng.uniform(np.log(0.2), np.log(150), (96, 160))).astype(np.float32)
    back = decode_metres(encode_metres(depth, farthest, quantization, 3))
    within = depth < farthest
    np.testing.assert_array_equal(np.isfinite(back), within)
    z, error = depth[within].astype(float), back[within].astype(float) - depth[within]
    # One step of a / z: the value is cut, so that depth never comes back nearer.
    step = z * back[within] / (quantization * (quantization + 1))
    rounding = 1e-4 * z
    assert (error > -rounding).all()
    assert (error < step + rounding).all()
    assert error.max() > 0.5 * step.max()  # the bound is not an empty one


def test_what_is_no_depth_comes_back_unknown():
    depth = np.array([[np.nan, np.inf, -np.inf, 0.0, -1.0, 1e-6, 0.1, 10.0, 1e9]], np.float32)
    assert np.isnan(decode_metres(encode_metres(depth, 10.0, 100.0, 3))).all()
    known = np.array([[0.16, 9.99]], np.float32)
    np.testing.assert_allclose(decode_metres(encode_metres(known, 10.0, 100.0, 3)), known, 0.01)


def test_the_header_holds_the_transport_s_parameters():
    _, a, b, _ = decode(encode_metres(np.ones((2, 2), np.float32), 10.0, 100.0, 3))
    assert (a, b) == (np.float32(100 * 101), np.float32(1 - 100 * 101 / 10))


def test_millimetres_are_kept_up_to_the_limit():
    depth = np.array([[0, 1, 1500, 10000, 10001, 65535]], np.uint16)
    *_, stored = decode(encode_millimetres(depth, 10.0, 3))
    assert stored.tolist() == [[0, 1, 1500, 10000, 0, 0]]
    *_, stored = decode(encode_millimetres(depth, 100.0, 3))  # beyond what 16 bits hold
    assert stored.tolist() == depth.tolist()


def test_more_effort_makes_it_smaller():
    depth = np.fromfunction(lambda v, u: 2 + 0.01 * v + 0.002 * u, (192, 640)).astype(np.float32)
    sizes = [len(encode_metres(depth, 10.0, 100.0, level)) for level in (0, 9)]
    assert sizes[1] < 0.5 * sizes[0]


def test_colours_are_exact_as_png_and_near_as_jpeg():
    rgb = np.zeros((16, 24, 3), np.uint8)
    rgb[:, :8], rgb[:, 8:] = (128, 64, 128), (0, 0, 142)
    for kind, tolerance in (('png', 0), ('jpeg', 40)):
        data = np.frombuffer(encode_colors(rgb, kind), np.uint8)
        back = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]
        assert np.abs(back.astype(int) - rgb).max() <= tolerance, kind
