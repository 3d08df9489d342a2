# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Processes and code that hear signals, however the tests themselves were started."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def signals_heard() -> Iterator[None]:
    """Let no signal be ignored in here, and in no process that is started in here.

    ``nohup`` and shells that start something in the background make it ignore SIGHUP or SIGINT.
    Children inherit that, and the program rightly leaves it so.
    """
    usual = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    ignored = [number for number in usual if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, usual[number])
    try:
        yield
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)


def start_process(command: list[str], **options: Any) -> subprocess.Popen[str]:
    """Start a process that hears signals; options are those of ``Popen``."""
    with signals_heard():
        return subprocess.Popen(command, text=True, **options)
