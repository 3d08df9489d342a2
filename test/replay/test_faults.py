# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a replay makes of odd recordings, of other nodes and of a full disk, with the real node."""

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from formula import DEPTH_TEXT, BundleMaker, formula

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from sg_depth_ros.bags import BagError, BagReader, BagWriter, camera_info_message, image_message
from sg_depth_ros.bundle import Bundle
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.replay.inputs import Choice
from sg_depth_ros.replay.node_process import NodeError, choose_domain, dds_environment
from sg_depth_ros.replay.player import ReplayOptions
from sg_depth_ros.replay.report import replay_into

CAMERA = PinholeCamera(32, 16, 20.0, 20.0, 15.5, 7.5)
START, STEP = 1_700_000_000_000_000_000, 100_000_000


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 200, (16, 32, 3), dtype=np.uint8)


def write(path: Path, stamps, encoding='rgb8') -> Path:
    """Write a picture for each stamp, recorded one after the other; the seed is its place."""
    with BagWriter(path) as bag:
        for i, stamp in enumerate(stamps):
            recorded = START + i * STEP
            image = replace(image_message(picture(i), stamp, 'eye'), encoding=encoding)
            info = camera_info_message(CAMERA, stamp, 'eye')
            bag.write('/front/camera_info', info, recorded)
            bag.write('/front/image_rect', image, recorded)
    return path


def options(bundle: Bundle, **choice) -> ReplayOptions:
    # One frame at a time, so that a busy machine drops none.
    return ReplayOptions(str(bundle.path), 'onnxruntime', 0.0, Choice(**choice))


def check_frame(frame) -> int:
    """Check that depth and labels are those of the image beside them; give its seed."""
    [seed] = [seed for seed in range(9) if np.array_equal(frame.rgb, picture(seed))]
    depth, labels = formula(frame.rgb)
    known = np.isfinite(frame.depth)
    assert known.mean() > 0.5
    np.testing.assert_allclose(frame.depth[known], depth[known], rtol=1e-3)
    np.testing.assert_array_equal(frame.labels, labels)
    return seed


@pytest.mark.parametrize(
    ('stamps', 'noted'),
    [
        ([0, 0, 0, 0, 0], '4 of 5 images have the stamp of another one'),
        ([10, 20, 30, 10, 20], '2 of 5 images have the stamp of another one'),
        ([10, 40, 20, 50, 30], ''),
    ],
)
def test_depth_is_paired_with_its_own_image(
    tmp_path: Path, formula_bundle: Bundle, stamps, noted
) -> None:
    bag = write(tmp_path / 'bag', [stamp * STEP for stamp in stamps])
    seeds = []
    summary = replay_into(
        *(bag, tmp_path / 'out', options(formula_bundle)),
        inspect=lambda frame: seeds.append(check_frame(frame)),
    )
    assert seeds == [0, 1, 2, 3, 4]
    assert (summary['frames_in'], summary['frames_out'], summary['lost']) == (5, 5, {})
    assert summary['header_errors'] == 0
    assert noted in ''.join(summary['notes'])


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'d': np.array([-0.3, 0.1, 0, 0, 0])}, 'the node says: camera_info has lens distortion'),
        ({'width': 64}, 'the node says: camera_info is for images of 64x16, the image is 32x16'),
        ({}, ''),
    ],
)
def test_what_the_node_warns_of_is_in_the_summary(
    tmp_path: Path, formula_bundle: Bundle, changes, said
) -> None:
    with BagWriter(tmp_path / 'bag') as bag:
        for i in range(2):
            stamp = START + i * STEP
            info = replace(camera_info_message(CAMERA, stamp, 'eye'), **changes)
            bag.write('/front/camera_info', info, stamp)
            bag.write('/front/image_raw', image_message(picture(i), stamp, 'eye'), stamp)
    summary = replay_into(tmp_path / 'bag', tmp_path / 'out', options(formula_bundle))
    assert summary['frames_out'] == 2
    notes = ' '.join(summary['notes'])
    assert said in notes and bool(notes) == bool(said)
    assert 'sg_depth_replay' not in notes  # the topic's own name, not that of the replay
    assert json.loads((tmp_path / 'out' / 'summary.json').read_text())['notes'] == summary['notes']


@pytest.mark.parametrize('domain', ['abc', '-1', '233', '1.5'])
def test_a_domain_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, domain: str) -> None:
    monkeypatch.setenv('ROS_DOMAIN_ID', domain)
    with pytest.raises(ValueError, match='ROS_DOMAIN_ID is a number from 0 to 232'):
        choose_domain()


