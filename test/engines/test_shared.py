# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One engine for several cameras: whose turn it is, whose answer it is, who closes it."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from sg_depth_ros.engines import RawPrediction, StageSeconds
from sg_depth_ros.engines.protocol import go_on
from sg_depth_ros.engines.shared import SharedEngine

REQUEST = (SimpleNamespace(digest='a'), 'auto', None, None, go_on)


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
    handles = [shared.open(*REQUEST) for _ in range(3)]
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
    first, second = (shared.open(*REQUEST) for _ in range(2))
    first.close()
    assert made[0].closed == 0
    second.close()
    assert made[0].closed == 1
    shared.open(*REQUEST)
    assert len(made) == 2


@pytest.mark.parametrize(
    'change', [{0: SimpleNamespace(digest='b')}, {1: 'onnxruntime'}, {2: 1}, {3: 'fp16'}]
)
def test_another_engine_is_refused(shared, change):
    shared.open(*REQUEST)
    other = [change.get(i, value) for i, value in enumerate(REQUEST)]
    with pytest.raises(ValueError, match='must have the same bundle'):
        shared.open(*other)


class Forking(Counting):
    """Gives out others that work at the same time."""

    def __init__(self):
        super().__init__()
        self.forks = []

    def fork(self):
        self.forks.append(Counting())
        return self.forks[-1]


def test_cameras_of_an_engine_that_forks_do_not_wait_for_each_other():
    engine = Forking()
    shared = SharedEngine(lambda *_: engine)
    first, second, third = (shared.open(*REQUEST) for _ in range(3))
    inside, leave = threading.Event(), threading.Event()
    answer = engine.infer

    def infer(image_hw3):
        inside.set()
        assert leave.wait(30)
        return answer(image_hw3)

    engine.infer = infer
    thread = threading.Thread(target=first.infer, args=(np.array(1),))
    thread.start()
    assert inside.wait(30)
    assert second.infer(np.array(2)).depth_hw.item() == 2
    assert third.infer(np.array(3)).depth_hw.item() == 3
    leave.set()
    thread.join(30)
    assert [fork.asked for fork in engine.forks] == [[2], [3]]
    first.close()
    second.close()
    assert (engine.closed, [fork.closed for fork in engine.forks]) == (0, [1, 0])
    fourth = shared.open(*REQUEST)
    assert len(engine.forks) == 3
    third.close()
    fourth.close()
    assert engine.closed == 1
    assert all(fork.closed == 1 for fork in engine.forks)
