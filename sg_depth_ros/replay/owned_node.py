# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The depth node as somebody's child: it ends when its standard input does.

A parent holds the other end of that pipe, and the system closes it however the parent ends, also
when it is killed and can do nothing more.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

END_SECONDS = 10.0
"""How long the node may take to end in order."""


def end_with_parent() -> None:
    """Watch standard input, and end this process when nobody holds its other end any more."""

    def watch() -> None:
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(END_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name='parent', daemon=True).start()


if __name__ == '__main__':
    end_with_parent()
    # The node takes a while to import; the watch begins before.
    from sg_depth_ros.ros.depth_node import main

    sys.exit(main())
