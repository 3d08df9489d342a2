# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The long run of the node, made short."""

import math
import mmap
import os
import subprocess
import sys

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')
pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')

from sg_depth_ros.replay.node_process import NodeError
from sg_depth_ros.replay.soak import Sample, Soaked, sample_process, soak


def test_the_slope_is_that_of_what_is_settled():
    samples = [Sample(n, 500 if n < 10 else 100 + n / 36, 5, 9) for n in range(101)]
    soaked = Soaked(samples)
    assert soaked.settled[0].seconds == 10
    assert soaked.slope == pytest.approx(100)
    assert Soaked([Sample(5, 100, 5, 9)]).slope == 0


def test_latencies_are_of_the_share_of_the_time():
    soaked = Soaked([Sample(0, 1, 1, 1), Sample(10, 1, 1, 1)])
    soaked.latencies = [(n / 10, 0.1 if n < 50 else 0.3) for n in range(90)]
    assert soaked.p95(0.0, 0.4) == pytest.approx(0.1)
    assert soaked.p95(0.8, 0.9) == pytest.approx(0.3)
    assert math.isnan(soaked.p95(0.95, 1.0))


def test_a_process_is_measured():
    before = sample_process(os.getpid(), 2.0)
    # Mapped anew: what the process has freed and not given back would not show.
    ballast = mmap.mmap(-1, 64 << 20)
    ballast[:] = b'x' * len(ballast)
    with open(os.devnull):
        after = sample_process(os.getpid(), 3.0)
    assert len(ballast) == 64 << 20
    assert after.megabytes - before.megabytes > 32
    assert after.descriptors == before.descriptors + 1
    assert after.threads >= 1 and after.seconds == 3.0


def arguments(bundle):
    return [f'bundle:={bundle.path}', 'engine:=onnxruntime', 'threads:=1']


def test_a_short_run_prints_what_it_measured(formula_bundle, tmp_path):
    program = [sys.executable, '-m', 'sg_depth_ros.cli.soak', '--seconds', '3', '--rate', '10']
    program += ['--log', str(tmp_path / 'node.log'), *arguments(formula_bundle)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    for text in (' images came back as depth', 'memory grows by ', 'threads ', 'files ', 'p95 '):
        assert text in done.stdout
    assert 'ready after' in (tmp_path / 'node.log').read_text()


def test_what_was_asked_of_it_is_done(formula_bundle, tmp_path):
    shares = []
    found = soak(
        *(2.0, 10.0, tmp_path / 'log', arguments(formula_bundle)),
        lambda share, sample: shares.append(share),
    )
    assert 0 < found.sent <= 21
    assert 0 < len(found.latencies) <= found.sent
    assert all(0 < took < 10 for _, took in found.latencies)
    assert (shares[0], shares[-1]) == (0.0, 1.0)


def test_a_node_that_cannot_work_is_an_error_with_its_words(tmp_path):
    with pytest.raises(NodeError, match='engine must be one of'):
        soak(1.0, 1.0, tmp_path / 'log', ['engine:=steam'])
    with pytest.raises(ValueError, match='must be positive, found 0 and 30'):
        soak(0, 30, tmp_path / 'log')
