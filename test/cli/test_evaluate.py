# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
import json
import re
import resource
import shutil
import subprocess
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

pytest.importorskip('typer', reason='typer is not installed')

from evaluation_worlds import CAMERA, image_to_depth
from typer.testing import CliRunner

from sg_depth_ros.bags import BagWriter, image_message
from sg_depth_ros.bundle import load_bundle
from sg_depth_ros.cli.evaluate import app
from sg_depth_ros.cli.main import app as program
from sg_depth_ros.evaluation.recorded import DEPTH_TOPIC
from sg_depth_ros.evaluation.sources.bag import BagSource
from sg_depth_ros.evaluation.sources.folder import FolderSource


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def figures(out):
    return json.loads((out / 'metrics.json').read_text())


def test_folder_command(folder, bundle, tmp_path):
    out, foreign = tmp_path / 'out', image_to_depth(tmp_path / 'foreign.onnx', inverse=True)
    result = invoke(
        *('folder', folder, '--bundle', bundle, '--engine', 'onnxruntime', '--out', out),
        *('--compare', foreign, '--onnx-output', 'inverse', '--onnx-normalisation', 'bytes'),
        *('--protocol', 'dense', '--scaling', 'none', '--limit', '3', '--no-images'),
        *('--flip', '--fail-under', 'abs_rel=0.05', '--fail-under', 'delta1=0.9'),
    )
    assert result.exit_code == 0, result.output
    summary = figures(out)
    assert summary['frames'] == 3
    assert summary['protocol']['name'] == 'dense+flip, none scaling'
    assert list(summary['models']) == ['red', 'foreign', 'row prior', 'constant']
    assert 'abs_rel' in result.output
    assert 'data:image' not in (out / 'report.html').read_text()


def test_frames_may_differ_in_size(folder, bundle, tmp_path):
    for name in ('images', 'depth', 'labels'):
        path = str(folder / name / '002.png')
        cv2.imwrite(path, cv2.imread(path, cv2.IMREAD_UNCHANGED)[:, 6:])
    table = folder / 'intrinsics.csv'
    rows = table.read_text().splitlines()
    rows[3] = f'002,{CAMERA.fx},{CAMERA.fy},{CAMERA.cx - 6},{CAMERA.cy}'
    table.write_text('\n'.join(rows) + '\n')
    common = ('--bundle', bundle, '--engine', 'onnxruntime', '--out', tmp_path / 'out')
    result = invoke('folder', folder, *common, '--scaling', 'none', '--fail-under', 'abs_rel=0.05')
    assert result.exit_code == 0, result.output
    assert figures(tmp_path / 'out')['frames'] == 4


def test_limit_that_is_broken_is_exit_code_1(folder, tmp_path):
    arguments = ('folder', folder, '--bundle', 'constant', '--out', tmp_path / 'out')
    result = invoke(*arguments, '--fail-under', 'abs_rel=0.001')
    assert result.exit_code == 1
    assert 'at most 0.001 was asked for' in result.output


def test_names_with_brackets_are_shown_whole(folder, tmp_path):
    world, out = folder.rename(tmp_path / 'day [front]'), tmp_path / 'out[/b]'
    result = invoke('folder', world, '--bundle', 'truth', '--out', out, '--no-images')
    assert result.exit_code == 0, result.output
    assert 'day [front]' in result.output
    assert 'out[/b]' in ''.join(result.output.split())


def test_bag_command_removes_occluded_returns(bag, tmp_path):
    for extra, occlusion in (((), True), (('--no-occlusion',), False)):
        result = invoke('bag', bag, '--bundle', 'truth', '--out', tmp_path / 'out', *extra)
        assert result.exit_code == 0, result.output
        assert figures(tmp_path / 'out')['protocol']['occlusion'] is occlusion
        assert figures(tmp_path / 'out')['models']['truth']['mean']['abs_rel']['mean'] == 0


def test_resume_command(folder, tmp_path):
    arguments = ('folder', folder, '--bundle', 'truth', '--out', tmp_path / 'out')
    assert invoke(*arguments).exit_code == 0
    lines = (tmp_path / 'out/frames.jsonl').read_text().splitlines()
    (tmp_path / 'out/frames.jsonl').write_text('\n'.join(lines[:3]) + '\n')
    assert invoke(*arguments, '--resume').exit_code == 0
    assert (tmp_path / 'out/frames.jsonl').read_text().splitlines() == lines
    result = invoke(*arguments, '--resume', '--scaling', 'none')
    assert '--resume' in str(result.exception)


