# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``make gpu``: what runs where, and a report whatever happens."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip('typer', reason='typer is not installed')

from typer.main import get_command

from sg_depth_ros.bundle import load_bundle
from sg_depth_ros.cli.gpu import (
    BUNDLES,
    FAILED,
    GOOD,
    HALVED,
    LEFT_OUT,
    Step,
    choose_flavour,
    facts,
    make_steps,
    run_all,
)
from sg_depth_ros.cli.main import app
from sg_depth_ros.engines.tensorrt.flavour import Flavour, Gpu

ROOT = Path(__file__).parents[2]
ADA = Gpu('Ada', (8, 9), '1')
RTX = Flavour('tensorrt_rtx', '1.7', SimpleNamespace())
PLAIN = Flavour('tensorrt', '10.3', SimpleNamespace())


def python(title: str, code: str, limit: float = 60) -> Step:
    return Step(title, (sys.executable, '-c', code), limit)


def obstacles(steps: list[Step]) -> list[str]:
    return [step.title for step in steps if step.obstacle]


def test_with_a_gpu_everything_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    steps = make_steps(tmp_path, ADA, PLAIN)
    needed = [] if _there('rclpy') else ['the node on the street']
    assert obstacles(steps) == needed
    commands = [' '.join(step.command) for step in steps]
    built = [command for command in commands if ' engine build ' in command]
    assert len(built) == len(BUNDLES) + len(HALVED)
    assert all(command.endswith('--engine tensorrt') for command in built)
    shipped = {file.parent.name for file in ROOT.glob('models/*/bundle.yaml')}
    assert set(BUNDLES) == shipped, 'engines of every bundle'
    assert {name for name in BUNDLES if load_bundle(name).manifest.precision == 'fp32'} == set(
        HALVED
    )


def test_the_program_knows_what_is_asked_of_it(tmp_path: Path) -> None:
    for step in make_steps(tmp_path, ADA, RTX):
        if step.command[1] == '-c':
            words, command = list(step.command[3:]), get_command(app)
            context = command.make_context('sg_depth', words)
            while hasattr(command, 'commands'):  # typer has its own click of late
                name, command, words = command.resolve_command(context, words)
                assert name and command
                context = command.make_context(name, list(words), parent=context)


def test_without_a_gpu_engines_are_built_for_another_where_that_can_be(tmp_path: Path) -> None:
    steps = make_steps(tmp_path, None, RTX)
    rest = [step for step in steps if not step.obstacle]
    assert [step.title for step in rest] == [s.title for s in steps if 'engine of' in s.title]
    assert all('--compute-capability' in step.command for step in rest)
    for nothing in (PLAIN, None):
        assert len(obstacles(make_steps(tmp_path, None, nothing))) == len(steps)


def test_tests_need_the_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert 'tests on the GPU' in obstacles(make_steps(tmp_path, ADA, RTX))


def test_the_report_says_how_each_step_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = str(Path.home())
    steps = [
        python('right', f'print("\\x1b[31mred\\x1b[0m"); print("10%\\r100%"); print({home!r})'),
        python('wrong', 'import sys; print("a\\n" * 9000); sys.exit("a fault")'),
        python('slow', 'print("began", flush=True); import time; time.sleep(600)', limit=2),
        Step('not here', (), 60, 'rclpy is not installed'),
    ]
    outcomes = run_all(steps, tmp_path, facts(ADA, RTX), '')
    assert [outcome.state for outcome in outcomes] == [
        GOOD,
        f'{FAILED} (exit 1)',
        f'{FAILED} (not done after 2 s)',
        f'{LEFT_OUT}: rclpy is not installed',
    ]
    report = (tmp_path / 'report.md').read_text()
    assert '- GPU Ada, compute capability 8.9, driver 1' in report
    assert 'engine tensorrt_rtx 1.7' in report and 'sg_depth_ros ' in report
    assert '| right | good | 0 |' in report and 'red\n100%\n~\n' in report
    assert 'a fault\n' in report and 'letters left out] ' in report and len(report) < 9000
    assert 'began' in report and '| left out: rclpy is not installed |' in report
    assert 'right: good (0 s)' in capsys.readouterr().out


def test_what_has_no_time_left_is_left_out(tmp_path: Path) -> None:
    steps = [python('first', 'import time; time.sleep(600)'), python('second', 'print(1)')]
    start = time.monotonic()
    first, second = run_all(steps, tmp_path, [], 'found no GPU', budget=2)
    assert time.monotonic() - start < 60
    assert 'not done after 2 s' in first.state
    assert second.state == f'{LEFT_OUT}: no time was left, run it again'
    assert '**Nothing has run on a GPU: found no GPU.**' in (tmp_path / 'report.md').read_text()


def test_a_step_that_is_ended_leaves_no_process(tmp_path: Path) -> None:
    code = (
        'import subprocess, sys, time; '
        'child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]); '
        'print(child.pid, flush=True); time.sleep(600)'
    )
    (outcome,) = run_all([python('nested', code, limit=3)], tmp_path, [], '')
    child = int(outcome.output)
    for _ in range(100):
        state = Path(f'/proc/{child}/stat')
        if not state.exists() or state.read_text().split()[2] == 'Z':
            return
        time.sleep(0.1)
    os.kill(child, 9)
    pytest.fail('the child of the step went on')


def test_without_a_gpu_the_command_says_so_and_fails(tmp_path: Path) -> None:
    """With no TensorRT either, which leaves nothing to do."""
    code = (
        'import sys; sys.modules.update(cuda=None, tensorrt=None, tensorrt_rtx=None); '
        'sys.argv[1:] = ["--out", "report"]; from sg_depth_ros.cli.gpu import main; main()'
    )
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    found = subprocess.run(
        [sys.executable, '-c', code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert found.returncode == 1
    assert 'cannot look for a GPU, as cuda-python is not installed' in found.stdout
    assert 'not proven: ' in found.stderr and 'pip install tensorrt-rtx' in found.stderr
    report = (tmp_path / 'report' / 'report.md').read_text()
    assert 'Nothing has run on a GPU' in report and report.count('| left out: no GPU') == 9


def test_the_first_tensorrt_that_works_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> Any:
        if name == 'tensorrt':
            raise ModuleNotFoundError("No module named 'tensorrt'", name=name)
        return RTX

    monkeypatch.setattr('sg_depth_ros.cli.gpu.load_flavour', load)
    assert choose_flavour(['tensorrt', 'tensorrt_rtx']) == (RTX, '')
    assert choose_flavour(['tensorrt'])[0] is None
    assert 'JetPack' in choose_flavour(['tensorrt'])[1]


def _there(package: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(package) is not None
