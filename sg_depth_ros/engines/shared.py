# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One engine for several cameras: they take turns, or share its weights if it can be forked."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.bundle import Bundle
from sg_depth_ros.engines.protocol import Engine, Forkable, Precision, Progress, RawPrediction

Create = Callable[[Bundle, str, int | None, Precision | None, Progress], Engine]


class SharedEngine:
    """Hands out handles to one engine: made with the first, closed with the last of them."""

    def __init__(self, create: Create) -> None:
        """Remember how the engine is made; nothing is loaded yet."""
        self._create = create
        self._loading = threading.Lock()
        self._engine: Engine | None = None
        self._key: tuple[str, str, int | None, Precision | None] | None = None
        self._users = 0
        self._turns = _Turns()

    def open(
        self,
        bundle: Bundle,
        kind: str,
        threads: int | None,
        precision: Precision | None,
        progress: Progress,
    ) -> Engine:
        """Give a handle that is an engine itself.

        :raises ValueError: when the engine in use is of another bundle, kind, thread count or
            precision
        """
        with self._loading:
            key = (bundle.digest, kind, threads, precision)
            engine = self._engine
            if engine is None:
                # The first camera also keeps the weights for those that come later.
                self._engine = engine = self._create(bundle, kind, threads, precision, progress)
                self._key = key
            elif key != self._key:
                raise ValueError(
                    f'cameras that share an engine must have the same bundle, engine, threads and '
                    f'precision, found {key} beside {self._key}; run a process for each'
                )
            elif isinstance(engine, Forkable):
                return self._lend(engine.fork(), _Turns(), own=True)
            return self._lend(engine, self._turns, own=False)

    def _lend(self, engine: Engine, turns: _Turns, own: bool) -> Engine:
        """Give a handle; one with an engine of its own closes that as well."""
        self._users += 1

        def release() -> None:
            if own:
                engine.close()
            self._release()

        return _Handle(engine, turns, release)

    def _release(self) -> None:
        with self._loading:
            self._users -= 1
            if self._users == 0 and self._engine is not None:
                self._engine.close()
                self._engine = None


class _Turns:
    """A lock that is given in the order of asking: a plain one may starve a camera."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._waiting: deque[object] = deque()

    def __enter__(self) -> None:
        ticket = object()
        with self._condition:
            self._waiting.append(ticket)
            self._condition.wait_for(lambda: self._waiting[0] is ticket)

    def __exit__(self, *_: object) -> None:
        with self._condition:
            self._waiting.popleft()
            self._condition.notify_all()


class _Handle:
    """What one camera sees of the engine."""

    def __init__(self, engine: Engine, turns: _Turns, release: Callable[[], None]) -> None:
        self.name, self.version = engine.name, engine.version
        self.device = engine.device
        self._engine, self._turns, self._release = engine, turns, release

    def infer(self, image_hw3: NDArray[np.uint8]) -> RawPrediction:
        """Wait for a turn; the arrays are the caller's, since another's turn comes next."""
        with self._turns:
            raw = self._engine.infer(image_hw3)
            return RawPrediction(raw.depth_hw.copy(), raw.labels_hw.copy(), raw.seconds)

    def close(self) -> None:
        """Give the engine back."""
        self._release()