def test_segmentation_command(folder, bundle, tmp_path):
    mapping = tmp_path / 'mapping.yaml'
    mapping.write_text('classes: {0: Road, 13: Car}\nvoid: []\nlabels: {road: Road, car: Car}\n')
    copy = shutil.copytree(bundle, tmp_path / 'copy')
    result = invoke(
        *('segmentation', folder, '--bundle', copy, '--engine', 'onnxruntime'),
        *('--mapping', mapping, '--out', tmp_path / 'out', '--card'),
    )
    assert result.exit_code == 0, result.output
    [row] = load_bundle(copy).manifest.metrics
    assert row.dataset == f'{folder.parent.name}/{folder.name} (4 images)'
    assert row.values['road_iou'] == pytest.approx(
        figures(tmp_path / 'out')['iou']['Road'], abs=5e-5
    )
    assert figures(tmp_path / 'out')['images'] == 4
    assert 0.1 < figures(tmp_path / 'out')['mean_iou'] < 1


def test_figures_go_into_the_card(folder, bundle, tmp_path):
    copy = shutil.copytree(bundle, tmp_path / 'copy')
    common = ('--bundle', copy, '--engine', 'onnxruntime', '--out', tmp_path / 'out', '--card')
    result = invoke('folder', folder, *common, '--scaling', 'none', '--limit', '3')
    assert result.exit_code == 0, result.output
    [row] = load_bundle(copy).manifest.metrics
    measured = figures(tmp_path / 'out')['models']['red']['mean']['abs_rel']['mean']
    assert row.values['abs_rel'] == pytest.approx(measured, abs=5e-5)
    assert (row.dataset, row.scaling) == (f'folder {folder.name} (3 frames)', 'none')
    # Pictures of recordings stay out of the bundle.
    assert not (copy / 'failures.jpg').exists()
    result = invoke('street', *common, '--size', '96x32', '--frames', '2', '--streets', '2')
    assert result.exit_code == 0, result.output
    assert len(load_bundle(copy).manifest.metrics) == 2
    # Two of the four frames are the worse half, in a column each.
    assert cv2.imread(str(copy / 'failures.jpg')).shape == (4 * 187, 2 * 560, 3)
    assert 'failures.jpg' in (copy / 'MODEL_CARD.md').read_text()


def test_what_has_no_card_is_refused_at_once(folder, tmp_path):
    result = invoke('folder', folder, '--bundle', 'truth', '--out', tmp_path / 'out', '--card')
    assert 'no bundle truth' in str(result.exception)
    assert not (tmp_path / 'out').exists()


