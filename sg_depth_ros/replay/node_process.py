# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The depth node as a process of its own, and the DDS settings that it and its peers share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from sg_depth_ros.ros.fast_dds import profile_environment

LOG_LINES = 15
STOP_SECONDS = 10.0


class NodeError(RuntimeError):
    """The node did not start, or ended while it was needed; the message has its last words."""


def prepare_environment() -> int:
    """Set what DDS needs and the user has not set; give the domain to work in.

    A domain of its own keeps a replay away from the robots on the network.
    """
    os.environ.update(profile_environment(os.environ))
    chosen = os.environ.get('ROS_DOMAIN_ID')
    # Domains above 101 use ports that Linux gives away to any program.
    return int(chosen) if chosen else 1 + os.getpid() % 101


class NodeProcess:
    """A context manager that runs ``depth_node`` and stops it at the end.

    :param arguments: what follows ``--ros-args``.
    :param log: file that gets all that the node prints.
    """

    def __init__(self, arguments: Sequence[str], log: Path, domain: int) -> None:
        self._command = [
            sys.executable,
            '-m',
            'sg_depth_ros.ros.depth_node',
            '--ros-args',
            *arguments,
        ]
        self._log = log
        self._domain = domain

    def __enter__(self) -> NodeProcess:
        """Start the process."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open('wb') as file:
            self._process = subprocess.Popen(
                self._command,
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, 'ROS_DOMAIN_ID': str(self._domain), 'PYTHONUNBUFFERED': '1'},
                # Ctrl-C is for the program that started the node; it stops the node in order.
                start_new_session=True,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ask the process to end, and end it if it does not."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def check(self) -> None:
        """Raise NodeError, with the last lines of the log, when the node is no longer there."""
        if self._process.poll() is not None:
            raise self.error(f'the node ended with exit code {self._process.returncode}')

    def error(self, what: str) -> NodeError:
        """Make an error of ``what`` that shows the end of the node's log."""
        lines = self._log.read_text(errors='replace').splitlines()[-LOG_LINES:]
        return NodeError(f'{what}; the end of {self._log}:\n' + '\n'.join(lines))
