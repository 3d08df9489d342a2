# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How ``sg_depth replay`` ends when it is told to: as a process, by real signals."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from children import start_process

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from sg_depth_ros.bags import BagReader, BagWriter, image_message
from sg_depth_ros.bundle import Bundle

START, STEP = 1_700_000_000_000_000_000, 200_000_000
FRAMES = 200
PATIENCE = 60.0


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    """Forty seconds of images."""
    path = tmp_path / 'bag'
    image = np.random.default_rng(1).integers(0, 200, (16, 32, 3), dtype=np.uint8)
    with BagWriter(path) as writer:
        for i in range(FRAMES):
            stamp = START + i * STEP
            writer.write('/front/image', image_message(image, stamp, 'eye'), stamp)
    return path


def wait_for(what) -> None:
    limit = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < limit
        time.sleep(0.05)


def start(bag: Path, out: Path, bundle: Bundle, *arguments: str) -> subprocess.Popen[str]:
    program = 'from sg_depth_ros.cli.main import main; main()'
    command = [sys.executable, '-c', program, 'replay', str(bag), '--out', str(out)]
    return start_process(
        [*command, '--bundle', str(bundle.path), '--engine', 'onnxruntime', *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, 'NO_COLOR': '1'},
    )


def nodes_of(bundle: Bundle) -> list[int]:
    """Give the depth nodes that run with this bundle, which no other test has."""
    found = []
    for entry in Path('/proc').glob('[0-9]*/cmdline'):
        try:
            words = entry.read_text()
        except OSError:  # it has just ended
            continue
        if 'owned_node' in words and str(bundle.path) in words:
            found.append(int(entry.parent.name))
    return found


def wait_until_it_plays(out: Path, process: subprocess.Popen[str]) -> None:
    """Wait until the node warns of the first image, which has no camera_info, and a bit longer."""
    log = out / 'node.log'
    wait_for(lambda: process.poll() is not None or (log.exists() and 'WARN' in log.read_text()))
    time.sleep(1.0)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_keeps_what_has_come_and_says_so(
    tmp_path: Path, formula_bundle: Bundle, bag: Path, number: int
) -> None:
    out, record = tmp_path / 'out', tmp_path / 'record'
    process = start(bag, out, formula_bundle, '--record', str(record))
    wait_until_it_plays(out, process)
    process.send_signal(number)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + number, output
    assert 'Traceback' not in output
    summary = json.loads((out / 'summary.json').read_text())
    frames = summary['frames_out']
    assert 0 < frames < FRAMES and summary['interrupted']
    assert summary['lost']['not played any more'] == FRAMES - summary['frames_in']
    expected = f'interrupted: {frames} of {FRAMES} frames; summary written to {out}, no pictures'
    assert expected in ' '.join(output.split())
    with BagReader(record) as reader:
        assert reader.topics['/depth/image_rect'].msgcount == frames
    assert {path.name for path in out.iterdir()} == {'summary.json', 'node.log'}
    assert not nodes_of(formula_bundle)


def test_before_the_first_frame_nothing_is_left(
    tmp_path: Path, formula_bundle: Bundle, bag: Path
) -> None:
    process = start(bag, tmp_path / 'out', formula_bundle)
    wait_for(lambda: nodes_of(formula_bundle) or process.poll() is not None)
    process.terminate()
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signal.SIGTERM, output
    assert output.rstrip().endswith('interrupted') and 'Traceback' not in output
    assert {path.name for path in (tmp_path / 'out').iterdir()} <= {'node.log'}
    assert not nodes_of(formula_bundle)


@pytest.mark.parametrize('playing', [False, True])
def test_the_node_ends_with_a_parent_that_is_killed(
    tmp_path: Path, formula_bundle: Bundle, bag: Path, playing: bool
) -> None:
    out = tmp_path / 'out'
    process = start(bag, out, formula_bundle, '--record', str(tmp_path / 'record'))
    wait_for(lambda: nodes_of(formula_bundle) or process.poll() is not None)
    if playing:
        wait_until_it_plays(out, process)
    assert nodes_of(formula_bundle)
    process.kill()
    process.communicate(timeout=PATIENCE)
    wait_for(lambda: not nodes_of(formula_bundle))
    assert not (tmp_path / 'record').exists()
