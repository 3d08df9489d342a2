# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
import tracemalloc

import numpy as np
import pytest

from sg_depth_ros.bags import BagWriter, image_message
from sg_depth_ros.evaluation.frames import EvaluationError, Frame
from sg_depth_ros.evaluation.recorded import DEPTH_TOPIC, LABELS_TOPIC, RecordedModel

IMAGE = np.zeros((4, 6, 3), np.uint8)


def frame(stamp):
    return Frame(str(stamp), IMAGE, np.ones((4, 6), np.float32))


def test_depth_and_labels_are_found_by_stamp(tmp_path):
    with BagWriter(tmp_path / 'bag') as bag:
        for stamp in (100, 200, 400):
            labels = np.full((4, 6), stamp // 100, np.uint8)
            bag.write(LABELS_TOPIC, image_message(labels, stamp, 'camera'), stamp)
            depth = np.full((4, 6), stamp, np.float32)
            depth[0, 0] = np.inf
            bag.write(DEPTH_TOPIC, image_message(depth, stamp, 'camera'), stamp)
    model = RecordedModel(tmp_path / 'bag', 'node', 'x')
    # In order, back again (the pictures of the report), and one that the node dropped.
    for stamp in (100, 200, 400, 200):
        output = model.predict(frame(stamp))
        assert output.depth[1, 1] == stamp and np.isposinf(output.depth[0, 0])
        assert (output.labels == stamp // 100).all()
    assert np.isnan(model.predict(frame(300)).depth).all()
    assert model.predict(frame(400)).depth[1, 1] == 400


def test_labels_of_withheld_frames_do_not_pile_up(tmp_path):
    labels = np.zeros((200, 500), np.uint8)
    with BagWriter(tmp_path / 'bag') as bag:
        for stamp in range(1, 401):
            bag.write(LABELS_TOPIC, image_message(labels, stamp, 'camera'), stamp)
        bag.write(DEPTH_TOPIC, image_message(np.ones((4, 6), np.float32), 400, 'camera'), 400)
    model = RecordedModel(tmp_path / 'bag', 'node', 'x')
    tracemalloc.start()
    assert (model.predict(frame(400)).depth == 1).all()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The bag holds 400 of them.
    assert peak < 200 * labels.nbytes


def test_what_is_no_depth_is_refused(tmp_path):
    with BagWriter(tmp_path / 'none') as bag:
        bag.write(LABELS_TOPIC, image_message(IMAGE[..., 0], 1, 'camera'), 1)
    with pytest.raises(EvaluationError, match='published no depth'):
        RecordedModel(tmp_path / 'none', 'node', 'x')
    with BagWriter(tmp_path / 'millimetres') as bag:
        depth = np.full((4, 6), 5, np.uint16)
        bag.write(DEPTH_TOPIC, image_message(depth, 1, 'camera'), 1)
    with pytest.raises(EvaluationError, match='expected 32FC1'):
        RecordedModel(tmp_path / 'millimetres', 'node', 'x').predict(frame(1))


def test_rows_may_be_longer_than_the_image(tmp_path):
    """Publishers pad rows to multiples of their own."""
    depth = image_message(np.arange(24, dtype=np.float32).reshape(4, 6), 7, 'camera')
    labels = image_message(np.arange(24, dtype=np.uint8).reshape(4, 6), 7, 'camera')
    depth.width = labels.width = 5
    with BagWriter(tmp_path / 'bag') as bag:
        bag.write(DEPTH_TOPIC, depth, 7)
        bag.write(LABELS_TOPIC, labels, 7)
    output = RecordedModel(tmp_path / 'bag', 'node', 'x').predict(frame(7))
    np.testing.assert_array_equal(output.depth, np.arange(24).reshape(4, 6)[:, :5])
    np.testing.assert_array_equal(output.labels, np.arange(24).reshape(4, 6)[:, :5])
