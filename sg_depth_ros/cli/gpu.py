# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""All that a GPU can prove, in one report: ``python -m sg_depth_ros.cli.gpu`` (``make gpu``).

Every step is a process of its own: one that crashes or hangs takes nothing with it, and the report
is written after each, so that there is one whatever happens.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sg_depth_ros.engines import ENGINES
from sg_depth_ros.engines.protocol import EngineError
from sg_depth_ros.engines.tensorrt.flavour import Flavour, Gpu, format_capability, load_flavour
from sg_depth_ros.engines.tensorrt.orders import FLAVOURS, look_for_gpu
from sg_depth_ros.files import atomic_path

BUDGET = 570.0
"""Seconds for all steps. What has no time left is left out, and the report says so."""
BUNDLES = ('sg_depth_small', 'sg_depth_small_int8', 'sg_depth_large')
HALVED = ('sg_depth_small', 'sg_depth_large')
ELSEWHERE = '8.9'
"""Compute capability to build for where there is no GPU."""
TESTS = 'test/engines/test_tensorrt_gpu.py'
GOOD, FAILED, LEFT_OUT = 'good', 'failed', 'left out'
_PACKAGES = ('sg_depth_ros', 'tensorrt', 'tensorrt-rtx', 'cuda-python', 'onnx', 'onnxruntime')
_MAX_OUTPUT = 6000
"""Letters of each step that the report holds, so that it can be pasted into an issue."""
_CONTROLS = re.compile(r'\x1b\[[0-9;?]*[A-Za-z]')


@dataclass(frozen=True)
class Step:
    """A command, its time limit in seconds, and why it is not run; empty if it is."""

    title: str
    command: tuple[str, ...]
    limit: float
    obstacle: str = ''


@dataclass(frozen=True)
class Outcome:
    """How a step ended."""

    step: Step
    state: str
    seconds: float
    output: str


def main() -> None:
    """Parse the command line, run the steps, and exit with 0 if a GPU proved them all."""
    parser = argparse.ArgumentParser(description='Run all that needs an NVIDIA GPU; report it.')
    parser.add_argument('--out', type=Path, default=Path('out/gpu'), help='folder of the report')
    parser.add_argument('--engine', choices=FLAVOURS, help='default: the first that is installed')
    options = parser.parse_args()
    out = options.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    gpu, reason = look_for_gpu()
    flavour, missing = choose_flavour([options.engine] if options.engine else FLAVOURS)
    problem = '; '.join(filter(None, (reason, missing)))
    if problem:
        print(f'{problem}: nothing runs on a GPU here; what needs none is done', flush=True)
    steps = make_steps(out, gpu, flavour)
    outcomes = run_all(steps, out, facts(gpu, flavour), problem)
    print(f'the report is {out / "report.md"}: please paste it into an issue')
    if problem:
        sys.exit(f'not proven: {problem}')
    if any(outcome.state != GOOD for outcome in outcomes):
        sys.exit('not all steps are good, see the report')


def choose_flavour(names: Iterable[str]) -> tuple[Flavour | None, str]:
    """Give the first TensorRT that is installed, or None and why there is none."""
    failures = []
    for name in names:
        try:
            return load_flavour(name), ''
        except (ImportError, EngineError) as error:
            failures.append(f'{error} ({ENGINES[name].install})')
    return None, '; '.join(failures)


def make_steps(out: Path, gpu: Gpu | None, flavour: Flavour | None) -> list[Step]:
    """List what is to be run here, the most telling first."""
    program = (sys.executable, '-c', 'from sg_depth_ros.cli.main import main; main()')
    engine = ('--engine', flavour.name if flavour else FLAVOURS[0])
    target = () if gpu else ('--compute-capability', ELSEWHERE)
    no_gpu = '' if gpu and flavour else 'no GPU with TensorRT'
    no_build = no_gpu if not flavour or not flavour.builds_ahead else ''

    def build(bundle: str, *precision: str) -> Step:
        title = ' '.join(('engine of', bundle, *precision[1:]))
        command = (*program, 'engine', 'build', bundle, *precision, *engine, *target)
        return Step(title, command, 240, no_build)

    tests = (sys.executable, '-m', 'pytest', '-m', 'gpu', '-rs', '--tb=short', '-q', TESTS)
    no_tests = '' if Path(TESTS).is_file() else 'not in the folder of the sources'
    no_pytest = '' if importlib.util.find_spec('pytest') else 'pytest is not installed'
    no_node = '' if importlib.util.find_spec('rclpy') else 'rclpy is not installed, nor sourced'
    bench = (*program, 'bench', *BUNDLES, *engine, '--engine', 'onnxruntime', '--seconds', '40')
    halves = (*program, 'bench', *HALVED, *engine, '--precision', 'fp16', '--seconds', '20')
    street = (*program, 'demo', '--out', str(out / 'street'), *engine)
    return [
        *(build(bundle) for bundle in BUNDLES),
        Step('tests on the GPU', tests, 200, no_gpu or no_tests or no_pytest),
        Step('the node on the street', street, 120, no_gpu or no_node),
        Step('bench', (*bench, '--json', str(out / 'bench.json')), 150, no_gpu),
        *(build(bundle, '--precision', 'fp16') for bundle in HALVED),
        Step('bench in fp16', (*halves, '--json', str(out / 'bench_fp16.json')), 100, no_gpu),
    ]


