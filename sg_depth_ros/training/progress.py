# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What long work has to say, for whoever shows it: beneath the program nothing is printed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

T = TypeVar('T')
Track = Callable[[Collection[Any], str], Iterable[Any]]
"""Gives the items one after the other, and shows under a title how many are done."""
Say = Callable[[str], None]
"""Takes one line of text."""

_track: ContextVar[Track] = ContextVar('track', default=lambda items, title: items)
_say: ContextVar[Say] = ContextVar('say', default=logging.getLogger(__name__).info)


def track(items: Collection[T], title: str) -> Iterable[T]:
    """Give the items one after the other; :func:`shown_by` says who shows how far it is."""
    return _track.get()(items, title)


def say(line: str) -> None:
    """Tell the user something; by default it goes to the log."""
    _say.get()(line)


@contextmanager
def shown_by(track: Track, say: Say) -> Iterator[None]:
    """Let these functions show what is tracked and said inside this context."""
    tokens = _track.set(track), _say.set(say)
    try:
        yield
    finally:
        _track.reset(tokens[0])
        _say.reset(tokens[1])
