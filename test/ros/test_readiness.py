# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The program that waits for a node on behalf of a launch file."""

import os
import signal
import subprocess
import sys

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

TIMEOUT = 60
# The program, which gets a signal when it does what its command line says.
SIGNALLED = """
import os, sys
number, place = int(sys.argv[1]), sys.argv[2]
class Finder:
    def find_spec(name, path, target=None):
        if name == 'diagnostic_msgs':
            os.kill(os.getpid(), number)
if place == 'import':
    sys.meta_path.insert(0, Finder)
else:
    import rclpy
    original = getattr(rclpy, place)
    def replaced(*arguments, **options):
        os.kill(os.getpid(), number)
        return original(*arguments, **options)
    setattr(rclpy, place, replaced)
from sg_depth_ros.ros.readiness import main
sys.exit(main(['readiness', '/image']))
"""


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize('place', ['import', 'create_node', 'spin_once'])
def test_a_signal_at_any_moment_ends_it_without_a_word(place, number):
    command = [sys.executable, '-c', SIGNALLED, str(int(number)), place]
    environment = {**os.environ, 'ROS_DOMAIN_ID': str(1 + (os.getpid() + 61) % 100)}
    ended = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    # Not 0, upon which the launch file would play the bag.
    assert (ended.returncode, ended.stdout + ended.stderr) == (1, '')
