# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One engine for several cameras, which take turns."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.bundle import Bundle
from sg_depth_ros.engines.protocol import Engine, RawPrediction

Create = Callable[[Bundle, str, int | None], Engine]


class SharedEngine:
    """Hands out handles to one engine: made with the first, closed with the last of them."""

    def __init__(self, create: Create) -> None:
        """Remember how the engine is made; nothing is loaded yet."""
        self._create = create
        self._loading = threading.Lock()
        self._engine: Engine | None = None
        self._key: tuple[str, str, int | None] | None = None
        self._users = 0
        self._turns = _Turns()

    def open(self, bundle: Bundle, kind: str, threads: int | None) -> Engine:
        """Give a handle that is an engine itself.

        :raises ValueError: when the engine in use is of another bundle, kind or thread count
        """
        with self._loading:
            key = (bundle.digest, kind, threads)
            if self._engine is None:
                self._engine, self._key = self._create(bundle, kind, threads), key
            elif key != self._key:
                raise ValueError(
                    f'cameras that share an engine must have the same bundle, engine and threads, '
                    f'found {key} beside {self._key}; run a process for each'
                )
            self._users += 1
            return _Handle(self._engine, self._turns, self._release)

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
