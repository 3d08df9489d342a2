# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from evaluation_worlds import CAMERA, image_to_depth, road, write_red_bundle

from sg_depth_ros.evaluation.baselines import Constant, DepthStatistics, RowPrior
from sg_depth_ros.evaluation.frames import EvaluationError, Frame
from sg_depth_ros.evaluation.models import BundleModel, OnnxModel, OnnxOptions

IMAGE, DEPTH = road()
FRAME = Frame('a', IMAGE, DEPTH, CAMERA)


def test_bundle_predicts_what_its_graph_says(bundle):
    model = BundleModel(bundle, 'onnxruntime')
    output = model.predict(FRAME)
    assert output.depth == pytest.approx(IMAGE[..., 0] / 4)
    assert np.array_equal(output.labels == 13, output.depth < 10)
    assert output.seconds > 0
    assert model.name == 'red' and 'onnxruntime' in model.identity


@pytest.mark.parametrize('inverse', [False, True])
@pytest.mark.parametrize('channels_first', [False, True])
def test_foreign_network(tmp_path, inverse, channels_first):
    path = tmp_path / 'foreign.onnx'
    image_to_depth(path, inverse=inverse, channels_first=channels_first)
    options = OnnxOptions(None, 'bytes', 'inverse' if inverse else 'depth')
    output = OnnxModel(path, options).predict(FRAME)
    assert output.depth == pytest.approx(IMAGE[..., 0] / 4, rel=1e-5)
    assert output.labels is None


@pytest.mark.parametrize(
    ('normalisation', 'expected'),
    [
        ('bytes', lambda red: red / 4),
        ('unit', lambda red: red / 255 / 4),
        ('symmetric', lambda red: (red / 127.5 - 1) / 4),
        ('imagenet', lambda red: (red / 255 - 0.485) / 0.229 / 4),
    ],
)
def test_foreign_normalisation(tmp_path, normalisation, expected):
    path = image_to_depth(tmp_path / 'foreign.onnx')
    output = OnnxModel(path, OnnxOptions(normalisation=normalisation)).predict(FRAME)
    assert output.depth == pytest.approx(expected(IMAGE[..., 0].astype(float)), abs=1e-5)


def test_foreign_network_in_half_precision(tmp_path):
    path = image_to_depth(tmp_path / 'half.onnx', kind='float16')
    output = OnnxModel(path, OnnxOptions(None, 'bytes')).predict(FRAME)
    assert output.depth == pytest.approx(IMAGE[..., 0] / 4)


def test_foreign_size(tmp_path):
    path = image_to_depth(tmp_path / 'open.onnx', dynamic=True)
    with pytest.raises(EvaluationError, match='--onnx-size'):
        OnnxModel(path)
    model = OnnxModel(path, OnnxOptions((48, 32), 'bytes'))
    assert model.predict(FRAME).depth.shape == (32, 48)


def test_foreign_inverse_depth_of_zero_is_beyond_range(tmp_path):
    path = image_to_depth(tmp_path / 'foreign.onnx')
    image = IMAGE.copy()
    image[0] = 0
    output = OnnxModel(path, OnnxOptions(None, 'bytes', 'inverse')).predict(
        Frame('a', image, DEPTH)
    )
    assert np.isposinf(output.depth[0]).all() and np.isfinite(output.depth[1:]).all()


def test_foreign_network_complains_clearly(tmp_path):
    with pytest.raises(EvaluationError, match='does not exist'):
        OnnxModel(tmp_path / 'none.onnx')
    (tmp_path / 'bad.onnx').write_bytes(b'no network')
    with pytest.raises(EvaluationError, match='cannot be loaded'):
        OnnxModel(tmp_path / 'bad.onnx')
    with pytest.raises(EvaluationError, match=r'tensor\(double\).*expected one image'):
        OnnxModel(image_to_depth(tmp_path / 'double.onnx', kind='double'))
    model = OnnxModel(image_to_depth(tmp_path / 'fixed.onnx'))
    model._size = (50, 50)
    with pytest.raises(
        EvaluationError, match=r'fixed fails on an image of shape \(1, 3, 50, 50\)'
    ):
        model.predict(FRAME)


def test_prior_is_the_median_of_the_other_frames():
    column = np.linspace(40, 4, 375, dtype=np.float32)[:, None]
    truths = {
        name: np.tile(column * k, (1, 8)) for name, k in zip('abcd', (1, 2, 3, 9), strict=True)
    }
    statistics = DepthStatistics(truths.items(), max_depth=1000)
    # Without a: the median of 2, 3, 9; without d: that of 1, 2, 3.
    for name, factor in (('a', 3), ('d', 2)):
        frame = Frame(name, IMAGE, truths[name])
        prior = RowPrior(statistics).predict(frame).depth
        assert prior.shape == (375, 8)
        assert prior == pytest.approx(truths['a'] * factor, rel=0.06)
        constant = Constant(statistics).predict(frame).depth
        assert constant == pytest.approx(np.full((375, 8), factor * np.median(column)), rel=1e-5)


def test_prior_fills_rows_without_truth_and_any_height():
    truth = np.full((192, 4), np.nan, np.float32)
    truth[100], truth[150] = 20, 10
    statistics = DepthStatistics([('a', truth), ('b', truth)])
    prior = RowPrior(statistics).predict(Frame('c', IMAGE, np.zeros((384, 4), np.float32))).depth
    assert prior[:200, 0] == pytest.approx(20)
    assert prior[250, 0] == pytest.approx(15, rel=0.02)
    assert prior[301:, 0] == pytest.approx(10)


def test_one_frame_cannot_be_left_out():
    with pytest.raises(EvaluationError, match='2 or more'):
        DepthStatistics([('a', DEPTH)])


def test_a_bundle_gives_metres_by_the_height_of_the_camera(tmp_path):
    """The camera is 1.5 m over the road of that world: said to be 3 m, all is twice as far."""
    bundle = write_red_bundle(tmp_path, near_label=0)
    image, depth = road()
    frame = Frame('a', image, depth, CAMERA)
    plain = BundleModel(bundle, 'onnxruntime').predict(frame).depth
    model = BundleModel(bundle, 'onnxruntime', camera_height=3.0)
    assert 'camera 3 m over the road' in model.identity
    assert model.predict(frame).depth == pytest.approx(2 * plain, rel=0.02)
    # Where no road is seen, the factor of the frame before holds.
    wall = Frame('b', np.full_like(image, 32), depth, CAMERA)
    assert model.predict(wall).depth == pytest.approx(np.full(depth.shape, 2 * 8.0), rel=0.02)
    blind = BundleModel(bundle, 'onnxruntime', camera_height=3.0).predict(wall)
    assert np.isnan(blind.depth).all()
    with pytest.raises(EvaluationError, match='without intrinsics'):
        model.predict(Frame('c', image, depth))
