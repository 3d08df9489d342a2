# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What long work has to say, for whoever shows it: beneath the program nothing is printed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar

T = TypeVar('T')
Track = Callable[[Collection[Any], str], Iterable[Any]]
"""Gives the items one after the other, and shows under a title how many are done."""
Say = Callable[[str], None]
"""Takes one line of text."""


class Bar(Protocol):
    """Shows how much of a known number is done, which may begin with some done before."""

    def update(self, done: int, note: str) -> None:
        """Show how much is done, with a few words."""

    def close(self) -> None:
        """Leave the bar as it is."""


OpenBar = Callable[[str, int, int], Bar | None]
"""Opens a bar of a title, a total and what is done already; None where none can be shown."""

_track: ContextVar[Track] = ContextVar('track', default=lambda items, title: items)
_open_bar: ContextVar[OpenBar] = ContextVar('bar', default=lambda title, total, done: None)
_say: ContextVar[Say] = ContextVar('say', default=logging.getLogger(__name__).info)


def track(items: Collection[T], title: str) -> Iterable[T]:
    """Give the items one after the other; :func:`shown_by` says who shows how far it is."""
    return _track.get()(items, title)


def say(line: str) -> None:
    """Tell the user something; by default it goes to the log."""
    _say.get()(line)


def open_bar(title: str, total: int, done: int) -> Bar | None:
    """Open a bar; None where there is no terminal for it, and lines have to do."""
    return _open_bar.get()(title, total, done)


@contextmanager
def shown_by(track: Track, say: Say, open_bar: OpenBar) -> Iterator[None]:
    """Let these functions show what is tracked, counted and said inside this context."""
    tokens = _track.set(track), _say.set(say), _open_bar.set(open_bar)
    try:
        yield
    finally:
        _track.reset(tokens[0])
        _say.reset(tokens[1])
        _open_bar.reset(tokens[2])
