# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A training that is asked to end does so between two steps, with its checkpoint written."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, what a service manager sends, and a closed terminal."""


class Stopped(Exception):
    """A training has ended between two steps; the message says where."""


class StopRequest:
    """Notes signals that ask the process to end; the second one ends it at once."""

    def __init__(self) -> None:
        self._number: int | None = None
        self._before: dict[int, Any] = {}

    @property
    def asked(self) -> bool:
        """Whether a signal has come."""
        return self._number is not None

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Have the handlers of before back when the block is left."""
        self._before = {number: signal.getsignal(number) for number in ENDING}
        try:
            yield
        finally:
            for number, handler in self._before.items():
                signal.signal(number, handler)

    def listen(self) -> None:
        """Take the signals, inside of :meth:`restored`, but for those that are ignored (nohup)."""
        for number, handler in self._before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, self._note)

    def end(self, sentence: str) -> NoReturn:
        """Do what the signal would have done, once the handlers of before are back.

        :raises KeyboardInterrupt: with the sentence
        """
        before = self._before.get(self._number or 0)
        try:
            if self._number is not None and callable(before):
                before(self._number, None)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(sentence) from None
        raise KeyboardInterrupt(sentence)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if not self.asked:
            self._number = number
            return
        before = self._before[number]
        if callable(before):
            before(number, frame)
        else:
            signal.signal(number, before)
            os.kill(os.getpid(), number)
