# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One engine for several cameras: whose turn it is, whose answer it is, who closes it."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from sg_depth_ros.engines import RawPrediction, StageSeconds
from sg_depth_ros.engines.shared import SharedEngine

BUNDLE = SimpleNamespace(digest='a')


class Counting:
    """Answers in the same memory each time, and notes who asked."""

    name, version, device = 'counting', '1', 'CPU'

    def __init__(self):
        self.asked, self.closed, self.inside = [], 0, 0
        self.depth, self.labels = np.zeros((1, 1), np.float32), np.zeros((1, 1), np.uint8)

    def infer(self, image_hw3):
        self.inside += 1
        assert self.inside == 1, 'two cameras at once'
        self.asked.append(int(image_hw3))
        time.sleep(0.002)
        self.depth[:] = image_hw3
        self.inside -= 1
        return RawPrediction(self.depth, self.labels, StageSeconds(0, 0))

    def close(self):
        self.closed += 1


@pytest.fixture
def made():
    return []


@pytest.fixture
def shared(made):
    def create(*_):
        made.append(Counting())
        return made[-1]

    return SharedEngine(create)


def test_cameras_take_turns_and_keep_their_own_answers(shared, made):
    handles = [shared.open(BUNDLE, 'auto', None) for _ in range(3)]
    start = threading.Barrier(3)

    def drive(camera):
        start.wait()
        for _ in range(20):
            raw = handles[camera].infer(np.array(camera))
            answers.append(raw.depth_hw.item() == camera)

    answers = []
    threads = [threading.Thread(target=drive, args=(camera,)) for camera in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * 60
    (engine,) = made
    # Nobody goes twice while two others wait: in the middle each nine turns are three of each.
    counts = [engine.asked[12:48].count(camera) for camera in range(3)]
    assert max(counts) - min(counts) <= 3


def test_the_last_one_closes_it_and_the_next_makes_another(shared, made):
    first, second = (shared.open(BUNDLE, 'auto', None) for _ in range(2))
    first.close()
    assert made[0].closed == 0
    second.close()
    assert made[0].closed == 1
    shared.open(BUNDLE, 'auto', None)
    assert len(made) == 2


def test_another_bundle_is_refused(shared):
    shared.open(BUNDLE, 'auto', None)
    with pytest.raises(ValueError, match='must have the same bundle'):
        shared.open(SimpleNamespace(digest='b'), 'auto', None)
