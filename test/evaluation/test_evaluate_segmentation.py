# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import cv2
import numpy as np
import pytest

from sg_depth_ros.bundle.labels import CITYSCAPES, ID, VOID
from sg_depth_ros.evaluation.frames import EvaluationError
from sg_depth_ros.evaluation.segmentation import (
    ClassMapping,
    confusion_matrix,
    evaluate_segmentation,
    mapping_table,
    read_mapping,
    segmentation_scores,
)
from sg_depth_ros.images.files import ImageFileError

CAMVID = Path(__file__).parents[2] / 'config/camvid.yaml'


def test_scores_match_plain_loops():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, (30, 40)).astype(np.uint8)
    predicted = np.where(rng.random((30, 40)) < 0.6, truth, rng.integers(0, 5, (30, 40)))
    predicted = predicted.astype(np.uint8)
    scores = segmentation_scores(confusion_matrix(truth, predicted, [0, 1, 2]), ['a', 'b', 'c'])
    counted = [(t, p) for t, p in zip(truth.flat, predicted.flat, strict=True) if t != 3]
    for id, name in enumerate('abc'):
        both = sum(t == p == id for t, p in counted)
        either = sum(id in (t, p) for t, p in counted)
        assert scores['iou'][name] == pytest.approx(both / either)
    right = sum(t == p for t, p in counted)
    assert scores['pixel_accuracy'] == pytest.approx(right / len(counted))
    assert np.sum(scores['confusion']['pixels']) == len(counted)


def test_perfect_and_absent_classes():
    truth = np.array([[0, 0, 2]], np.uint8)
    scores = segmentation_scores(confusion_matrix(truth, truth, [0, 1, 2]), ['a', 'b', 'c'])
    assert scores['mean_iou'] == scores['pixel_accuracy'] == 1
    assert np.isnan(scores['iou']['b'])


def test_camvid_mapping_covers_all_labels_and_classes():
    mapping = read_mapping(CAMVID)
    table = mapping_table(mapping, CITYSCAPES)
    assert set(table[:19]) == set(range(11))
    assert (table[19:] == VOID).all()
    for label, class_id in (('road', 3), ('sidewalk', 4), ('truck', 8), ('rider', 10)):
        assert table[ID[label]] == class_id


@pytest.mark.parametrize(
    ('text', 'match'),
    [
        ('classes: {0: a}\nvoid: []\nlabels: {road: b}\n', "'b', which is none of the classes"),
        ('classes: {0: a}\nvoid: []\nlabels: {}\ncolours: 1\n', 'colours'),
        ('classes: {0: a}\nlabels: {}\n', 'void'),
        ('- 1\n', 'no class mapping'),
        ('classes: {300: a}\nvoid: []\nlabels: {}\n', 'classes.300.*less than 255'),
        ('classes: {-1: a}\nvoid: []\nlabels: {}\n', 'classes.-1.*greater'),
        ('classes: {0: \xe4}\nvoid: []\nlabels: {}\n', 'no class mapping'),
    ],
)
def test_bad_mappings(tmp_path, text, match):
    pytest.importorskip('pydantic', '2')
    (tmp_path / 'mapping.yaml').write_text(text, encoding='latin-1')
    with pytest.raises(EvaluationError, match=match):
        read_mapping(tmp_path / 'mapping.yaml')


@pytest.fixture
def camvid(tmp_path):
    for name in ('images', 'labels'):
        (tmp_path / name).mkdir()
    labels = np.zeros((20, 30), np.uint8)
    labels[10:] = 3
    labels[:, :5] = 11
    for stem in 'ab':
        cv2.imwrite(str(tmp_path / f'images/{stem}.png'), np.zeros((20, 30, 3), np.uint8))
        cv2.imwrite(str(tmp_path / f'labels/{stem}.png'), labels)
    return tmp_path


def test_folder(camvid):
    def all_road(image):
        return np.full(image.shape[:2], ID['road'], np.uint8)

    scores = evaluate_segmentation(camvid, read_mapping(CAMVID), CITYSCAPES, all_road)
    assert scores['images'] == 2
    assert scores['pixel_accuracy'] == 0.5
    assert scores['iou']['Road'] == 0.5
    assert scores['iou']['Sky'] == 0
    assert scores['mean_iou'] == 0.25
    assert np.sum(scores['confusion']['pixels']) == 2 * 20 * 25


def test_folder_complains_clearly(camvid):
    mapping = ClassMapping(classes={0: 'Sky'}, void=[11], labels={'sky': 'Sky'})
    with pytest.raises(EvaluationError, match='the labels hold 3'):
        evaluate_segmentation(camvid, mapping, CITYSCAPES, lambda image: image[..., 0])
    with pytest.raises(EvaluationError, match="'sky', the model has road"):
        mapping_table(mapping, CITYSCAPES[:2])
    (camvid / 'labels/b.png').unlink()
    with pytest.raises(ImageFileError, match=r'b\.png cannot be read'):
        evaluate_segmentation(camvid, read_mapping(CAMVID), CITYSCAPES, lambda i: i[..., 0])
