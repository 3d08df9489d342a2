# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest
from evaluation_worlds import CAMERA, road

from sg_depth_ros.evaluation.frames import EvaluationError, Frame, Output
from sg_depth_ros.evaluation.protocols import (
    PROTOCOLS,
    compare,
    fuse_flipped,
    garg_crop,
    make_protocol,
    predict,
    resize_prediction,
)


def test_names_tell_all_variants_apart():
    names = {
        make_protocol(base, scaling, flip, occlusion).name
        for base in PROTOCOLS
        for scaling in ('median', 'least_squares', 'none')
        for flip in (False, True)
        for occlusion in (False, True)
    }
    assert len(names) == len(PROTOCOLS) * 3 * 2 * 2
    assert 'eigen-raw+flip, median scaling' in names
    with pytest.raises(EvaluationError, match='eigen-raw'):
        make_protocol('eigen')


def test_garg_crop_of_a_kitti_image():
    rows, columns = garg_crop(375, 1242).nonzero()
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (153, 370, 44, 1196)


def test_improved_has_no_garg_crop_and_no_limit_of_truth_in_monodepth2():
    truth = np.full((40, 40), 90, np.float32)
    raw, improved = (
        compare(truth, truth, make_protocol(base, 'none')).errors()
        for base in ('eigen-raw', 'improved')
    )
    assert raw.pixels == 0
    assert improved.pixels == truth.size
    assert improved.abs_rel == pytest.approx(10 / 90)


def test_resize_of_disparity_is_exact_on_a_plane():
    small, large = CAMERA.resized(48, 32), CAMERA
    small_plane, large_plane = (
        1 / (0.02 + 0.001 * (np.arange(camera.width) - camera.cx) / camera.fx)
        for camera in (small, large)
    )
    resized = resize_prediction(
        np.tile(small_plane.astype(np.float32), (32, 1)), 64, 96, 'disparity'
    )
    assert resized[0, 1:-1] == pytest.approx(large_plane[1:-1], rel=1e-5)


def test_resize_of_depth_aligns_corners():
    depth = np.arange(4, dtype=np.float32)[:, None] + 10 * np.arange(3, dtype=np.float32)
    resized = resize_prediction(depth, 7, 5, 'depth')
    expected = np.linspace(0, 3, 7)[:, None] + 10 * np.linspace(0, 2, 5)
    assert resized == pytest.approx(expected)


def test_the_two_ways_of_resizing_differ():
    depth = np.array([[5, 50], [5, 50]], np.float32)
    disparity, linear = (resize_prediction(depth, 2, 9, how) for how in ('disparity', 'depth'))
    assert linear[0, 4] == pytest.approx(27.5)
    assert disparity[0, 4] == pytest.approx(2 / (1 / 5 + 1 / 50))


def test_unknown_stays_unknown_and_sky_stays_sky():
    depth = np.full((4, 4), 10, np.float32)
    depth[:2], depth[2:] = np.nan, np.inf
    resized = resize_prediction(depth, 8, 8, 'disparity')
    assert np.isnan(resized[:3]).all()
    assert np.isposinf(resized[5:]).all()


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('height', [8, 7, 4])
def test_sky_stays_sky_where_corners_are_aligned(height):
    depth = np.full((4, 4), np.inf, np.float32)
    depth[2:] = 10
    resized = resize_prediction(depth, height, 9, 'depth')
    assert np.isposinf(resized[: height // 2]).all()
    assert (resized[-height // 4 :] == 10).all()


def test_flip_fuses_as_godard():
    width = 201
    left = np.full((2, width), 1 / 0.2, np.float32)
    right = np.full((2, width), 1 / 0.1, np.float32)
    fused = 1 / fuse_flipped(left, right)
    # Left 5 %: the mirrored prediction alone; right 5 %: the direct one; the mean between.
    assert fused[0, :11] == pytest.approx(0.1)
    assert fused[0, -11:] == pytest.approx(0.2)
    assert fused[0, 21:-21] == pytest.approx(0.15)
    assert fused[0, 15] == pytest.approx(0.125, abs=1e-6)


class Sloped:
    """Predicts what depends on the position in the image only: not mirrored with it."""

    name, identity, uses_image = 'sloped', '', True

    def __init__(self):
        self.cameras = []
        self.buffer = np.empty((64, 96), np.float32)

    def predict(self, frame):
        self.cameras.append(frame.camera)
        self.buffer[:] = 1 / (0.1 + 0.001 * np.arange(96))
        self.buffer[:, 0] += frame.image[0, 0, 0]
        return Output(self.buffer, None, 0.5)


def test_flip_predicts_the_mirrored_image_and_camera():
    image, depth = road()
    image = image.copy()
    image[:, 0], image[:, -1] = 3, 7
    model = Sloped()
    frame = Frame('a', image, depth, replace(CAMERA, cx=40.0))
    output = predict(model, frame, make_protocol('eigen-raw', flip=True))
    assert [camera.cx for camera in model.cameras] == [40.0, 55.0]
    # In the middle the slope cancels; the model's buffer, which it used twice, did no harm.
    assert 1 / output.depth[0, 10:-10] == pytest.approx(0.1 + 0.001 * 47.5, rel=1e-5)
    assert output.seconds == 1.0
    assert predict(model, frame, make_protocol('eigen-raw')).seconds == 0.5


def test_a_model_may_use_its_memory_again():
    """The first prediction must not become the second, as of an engine with one output buffer."""

    class Reusing:
        name, identity, uses_image = 'reusing', 'x', True
        depth = np.empty((4, 8), np.float32)
        labels = np.empty((4, 8), np.uint8)

        def predict(self, frame):
            self.depth[:] = frame.image[..., 0]
            self.labels[:] = frame.image[..., 0]
            return Output(self.depth, self.labels)

    ramp = np.repeat(np.tile(np.arange(1, 9, dtype=np.uint8), (4, 1))[..., None], 3, 2)
    frame = Frame('a', ramp, np.ones((4, 8), np.float32))
    output = predict(Reusing(), frame, make_protocol('dense', flip=True))
    # Each pixel has its own value from both sides.
    np.testing.assert_allclose(output.depth, ramp[..., 0], rtol=1e-6)
    np.testing.assert_array_equal(output.labels, ramp[..., 0])