def facts(gpu: Gpu | None, flavour: Flavour | None) -> list[str]:
    """Describe the machine, a line each."""
    lines = [f'{platform.platform()}, Python {platform.python_version()}']
    jetson = Path('/etc/nv_tegra_release')
    if jetson.is_file():
        lines.append(jetson.read_text().splitlines()[0].strip('# '))
    if gpu:
        lines.append(
            f'GPU {gpu.name}, compute capability {format_capability(gpu.capability)}, '
            f'driver {gpu.driver}'
        )
    if flavour:
        lines.append(f'engine {flavour.name} {flavour.version}')
    return [*lines, ', '.join(filter(None, map(_installed, _PACKAGES)))]


def run_all(
    steps: Sequence[Step], out: Path, about: list[str], problem: str, budget: float = BUDGET
) -> list[Outcome]:
    """Run steps within a time, and write the report after each."""
    outcomes: list[Outcome] = []
    end = time.monotonic() + budget
    for step in steps:
        outcome = run(step, out, end - time.monotonic())
        outcomes.append(outcome)
        print(f'{step.title}: {outcome.state} ({outcome.seconds:.0f} s)', flush=True)
        write_report(out / 'report.md', outcomes, about, problem)
    return outcomes


def run(step: Step, out: Path, remaining: float) -> Outcome:
    """Run a step as a process group that ends with it."""
    limit = min(step.limit, remaining)
    if step.obstacle or limit < 1:
        reason = step.obstacle or 'no time was left, run it again'
        return Outcome(step, f'{LEFT_OUT}: {reason}', 0, '')
    # Engines of this report alone, so that it says how long they take; a second run finds them.
    environment = {**os.environ, 'XDG_CACHE_HOME': str(out / 'cache'), 'COLUMNS': '110'}
    start = time.monotonic()
    with subprocess.Popen(
        step.command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=limit)
            state = GOOD if process.returncode == 0 else f'{FAILED} (exit {process.returncode})'
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            state = f'{FAILED} (not done after {limit:.0f} s)'
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return Outcome(
        step, state, time.monotonic() - start, _readable(output.decode(errors='replace'))
    )


def write_report(path: Path, outcomes: Iterable[Outcome], about: list[str], problem: str) -> None:
    """Write Markdown that can be pasted as it is."""
    outcomes = list(outcomes)
    lines = ['# sg_depth_ros on a GPU', '']
    if problem:
        lines += [f'**Nothing has run on a GPU: {problem}.**', '']
    lines += [*(f'- {line}' for line in about), '', '| step | result | seconds |', '|---|---|---|']
    lines += [f'| {o.step.title} | {o.state} | {o.seconds:.0f} |' for o in outcomes]
    for outcome in outcomes:
        if outcome.output:
            lines += ['', f'## {outcome.step.title}', '', '````', outcome.output, '````']
    with atomic_path(path) as temporary:
        temporary.write_text('\n'.join(lines) + '\n')


def _readable(output: str) -> str:
    """Leave out colours, what a progress bar has overwritten, and names of people's folders."""
    text = _CONTROLS.sub('', output).replace('````', "'''")
    lines = [line.rpartition('\r')[2].rstrip() for line in text.replace('\r\n', '\n').split('\n')]
    text = '\n'.join(lines).strip().replace(str(Path.home()), '~')
    cut = len(text) - _MAX_OUTPUT
    return text if cut <= 0 else f'[{cut} letters left out] {text[cut:]}'


def _installed(package: str) -> str:
    try:
        return f'{package} {version(package)}'
    except PackageNotFoundError:
        return ''


if __name__ == '__main__':
    main()
