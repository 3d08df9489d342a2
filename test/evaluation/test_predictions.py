# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth that another program has saved, evaluated as a model."""

import json

import cv2
import numpy as np
import pytest
from evaluation_worlds import road

from sg_depth_ros.evaluation.frames import EvaluationError, Frame
from sg_depth_ros.evaluation.predictions import SavedPredictions, are_predictions
from sg_depth_ros.images.files import ImageFileError, depth_to_png
from sg_depth_ros.images.saved_depth import open_array, read_packnet_depth

DEPTH = np.array([[1.5, 4.0], [8.0, 20.0]], np.float32)


class Named:
    """A source of which only the names matter."""

    def __init__(self, *names):
        self._names = list(names)

    def names(self):
        return self._names


def frame(name):
    return Frame(name, np.zeros((2, 2, 3), np.uint8), DEPTH)


def test_a_folder_of_files_by_name(tmp_path):
    np.save(tmp_path / 'a.npy', DEPTH[None])
    np.savez(tmp_path / 'drive_b.npz', depth=2 * DEPTH, intrinsics=np.eye(3))
    cv2.imwrite(str(tmp_path / 'c.png'), depth_to_png(np.where(DEPTH > 2, DEPTH, np.nan)))
    assert are_predictions(tmp_path)
    model = SavedPredictions(tmp_path, Named('a', 'drive/b', 'c', 'd'))
    assert np.array_equal(model.predict(frame('a')).depth, DEPTH)
    assert np.array_equal(model.predict(frame('drive/b')).depth, 2 * DEPTH)
    assert model.predict(frame('c')).depth[1, 1] == 20
    assert np.isnan(model.predict(frame('c')).depth[0, 0])
    # What was not predicted covers nothing.
    assert np.isnan(model.predict(frame('d')).depth).all()
    before = model.identity
    np.save(tmp_path / 'a.npy', DEPTH + 1)
    assert SavedPredictions(tmp_path, Named('a', 'drive/b', 'c', 'd')).identity != before
    with pytest.raises(EvaluationError, match=r'no prediction of any frame, such as x.npy'):
        SavedPredictions(tmp_path, Named('x', 'y'))


def test_one_array_of_disparities_in_the_order_of_the_frames(tmp_path):
    disparities = np.stack([1 / DEPTH, 0.5 / DEPTH])
    disparities[1, 0, 0] = 0
    np.save(tmp_path / 'disps.npy', disparities)
    model = SavedPredictions(tmp_path / 'disps.npy', Named('b', 'a'), 'inverse')
    assert model.predict(frame('b')).depth == pytest.approx(DEPTH)
    depth = model.predict(frame('a')).depth
    assert np.isinf(depth[0, 0]) and depth[1, 1] == pytest.approx(40)
    with pytest.raises(EvaluationError, match=r'shape \(2, 2, 2\), expected \(3, h, w\)'):
        SavedPredictions(tmp_path / 'disps.npy', Named('a', 'b', 'c'))


def test_files_that_are_no_numbers_are_a_sentence(tmp_path):
    np.save(tmp_path / 'o.npy', np.array([{}], object), allow_pickle=True)
    with pytest.raises(ImageFileError, match='cannot be read as numbers of NumPy'):
        open_array(tmp_path / 'o.npy')
    np.save(tmp_path / 't.npy', np.array(['text']))
    with pytest.raises(ImageFileError, match='expected numbers'):
        open_array(tmp_path / 't.npy')
    np.savez(tmp_path / 'two.npz', a=DEPTH, b=DEPTH)
    with pytest.raises(ImageFileError, match='it holds a, b, expected one of'):
        open_array(tmp_path / 'two.npz')
    (tmp_path / 'x.npz').write_bytes(b'PK no zip')
    with pytest.raises(ImageFileError, match='cannot be read'):
        open_array(tmp_path / 'x.npz')
    np.savez(tmp_path / 'v.npz', velodyne_depth=np.array([[0, 3.5]]))
    np.testing.assert_array_equal(read_packnet_depth(tmp_path / 'v.npz'), [[np.nan, 3.5]])


def test_the_command_takes_them_for_a_model(tmp_path):
    pytest.importorskip('typer', reason='typer is not installed')
    from typer.testing import CliRunner

    from sg_depth_ros.cli.evaluate import app

    for part in ('images', 'depth', 'saved'):
        (tmp_path / 'data' / part).mkdir(parents=True)
    for index in range(3):
        image, depth = road(index)
        cv2.imwrite(str(tmp_path / f'data/images/{index}.png'), image[..., ::-1])
        cv2.imwrite(str(tmp_path / f'data/depth/{index}.png'), depth_to_png(depth))
        np.save(tmp_path / f'data/saved/{index}.npy', 1 / (3 * depth))
    arguments = [
        'folder', str(tmp_path / 'data'), '--bundle', str(tmp_path / 'data/saved'),
        '--onnx-output', 'inverse', '--protocol', 'dense', '--out', str(tmp_path / 'out'),
        '--no-images',
    ]  # fmt: skip
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / 'out/metrics.json').read_text())['models']['saved']
    assert found['mean']['abs_rel']['mean'] < 0.01
    assert found['scale']['median_ratio'] == pytest.approx(1 / 3, rel=0.02)
