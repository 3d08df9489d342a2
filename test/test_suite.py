# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""That the tests run where much is missing, as on a robot, and that nothing passes for a test."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
MISSING = ('torch', 'torchvision', 'lightning', 'timm', 'typer', 'rich', 'rclpy', 'openvino')
PROGRAM = f"""
import sys
import pytest
sys.modules.update(dict.fromkeys({MISSING}))
sys.exit(pytest.main(sys.argv[1:]))
"""


def run(*arguments):
    """Run pytest on these tests where the packages are not there."""
    return subprocess.run(
        [sys.executable, '-c', PROGRAM, '-q', '-p', 'no:cacheprovider', *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


def test_a_missing_package_keeps_no_other_tests_from_being_run():
    result = run('--collect-only')
    assert result.returncode == 0, result.stdout
    files = set(re.findall(r'^test/(\w+)/test_', result.stdout, re.MULTILINE))
    assert files >= {'bags', 'bundle', 'engines', 'geometry', 'images', 'scale', 'synthetic'}
    assert files.isdisjoint({'training', 'networks'})


def test_a_run_without_tests_fails():
    assert run('test/bundle', '-k', 'no_such_test').returncode == 1
