# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How every command ends when it is told to: in order, and with what is done so far."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import typer
from rich.console import Console

ENDING = tuple(getattr(signal, name) for name in ('SIGTERM', 'SIGHUP') if hasattr(signal, name))
"""What a service manager, a closed terminal and ``timeout`` send."""


@contextmanager
def ended_in_order() -> Iterator[None]:
    """Let these signals do what Ctrl-C does: raise KeyboardInterrupt, once.

    Whoever works may catch it, keep what is done, and raise it again with a sentence about that.
    The sentence is shown, and the exit code is 128 and the signal's number, as shells have it.
    """
    received: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        if received:  # it is ending already
            return
        received.append(number)
        interrupt = signal.getsignal(signal.SIGINT)
        if callable(interrupt):  # such as that of a library that is at work
            interrupt(signal.SIGINT, frame)
        else:
            raise KeyboardInterrupt

    # What nohup has told to be ignored stays so.
    usual = {n: signal.signal(n, end) for n in ENDING if signal.getsignal(n) is signal.SIG_DFL}
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as error:
        # Lightning makes a SystemExit of Ctrl-C.
        if isinstance(error, SystemExit) and not received:
            raise
        said = str(error) if isinstance(error, KeyboardInterrupt) else ''
        with suppress(OSError):  # the terminal may be gone
            console = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)
            console.print(f'interrupted: {said}' if said else 'interrupted')
        raise typer.Exit(128 + (received or [signal.SIGINT])[0]) from None
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
