# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np

from sg_depth_ros.evaluation.sources import street
from sg_depth_ros.evaluation.sources.street import StreetSource
from sg_depth_ros.synthetic import drive, street_camera

CAMERA = street_camera(96, 32)


def test_street_gives_the_frames_of_the_drive():
    source = StreetSource(CAMERA, 5, seed=3)
    assert source.names() == ['3_000000', '3_000001', '3_000002', '3_000003', '3_000004']
    frames = list(source.frames({'3_000001', '3_000002'}))
    assert [frame.name for frame in frames] == ['3_000001', '3_000002']
    for frame, expected in zip(frames, list(drive(CAMERA, 3, 3))[1:], strict=True):
        assert np.array_equal(frame.image, expected.image)
        assert np.array_equal(frame.truth, expected.depth)
        assert np.array_equal(frame.labels, expected.labels)
        assert (frame.camera, frame.stamp) == (CAMERA, expected.stamp)


def test_several_streets_are_one_source():
    source = StreetSource(CAMERA, 2, seed=3, streets=2)
    assert source.name == 'street seeds 3 to 4, 96x32'
    assert source.names() == ['3_000000', '3_000001', '4_000000', '4_000001']
    frames = list(source.frames({'3_000000', '4_000001'}))
    assert [frame.name for frame in frames] == ['3_000000', '4_000001']
    assert np.array_equal(frames[1].image, list(drive(CAMERA, 2, 4))[1].image)


def test_baselines_see_other_streets(monkeypatch):
    monkeypatch.setattr(street, 'OTHER_STREETS', 1)
    monkeypatch.setattr(street, 'OTHER_FRAMES', 2)
    source = StreetSource(CAMERA, 2, seed=3)
    truths = dict(source.truths())
    assert len(truths) == 2
    own = next(iter(source.frames({'3_000000'}))).truth
    assert not any(np.array_equal(truth, own) for truth in truths.values())
    assert not set(truths) & set(source.names())
