# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The depth node as a process of its own, and the DDS settings that it and its peers share."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from sg_depth_ros.ros.fast_dds import (
    profile_environment,
    shared_memory_problem,
    sized_profile,
)

LOG_LINES = 15
LAST_DOMAIN = 232
"""Beyond it DDS runs out of ports."""
STOP_SECONDS = 10.0
SMALL_BYTES = 500_000
"""Images up to this size come through without shared memory as well."""


class NodeError(RuntimeError):
    """The node did not start, or ended while it was needed; the message has its last words."""


class DdsSettings(NamedTuple):
    """The domain to work in, and what will keep DDS from carrying the images; empty if nothing."""

    domain: int
    problem: str


@contextmanager
def dds_environment(image_bytes: int, scratch: Path) -> Iterator[DdsSettings]:
    """Set, for a while, what DDS needs and the user has not set.

    A domain of its own keeps a replay away from the robots on the network.

    :param image_bytes: size of the images
    :param scratch: an existing folder that may get DDS's profile, and stays until the end
    """
    added, problem = profile_environment(os.environ), ''
    for variable, shipped in added.items():
        profile = sized_profile(Path(shipped), image_bytes, scratch)
        os.environ[variable] = str(profile)
        if image_bytes > SMALL_BYTES:
            problem = shared_memory_problem(profile, processes=2)
    try:
        yield DdsSettings(choose_domain(), problem)
    finally:
        for variable in added:
            del os.environ[variable]


def choose_domain() -> int:
    """Give the user's ROS domain, or one for this process; raises ValueError if it is none."""
    chosen = os.environ.get('ROS_DOMAIN_ID')
    if not chosen:
        # Domains above 101 use ports that Linux gives away to any program.
        return 1 + os.getpid() % 101
    if not re.fullmatch('[0-9]+', chosen, re.ASCII) or int(chosen) > LAST_DOMAIN:
        raise ValueError(
            f'ROS_DOMAIN_ID is a number from 0 to {LAST_DOMAIN}, found {chosen!r}; set or unset it'
        )
    return int(chosen)


def private_namespace() -> str:
    """Give a namespace that no other node has, on this machine or another.

    Whoever works in it hears nobody else, whatever the domain: results are taken from nobody but
    the node that was started for them.
    """
    return f'/sg_depth_replay_{secrets.token_hex(6)}'


PRIVATE = r'/sg_depth_replay_[0-9a-f]{12}'
"""What these namespaces look like."""


def warnings_in(log: Path) -> list[str]:
    """Give what the node warned of, each once, as its user would read it: with public names."""
    text = log.read_text(errors='replace')
    found = re.findall(r'^\[(?:WARN|ERROR)\] \[[\d.]+\] \[[^]]*\]: (.*)$', text, re.MULTILINE)
    return list(dict.fromkeys(re.sub(PRIVATE, '', line) for line in found))


class NodeProcess:
    """A context manager that runs the depth node and stops it at the end.

    The node ends with this process, however this one ends.

    :param arguments: what follows ``--ros-args``.
    :param log: file that gets all that the node prints.
    """

    def __init__(self, arguments: Sequence[str], log: Path, domain: int) -> None:
        self._command = [
            sys.executable,
            '-m',
            'sg_depth_ros.replay.owned_node',
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
                stdin=subprocess.PIPE,
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
        try:
            if self._process.poll() is None:
                self._process.send_signal(signal.SIGINT)
                self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        finally:  # also when another Ctrl-C ends the waiting
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            assert self._process.stdin is not None
            self._process.stdin.close()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def check(self) -> None:
        """Raise NodeError, with the last lines of the log, when the node is no longer there."""
        if self._process.poll() is not None:
            raise self.error(f'the node ended with exit code {self._process.returncode}')

    def error(self, what: str) -> NodeError:
        """Make an error of ``what`` that shows the end of the node's log."""
        lines = self._log.read_text(errors='replace').splitlines()[-LOG_LINES:]
        return NodeError(f'{what}; the end of {self._log}:\n' + '\n'.join(lines))


def ros_arguments(parameters: Mapping[str, str | float], remaps: Mapping[str, str]) -> list[str]:
    """Give parameters and names as what follows ``--ros-args``."""
    arguments = []
    for name, renamed in remaps.items():
        arguments += ['-r', f'{name}:={renamed}']
    for name, value in parameters.items():
        # Quotes keep YAML from reading a bundle called 1 as a number.
        shown = "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)
        arguments += ['-p', f'{name}:={shown}']
    return arguments