def test_through_the_node_gives_the_same_numbers(bag, bundle, tmp_path):
    """The bag played through the running node over DDS, against the estimator offline."""
    pytest.importorskip('rclpy', reason='ROS 2 is not installed')
    common = ('bag', bag, '--bundle', bundle, '--engine', 'onnxruntime', '--out')
    offline = invoke(*common, tmp_path / 'offline')
    assert offline.exit_code == 0, offline.output
    command = [sys.executable, '-c', 'from sg_depth_ros.cli.evaluate import app; app()']
    online = subprocess.run(
        [*command, *map(str, common), str(tmp_path / 'online'), '--through-node'],
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert online.returncode == 0, online.stdout + online.stderr
    expected = figures(tmp_path / 'offline')['models']['red']
    found = figures(tmp_path / 'online')['models']['red through the node']
    assert found['mean'] == expected['mean']
    assert found['classes'] == expected['classes']


def fake_node(monkeypatch, stamps):
    """Let the node publish 10 m for each stamp; give the list of bags that were played."""
    played = []

    def replay(path, record, log, options, progress):
        played.append(path)
        with BagWriter(record) as bag:
            for stamp in stamps:
                depth = np.full((CAMERA.height, CAMERA.width), 10, np.float32)
                bag.write(DEPTH_TOPIC, image_message(depth, stamp, 'camera'), stamp)
        return SimpleNamespace(interrupted=False, lost={'lost on the way': 1})

    module = SimpleNamespace(replay=replay, ReplayOptions=lambda *values: values)
    monkeypatch.setitem(sys.modules, 'sg_depth_ros.replay.player', module)
    return played


def test_resuming_the_node_at_another_camera_height_is_refused(bag, bundle, tmp_path, monkeypatch):
    fake_node(monkeypatch, [int(name) for name in BagSource(bag).names()])
    common = ('bag', bag, '--bundle', bundle, '--through-node', '--out', tmp_path, '--no-images')
    result = invoke(*common, '--camera-height', '1.5')
    assert result.exit_code == 0, result.output
    assert '1 images: lost on the way' in figures(tmp_path)['notes']
    assert invoke(*common, '--resume', '--camera-height', '1.5').exit_code == 0
    result = invoke(*common, '--resume', '--camera-height', '3')
    assert 'without --resume' in str(result.exception)


@pytest.mark.parametrize(
    ('options', 'match'),
    [
        (['--flip'], 'leave --flip and --threads out'),
        (['--threads', '2'], 'leave --flip and --threads out'),
        (['--protocol', 'kitti'], "no protocol 'kitti'"),
        (['--fail-under', 'absrel=0.2'], 'METRIC=NUMBER'),
    ],
)
def test_bad_options_are_refused_before_the_node_plays(
    bag, bundle, tmp_path, monkeypatch, options, match
):
    played = fake_node(monkeypatch, [])
    result = invoke(
        *('bag', bag, '--bundle', bundle, '--through-node', '--out', tmp_path / 'out', *options)
    )
    assert match in str(result.exception)
    assert not played


def test_ctrl_c_says_how_to_go_on(folder, tmp_path, monkeypatch):
    frames = FolderSource.frames

    def interrupt(source, names):
        yield next(frames(source, names))
        raise KeyboardInterrupt

    monkeypatch.setattr(FolderSource, 'frames', interrupt)
    arguments = ('evaluate', 'folder', folder, '--bundle', 'truth', '--out', tmp_path / 'out')
    result = CliRunner().invoke(program, [str(argument) for argument in arguments])
    assert result.exit_code == 130
    assert '1 of 4 frames are measured' in result.output
    assert '--resume' in result.output


def test_a_folder_that_cannot_be_written_to_is_noticed_before_anything_is_measured(
    folder, tmp_path, monkeypatch
):
    (tmp_path / 'file').touch()
    monkeypatch.setattr(FolderSource, 'frames', lambda *_: pytest.fail('too late'))
    result = invoke('folder', folder, '--bundle', 'truth', '--out', tmp_path / 'file' / 'out')
    assert re.search(
        r'file/out cannot be written to \(.*\); choose another', str(result.exception)
    )


def test_nothing_of_an_earlier_evaluation_stays(folder, tmp_path, monkeypatch):
    out = tmp_path / 'out'
    assert invoke('folder', folder, '--bundle', 'truth', '--out', out).exit_code == 0
    assert {path.name for path in out.iterdir()} == {'metrics.json', 'report.html', 'frames.jsonl'}
    (out / 'notes.txt').touch()
    monkeypatch.setattr(FolderSource, 'frames', lambda *_: iter(()))
    assert invoke('folder', folder, '--bundle', 'truth', '--out', out).exit_code == 1
    assert {path.name for path in out.iterdir()} == {'frames.jsonl', 'notes.txt'}


def test_a_full_disk_is_said_with_the_file_and_how_to_go_on(folder, tmp_path):
    """A process whose files cannot grow over 4 KB, as on a disk that is full."""
    program = 'from sg_depth_ros.cli.main import main; main()'
    words = ('evaluate', 'folder', folder, '--bundle', 'truth', '--out', tmp_path / 'out')
    result = subprocess.run(
        [sys.executable, '-c', program, *map(str, words)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    [line] = result.stderr.strip().splitlines()
    assert re.fullmatch(r'error: .*/out/frames\.jsonl cannot be written \(.*\); make room.*', line)
    # The frames that were whole are there, and the run can be taken up again.
    again = invoke(*words[1:], '--resume')
    assert again.exit_code == 0, again.output
    assert figures(tmp_path / 'out')['frames'] == 4
