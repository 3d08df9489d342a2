# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Damaged files of every kind: read, or refused in a sentence, in bounded time and memory."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('onnx')  # the bundle to be damaged is made with it


@pytest.mark.parametrize(
    'rounds', [25, pytest.param(2000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
)
def test_damaged_files_are_read_or_refused(rounds: int) -> None:
    program = Path(__file__).with_name('fuzz_readers.py')
    done = subprocess.run(
        [sys.executable, program, '1', str(rounds)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] or done.returncode
    # A damage that nobody sees would test nothing.
    files, refused, _ = (int(word) for word in done.stdout.split() if word.isdigit())
    assert refused > files / 4
