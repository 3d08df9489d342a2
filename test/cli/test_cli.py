# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from formula import BundleMaker

from sg_depth_ros.bundle import Bundle
from sg_depth_ros.cli import main as cli

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
