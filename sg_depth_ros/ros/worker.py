# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One thread that loads the networks and then works on the newest frame."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, Literal, TypeVar

State = Literal['loading', 'ready', 'failed', 'stopped']
Report = Callable[[str, float], bool]
"""Takes what loading is at and the share that is done; answers whether it is to go on."""

_POLL_SECONDS = 0.1

ModelT = TypeVar('ModelT')
FrameT = TypeVar('FrameT')


class InferenceWorker(Generic[ModelT, FrameT]):
    """A thread with a slot for one frame; a newer frame takes the place of one that waits.

    Loading happens in the thread too, since building an engine may take minutes in which the
    node must answer.
    """

    def __init__(
        self,
        load: Callable[[Report], ModelT],
        process: Callable[[ModelT, FrameT], None],
        loaded: Callable[[ModelT | Exception], None],
        close: Callable[[ModelT], None],
        after: InferenceWorker[ModelT, FrameT] | None = None,
    ) -> None:
        """Start the thread.

        :param load: makes the model; reports how far it is, and raises when told to stop.
        :param process: works on one frame; must handle its errors.
        :param loaded: told the model, or the error that loading raised.
        :param close: frees the model when the worker stops.
        :param after: a worker that was stopped, whose end to wait for before loading: two models
            may be more than the memory holds.
        """
        self._load, self._process, self._loaded, self._close = load, process, loaded, close
        self._condition = threading.Condition()
        self._frame: FrameT | None = None
        self._state: State = 'loading'
        self._progress: tuple[str, float] | None = None
        self._settled = False
        """Whether the state can no longer become ``ready``."""
        self._after = after
        # A daemon, so that a build inside a vendor's library cannot keep the process from ending.
        self._thread = threading.Thread(target=self._run, name='inference', daemon=True)
        self._thread.start()

    @property
    def state(self) -> State:
        """What the thread is doing; ``failed`` is final."""
        return self._state

    @property
    def progress(self) -> tuple[str, float] | None:
        """What a slow start is at and the share that is done; None where it is not slow."""
        return self._progress if self._state == 'loading' else None

    @property
    def alive(self) -> bool:
        """Whether the thread has not ended, or that of the worker that it was to wait for."""
        after = self._after
        return self._thread.is_alive() or (after is not None and after.alive)

    def submit(self, frame: FrameT) -> bool:
        """Offer a frame to a worker that is ready; tell whether one that waited was dropped."""
        with self._condition:
            dropped = self._frame is not None
            self._frame = frame
            self._condition.notify()
            return dropped

    def clear(self) -> bool:
        """Forget the frame that waits; tell whether there was one."""
        with self._condition:
            dropped = self._frame is not None
            self._frame = None
            return dropped

    def stop(self, timeout: float) -> bool:
        """End the thread after the frame in work; tell whether it ended within the seconds.

        A thread that is still loading is told to stop when it reports next; one that does not
        report ends, and frees the model, when loading is done.
        """
        with self._condition:
            self._state = 'stopped'
            self._condition.notify()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def resume(
        self,
        process: Callable[[ModelT, FrameT], None],
        loaded: Callable[[ModelT | Exception], None],
    ) -> bool:
        """Go on loading after ``stop``, for new callbacks; tell whether that is possible.

        It is not once loading has ended or has been told to stop.
        """
        with self._condition:
            if self._settled:
                return False
            self._process, self._loaded = process, loaded
            self._state = 'loading'
            return True

    def _run(self) -> None:
        if not self._wait_for_the_one_before():
            return
        try:
            model = self._load(self._report)
        except Exception as error:  # run-times raise whatever they like
            if self._advance('failed'):
                self._loaded(error)
            return
        try:
            if self._advance('ready'):
                self._loaded(model)
            while (frame := self._take()) is not None:
                self._process(model, frame)
        finally:
            self._close(model)

    def _wait_for_the_one_before(self) -> bool:
        """Wait until another worker has ended; False when this one has been stopped meanwhile."""
        while self._after and self._after.alive:
            with self._condition:
                if self._condition.wait_for(lambda: self._state == 'stopped', _POLL_SECONDS):
                    self._settled = True
                    return False
        self._after = None
        return True

    def _report(self, phase: str, fraction: float) -> bool:
        with self._condition:
            self._progress = (phase, fraction)
            go_on = self._state == 'loading'
            self._settled |= not go_on
            return go_on

    def _advance(self, state: State) -> bool:
        """Leave the state ``loading``, unless the worker was stopped meanwhile."""
        with self._condition:
            self._settled = True
            if self._state != 'loading':
                return False
            self._state = state
            return True

    def _take(self) -> FrameT | None:
        """Wait for a frame; None when the worker has been stopped."""
        with self._condition:
            self._condition.wait_for(lambda: self._frame is not None or self._state == 'stopped')
            frame, self._frame = self._frame, None
            return None if self._state == 'stopped' else frame
