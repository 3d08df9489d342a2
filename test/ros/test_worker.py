# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
import threading

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from sg_depth_ros.ros.worker import InferenceWorker

TIMEOUT = 30.0


class Recorder:
    """Callbacks of a worker that can be held at each place."""

    def __init__(self, after=None):
        self.may_load, self.may_process = threading.Event(), threading.Event()
        self.started, self.loaded = threading.Event(), threading.Event()
        self.reported = threading.Event()
        self.frames, self.results, self.closed = [], [], []
        self.loads = 0
        self.worker = InferenceWorker(
            self.load, self.process, self.on_loaded, self.closed.append, after
        )

    def load(self, report):
        self.loads += 1
        self.go_on = report('preparing', 0.25)
        self.reported.set()
        assert self.may_load.wait(TIMEOUT)
        return 'model'

    def process(self, model, frame):
        self.started.set()
        assert self.may_process.wait(TIMEOUT)
        self.frames.append((model, frame))

    def on_loaded(self, result):
        self.results.append(result)
        self.loaded.set()


def test_the_newest_frame_is_kept_and_the_frame_in_work_is_finished():
    recorder = Recorder()
    assert recorder.worker.state == 'loading'
    assert recorder.reported.wait(TIMEOUT)
    assert recorder.go_on
    assert recorder.worker.progress == ('preparing', 0.25)
    recorder.may_load.set()
    assert recorder.loaded.wait(TIMEOUT)
    assert recorder.worker.state == 'ready'
    assert recorder.worker.progress is None
    assert not recorder.worker.submit(1)
    assert recorder.started.wait(TIMEOUT)
    assert [recorder.worker.submit(n) for n in (2, 3, 4)] == [False, True, True]
    assert recorder.worker.clear()
    assert not recorder.worker.clear()
    assert not recorder.worker.submit(5)
    stopper = threading.Thread(target=recorder.worker.stop, args=(TIMEOUT,))
    recorder.started.clear()
    recorder.may_process.set()
    assert recorder.started.wait(TIMEOUT)
    stopper.start()
    stopper.join(TIMEOUT)
    assert recorder.frames == [('model', 1), ('model', 5)]
    assert recorder.worker.state == 'stopped'
    assert recorder.closed == ['model']


def test_of_frames_that_wait_the_newest_is_worked_on():
    recorder = Recorder()
    recorder.may_load.set()
    assert recorder.loaded.wait(TIMEOUT)
    recorder.worker.submit(1)
    assert recorder.started.wait(TIMEOUT)
    recorder.started.clear()
    for n in (2, 3, 4):
        recorder.worker.submit(n)
    recorder.may_process.set()
    assert recorder.started.wait(TIMEOUT)
    assert recorder.worker.stop(TIMEOUT)
    assert recorder.frames == [('model', 1), ('model', 4)]


def test_a_worker_that_is_stopped_while_it_loads_frees_the_model_later():
    recorder = Recorder()
    assert not recorder.worker.stop(timeout=0.01)
    assert not recorder.worker._report('going on', 0.5)
    recorder.may_load.set()
    assert recorder.worker.stop(TIMEOUT)
    assert recorder.closed == ['model']
    assert not recorder.results
    assert recorder.worker.state == 'stopped'


def test_an_error_in_loading_is_reported():
    results = []
    error = RuntimeError('no GPU')

    def load(report):
        raise error

    worker = InferenceWorker(load, None, results.append, None)
    worker._thread.join(TIMEOUT)
    assert results == [error]
    assert worker.state == 'failed'
    assert worker.stop(TIMEOUT)


def test_loading_that_was_stopped_goes_on_for_who_comes_next():
    recorder, frames, results = Recorder(), [], []
    assert recorder.reported.wait(TIMEOUT)
    assert not recorder.worker.stop(timeout=0.01)
    assert recorder.worker.resume(lambda *work: frames.append(work), results.append)
    assert recorder.worker.state == 'loading'
    recorder.may_load.set()
    while not results:
        assert recorder.worker.alive
    assert results == ['model'] and not recorder.results
    recorder.worker.submit(1)
    while not frames:
        assert recorder.worker.alive
    assert not recorder.worker.resume(None, None)  # it has loaded
    assert recorder.worker.stop(TIMEOUT)
    assert (frames, recorder.frames, recorder.loads) == ([('model', 1)], [], 1)
    assert recorder.closed == ['model']


def test_loading_that_was_told_to_stop_does_not_go_on():
    recorder = Recorder()
    recorder.worker.stop(timeout=0.01)
    assert not recorder.worker._report('going on', 0.5)
    assert not recorder.worker.resume(None, None)
    recorder.may_load.set()
    assert recorder.worker.stop(TIMEOUT)


def test_a_worker_loads_when_the_one_before_has_freed_its_model():
    first = Recorder()
    second = Recorder(after=first.worker)
    assert not first.worker.stop(timeout=0.01)
    assert not second.reported.wait(0.3)
    first.may_load.set()
    assert second.reported.wait(TIMEOUT)
    assert first.closed == ['model']
    second.may_load.set()
    assert second.loaded.wait(TIMEOUT)
    assert second.worker.stop(TIMEOUT)


def test_a_worker_that_waits_for_the_one_before_can_be_stopped():
    first = Recorder()
    second = Recorder(after=first.worker)
    assert second.worker.stop(TIMEOUT)
    assert second.loads == 0 and not second.closed
    first.may_load.set()
    assert first.worker.stop(TIMEOUT)