def test_results_are_taken_from_the_own_node_alone(
    tmp_path: Path, make_bundle: BundleMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second depth node in the same domain takes the same topics, and gives other depth."""
    own = make_bundle()
    other = make_bundle(depth=DEPTH_TEXT.replace('[1.0]', '[50.0]'), folder='other')
    monkeypatch.setenv('ROS_DOMAIN_ID', str(1 + (os.getpid() + 71) % 100))
    arguments = [
        *('-m', 'sg_depth_ros.ros.depth_node', '--ros-args', '-p', f'bundle:={other.path}'),
        *('-r', 'image:=/front/image_rect', '-r', 'camera_info:=/front/camera_info'),
        *('-p', 'engine:=onnxruntime'),
    ]
    bag = write(tmp_path / 'bag', [START + i * STEP for i in range(4)])
    log = tmp_path / 'other.log'
    with dds_environment(0, tmp_path), log.open('wb') as file:
        node = subprocess.Popen([sys.executable, *arguments], stdout=file, stderr=file)
    try:
        while 'ready after' not in log.read_text():
            assert node.poll() is None
            time.sleep(0.1)
        seeds = []
        summary = replay_into(
            *(bag, tmp_path / 'out', options(own), tmp_path / 'record'),
            inspect=lambda frame: seeds.append(check_frame(frame)),
        )
        assert node.poll() is None
    finally:
        node.kill()
        node.wait()
    assert seeds == [0, 1, 2, 3]
    assert (summary['frames_in'], summary['frames_out']) == (4, 4)
    assert summary['messages']['/depth/image_rect'] == 4
    with BagReader(tmp_path / 'record') as record:
        assert record.topics['/depth/image_rect'].msgcount == 4
        diagnostics = (
            list(record.messages(['/diagnostics'])) if '/diagnostics' in record.topics else []
        )
    assert all('other' not in str(item.message) for item in diagnostics)


def test_no_depth_at_all_is_an_error_with_the_reason(
    tmp_path: Path, formula_bundle: Bundle
) -> None:
    bag = write(tmp_path / 'bag', [START, START + STEP], '8UC9')
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'depth.png').write_text('of an earlier replay')
    with pytest.raises(
        NodeError, match=r'no depth came back of 2 frames: 2 could not be decoded.*8UC9'
    ):
        replay_into(bag, out, options(formula_bundle))
    assert json.loads((out / 'summary.json').read_text())['frames_out'] == 0
    assert not (out / 'depth.png').exists()


def test_a_scale_that_never_becomes_known_is_an_error(
    tmp_path: Path, formula_bundle: Bundle
) -> None:
    """Random pictures show no road: nothing may be called metres, and nothing old may stay."""
    bag = write(tmp_path / 'bag', [START + i * STEP for i in range(3)])
    out = tmp_path / 'out'
    out.mkdir()
    for name in ('scale.png', 'cloud.ply', 'depth.mp4', 'notes.txt'):
        (out / name).write_text('of an earlier replay')
    metres = options(formula_bundle, scale_mode='camera_height', camera_height=1.5)
    with pytest.raises(NodeError, match=r'no depth came back of 3 frames: .*road'):
        replay_into(bag, out, metres)
    summary = json.loads((out / 'summary.json').read_text())
    assert summary['scale'] == 'relative'
    [(reason, count)] = summary['lost'].items()
    assert count == 3 and reason.startswith('withheld, since the scale was not known: ')
    assert {path.name for path in out.iterdir()} == {'summary.json', 'node.log', 'notes.txt'}


def test_what_cannot_be_had_is_refused_before_anything_plays(
    tmp_path: Path, formula_bundle: Bundle
) -> None:
    bag = write(tmp_path / 'bag', [START])
    with pytest.raises(ValueError, match='give the height in metres'):
        replay_into(bag, tmp_path / 'out', options(formula_bundle, scale_mode='camera_height'))
    assert not (tmp_path / 'out' / 'node.log').exists()
    (tmp_path / 'file').touch()
    with pytest.raises(OSError, match=r'file/out cannot be written to \(.*\); choose another'):
        replay_into(bag, tmp_path / 'file' / 'out', options(formula_bundle))


PROGRAM = 'from sg_depth_ros.cli.main import main; main()'


def run_program(bundle: Bundle, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run ``sg_depth`` as a process: DDS reads its profile once in the life of one."""
    environment = {k: v for k, v in os.environ.items() if k != 'ROS_DOMAIN_ID'}
    words = [*map(str, arguments), '--bundle', str(bundle.path), '--engine', 'onnxruntime']
    return subprocess.run(
        [sys.executable, '-c', PROGRAM, *words],
        capture_output=True,
        text=True,
        env={**environment, 'NO_COLOR': '1', 'COLUMNS': '200'},
        timeout=200,
    )


def test_images_of_36_megabytes_come_through(tmp_path: Path, formula_bundle: Bundle) -> None:
    """Twelve megapixels: more than the usual segment, and more pieces than its queue, holds."""
    pixels = np.zeros((3000, 4000, 3), np.uint8)
    with BagWriter(tmp_path / 'bag') as bag:
        for i in range(3):
            pixels[:] = 10 * i
            bag.write('/front/image', image_message(pixels, START + i, 'eye'), START + i)
    out = tmp_path / 'out'
    result = run_program(formula_bundle, 'replay', tmp_path / 'bag', '--out', out, '--rate', 0)
    assert result.returncode == 0, result.stderr
    summary = json.loads((out / 'summary.json').read_text())
    assert (summary['frames_in'], summary['frames_out']) == (3, 3)


def test_a_full_disk_leaves_no_half_of_a_recording(tmp_path: Path, formula_bundle: Bundle) -> None:
    bag = write(tmp_path / 'bag', [START + i * STEP for i in range(6)])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(sent: int, total: int, note: str) -> None:
        # From now on no file of this process grows over 4 KB; the node is not concerned.
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))

    try:
        with pytest.raises((OSError, BagError)):
            replay_into(
                *(bag, tmp_path / 'out', options(formula_bundle), tmp_path / 'record'),
                progress=fill,
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert {path.name for path in tmp_path.iterdir()} == {'bag', 'formula', 'out'}
    assert {path.name for path in (tmp_path / 'out').iterdir()} <= {'summary.json', 'node.log'}
