# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip('typer', reason='typer is not installed')

import typer
from children import signals_heard, start_process
from formula import BundleMaker

from sg_depth_ros.bundle import Bundle
from sg_depth_ros.cli import main as cli
from sg_depth_ros.cli.shared import print_summary
from sg_depth_ros.cli.signals import ended_in_order

# Runs sg_depth with some modules made impossible to import, and tells which were imported.
WITHOUT = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {blocked!r}:
            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)
sys.meta_path.insert(0, Block())
sys.argv = ['sg_depth', *{arguments!r}]
from sg_depth_ros.cli.main import main
main()
"""


def run(*arguments: str, blocked: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    code = WITHOUT.format(blocked=blocked, arguments=arguments)
    env = {**os.environ, 'COLUMNS': '200', 'NO_COLOR': '1', 'TERM': 'dumb'}
    return subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, env=env, timeout=120
    )


def test_help_needs_nothing_heavy() -> None:
    heavy = ('torch', 'rclpy', 'cv2', 'numpy', 'openvino', 'onnxruntime', 'rosbags', 'pydantic')
    result = run('--help', blocked=heavy)
    assert result.returncode == 0, result.stderr
    for name, command in cli.COMMANDS.items():
        assert name in result.stdout
        assert command.help in result.stdout


@pytest.mark.parametrize('name', ['replay', 'predict', 'demo', 'street', 'info', 'export'])
def test_help_of_a_command_needs_neither_torch_nor_ros(name: str) -> None:
    result = run(name, '--help', blocked=('torch', 'rclpy', 'openvino', 'rosbags'))
    assert result.returncode == 0, result.stderr
    assert 'Usage' in result.stdout


@pytest.mark.parametrize(
    ('arguments', 'blocked', 'extra'),
    [
        (('replay', 'bag', '--out', 'out'), 'rclpy', 'ros'),
        (('export', 'a.pt', '--out', 'out'), 'torch', 'train'),
    ],
)
def test_missing_extra_is_named(arguments: tuple[str, ...], blocked: str, extra: str) -> None:
    result = run(*arguments, blocked=(blocked,))
    assert result.returncode == 1
    assert f'pip install "sg_depth_ros[{extra}]"' in result.stderr
    assert 'Traceback' not in result.stderr


def test_inputs_are_recorded_only_into_a_record() -> None:
    result = run('replay', 'bag', '--out', 'out', '--record-inputs')
    assert result.returncode == 2
    assert 'found no --record; name the new bag with it' in result.stderr


def test_errors_are_one_sentence_unless_debugging(tmp_path: Path) -> None:
    arguments = ('predict', str(tmp_path / 'x.png'), '--out', str(tmp_path), '--bundle', 'nope')
    result = run(*arguments)
    assert result.returncode == 1
    assert result.stderr.startswith('error: no bundle nope')
    assert 'Traceback' not in result.stderr
    assert 'Traceback' in run('--debug', *arguments).stderr
    unknown = run('repla')
    assert unknown.returncode == 2
    assert 'No such command' in unknown.stderr


def test_a_fault_of_ours_is_a_sentence_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise KeyError('name [/x]')

    monkeypatch.setattr(cli, 'app', broken)
    monkeypatch.setattr(sys, 'argv', ['sg_depth', 'info'])
    with pytest.raises(SystemExit, match='1'):
        cli.main()
    error = capsys.readouterr().err
    assert error.startswith("error: KeyError: 'name [/x]'; this is a fault of sg_depth: run")
    monkeypatch.setattr(sys, 'argv', ['sg_depth', '--debug', 'info'])
    with pytest.raises(KeyError):
        cli.main()


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize('where', ['importing', 'working'])
def test_signals_end_every_command_as_ctrl_c_does(number: int, where: str) -> None:
    """The signal comes to a real process: while a command is imported, and while it works."""
    wait = 'import time; print("here", flush=True); time.sleep(60)'
    modules = {'importing': wait, 'working': f'def replay() -> None:\n    {wait}'}
    code = (
        'import sys, types; from sg_depth_ros.cli import main as cli\n'
        'class Slow:\n'
        '    def find_spec(self, name, path=None, target=None):\n'
        '        if name == "sg_depth_ros.cli.replay":\n'
        '            from importlib.machinery import ModuleSpec\n'
        '            return ModuleSpec(name, self)\n'
        '    def create_module(self, spec): return None\n'
        f'    def exec_module(self, module): exec({modules[where]!r}, module.__dict__)\n'
        'sys.meta_path.insert(0, Slow()); sys.argv = ["sg_depth", "replay"]; cli.main()'
    )
    process = start_process(
        [sys.executable, '-c', code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == 'here\n'
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert error == 'interrupted\n'
    assert process.returncode == 128 + number


def test_what_nohup_ignores_stays_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_in_order():
            signal.raise_signal(signal.SIGHUP)
        with pytest.raises(typer.Exit) as ended, ended_in_order():
            signal.raise_signal(signal.SIGTERM)
        assert ended.value.exit_code == 128 + signal.SIGTERM
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_signal_does_not_disturb_the_end() -> None:
    kept = []
    with signals_heard(), pytest.raises(typer.Exit) as ended, ended_in_order():
        try:
            signal.raise_signal(signal.SIGHUP)
        finally:
            signal.raise_signal(signal.SIGTERM)
            kept.append('all')
    assert kept == ['all']
    assert ended.value.exit_code == 128 + signal.SIGHUP


def test_a_library_that_makes_an_exit_of_a_signal_does_not_hide_it() -> None:
    with signals_heard(), pytest.raises(typer.Exit) as ended, ended_in_order():
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            sys.exit(1)
    assert ended.value.exit_code == 128 + signal.SIGTERM
    with pytest.raises(SystemExit, match='3'), ended_in_order():
        sys.exit(3)


def test_numbers_of_a_replay_show_brackets_and_reasons(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_summary(
        {
            'bag': '/data/[/town]',
            'frames': 3,
            'scale_problem': '',
            'lost': {'could not be decoded (/a[b])': 2},
            'notes': ['no [camera_info]'],
        }
    )
    out = capsys.readouterr().out
    assert '/data/[/town]' in out and 'scale_problem' not in out
    assert '2 of 3 frames have no depth:\n  2 could not be decoded (/a[b])\n' in out
    assert 'warning: no [camera_info]' in out


def test_predict_and_info_end_to_end(tmp_path: Path, formula_bundle: Bundle) -> None:
    rgb = np.random.default_rng(0).integers(1, 255, (32, 64, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / 'a.png'), rgb)
    out = tmp_path / 'out'
    bundle = str(formula_bundle.path)
    result = run(
        'predict',
        str(tmp_path / 'a.png'),
        '--out',
        str(out),
        '--bundle',
        bundle,
        '--format',
        'npy',
    )
    assert result.returncode == 0, result.stderr
    assert '1 images written' in result.stdout
    assert np.load(out / 'depth' / 'a.npy').shape == (32, 64)
    shown = run('info', bundle)
    assert 'formula: A formula.' in shown.stdout
    assert '32 x 16 RGB' in shown.stdout
    (formula_bundle.path / 'depth.onnx').write_bytes(b'changed')
    broken = run('info', bundle)
    assert broken.returncode == 1
    assert 'SHA-256' in broken.stderr


def test_info_shows_brackets_as_they_are(make_bundle: BundleMaker) -> None:
    shown = run('info', str(make_bundle(description='Of [street], [/kitti].').path))
    assert 'formula: Of [street], [/kitti].' in shown.stdout, shown.stderr


def test_predict_says_what_it_left_out_and_ends_with_1(
    tmp_path: Path, formula_bundle: Bundle
) -> None:
    source = tmp_path / 'in'
    source.mkdir()
    cv2.imwrite(str(source / 'a.png'), np.full((20, 30, 3), 90, np.uint8))
    (source / 'b.png').write_bytes((source / 'a.png').read_bytes()[:-20])
    arguments = ('--out', str(tmp_path / 'out'), '--bundle', str(formula_bundle.path))
    done = run('predict', str(source), *arguments)
    assert done.returncode == 1
    assert '1 images written' in done.stdout
    assert 'no --camera: depth is that of a camera whose focal length is' in done.stdout
    assert '1 skipped:\n  b.png: the PNG image of' in done.stdout
    assert 'Traceback' not in done.stderr
    (source / 'b.png').unlink()
    assert run('predict', str(source), *arguments).returncode == 0
