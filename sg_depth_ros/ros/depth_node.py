# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The program ``depth_node``, from its first line to its last; it imports ROS when it runs.

Imports take seconds. A signal may come in each of them, and ROS may not be there.
"""

from __future__ import annotations

import logging
import os
import signal
import sys

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """What signals do: as long as there is no node they end the process, with status 0.

    From ``hand_over`` on they are rclpy's, and are noted here only.
    """

    def __init__(self) -> None:
        """Listen."""
        self.heard = False
        """Whether one has come."""
        self._early = True
        for number in _SIGNALS:
            signal.signal(number, self._hear)

    def hand_over(self) -> None:
        """End the process no more."""
        self._early = False

    def ignore(self) -> None:
        """Let none disturb the end: Python would restore what kills."""
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    def _hear(self, number: int, frame: object) -> None:
        self.heard = True
        if self._early:
            os._exit(0)


def main(args: list[str] | None = None) -> int:
    """Run the nodes until they are told to end; give the exit status."""
    signals = Signals()
    try:
        from sg_depth_ros.ros.program import run
    except ImportError as error:
        sys.stderr.write(
            f'depth_node cannot start: {error}; source the setup.sh of a ROS 2 installation and '
            'of the workspace, or install the node with pip and its extra "ros"\n'
        )
        return 1
    status, left = run(sys.argv if args is None else args, signals)
    signals.ignore()
    if left:
        # Threads inside a vendor's library abort the process when the interpreter ends under them.
        logging.shutdown()
        sys.stdout.flush()
        os._exit(status)
    return status


if __name__ == '__main__':
    sys.exit(main())
