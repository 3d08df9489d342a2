# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sg_depth engine`` from end to end, with TensorRT-RTX and without a GPU."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('typer', reason='typer is not installed')

from formula import BundleMaker
from typer.testing import CliRunner, Result

pytest.importorskip('onnx', reason='onnx is not installed')
pytest.importorskip('tensorrt_rtx', reason='TensorRT-RTX is not installed (x86 only)')
pytest.importorskip('cuda.bindings.runtime', reason='cuda-python is not installed')

from sg_depth_ros.bundle import Bundle
from sg_depth_ros.cli.engine import app
from sg_depth_ros.engines import create_engine
from sg_depth_ros.engines.tensorrt import loading, orders
from sg_depth_ros.engines.tensorrt.cache import EngineCache, write_entry
from sg_depth_ros.engines.tensorrt.flavour import Gpu
from sg_depth_ros.engines.tensorrt.precision import Product


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EngineCache:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.setattr(orders, 'look_for_gpu', lambda: (None, 'found no NVIDIA GPU'))
    return EngineCache()


def run(*arguments: object) -> Result:
    return CliRunner(env={'COLUMNS': '200'}).invoke(app, list(map(str, arguments)))


def test_build_list_info_and_clear(formula_bundle: Bundle, cache: EngineCache) -> None:
    assert 'no engines in' in run('list').stdout
    built = run('build', formula_bundle.path, '--compute-capability', '8.9,12.0')
    assert built.exit_code == 0, built.output
    assert built.stdout.count('check against ONNX Runtime: not done, since no GPU') == 2
    files = [listed.file.name for listed in cache.list()]
    assert len(files) == 2
    listed = run('list').stdout
    for text in (*files, 'fp32', 'tensorrt_rtx', '12.0', 'good'):
        assert text in listed
    shown = run('info', files[0]).stdout
    assert formula_bundle.digest in shown and 'not done' in shown
    assert 'multiply-adds: none (' in built.stdout
    refused = run('info', formula_bundle.manifest.name).exception
    assert str(refused) == (
        f'found no engine file {formula_bundle.manifest.name} in {cache.directory}; it has '
        f'{files[0]}, {files[1]}'
    )

    good = cache.list()[0].entry
    assert good is not None
    products = (Product('[ONNX Layer: a]', 'int8', 3_000_000), Product('b', 'fp32', 1_000_000))
    old = dataclasses.replace(
        good, key=dataclasses.replace(good.key, version='1.0.0'), products=products
    )
    write_entry(cache.directory / old.key.file, old)
    shown = run('info', old.key.file).stdout
    assert '75.0% in int8, 25.0% in fp32' in shown and '│ a ' in shown and '3.0' in shown
    (cache.directory / 'broken.engine').write_text('?')
    listed = run('list').stdout
    assert 'stale: tensorrt_rtx is' in listed and 'damaged: it is no whole engine' in listed
    assert '2 engines removed' in run('clear', '--stale').stdout
    assert [x.file.name for x in cache.list()] == files
    assert '2 engines removed' in run('clear').stdout
    assert list(cache.directory.iterdir()) == []


@pytest.mark.parametrize('missing', ['cuda', 'tensorrt_rtx'])
def test_engines_are_listed_without_nvidias_packages(
    formula_bundle: Bundle, cache: EngineCache, missing: str
) -> None:
    assert run('build', formula_bundle.path, '--compute-capability', '8.9').exit_code == 0
    (listed,) = cache.list()
    found = without(missing, 'engine', 'list')
    assert found.returncode == 0, found.stderr
    assert 'good' in found.stdout and listed.size > 0
    shown = without(missing, 'engine', 'info', listed.file.name)
    assert shown.returncode == 0 and formula_bundle.digest in shown.stdout
    assert '0 engines removed' in without(missing, 'engine', 'clear', '--stale').stdout


def test_engines_are_built_ahead_without_cuda(formula_bundle: Bundle, cache: EngineCache) -> None:
    arguments = ('engine', 'build', str(formula_bundle.path))
    built = without('cuda', *arguments, '--compute-capability', '8.9')
    assert built.returncode == 0, built.stderr
    assert len(cache.list()) == 1
    refused = without('cuda', *arguments)
    assert refused.returncode == 1
    assert 'cuda-python is not installed; give --compute-capability' in refused.stderr


def without(package: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program where a package cannot be imported."""
    code = (
        f'import sys; sys.modules[{package!r}] = None; '
        'from sg_depth_ros.cli.main import main; main()'
    )
    return subprocess.run(
        [sys.executable, '-c', code, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, 'COLUMNS': '200'},
    )


def test_a_second_build_takes_what_is_there(
    formula_bundle: Bundle, cache: EngineCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = []
    build = loading.build
    monkeypatch.setattr(loading, 'build', lambda *a: built.append(1) or build(*a))
    arguments = ('build', formula_bundle.path, '--compute-capability', '8.9')
    for _ in range(2):
        assert run(*arguments).exit_code == 0
    assert len(built) == 1
    assert run(*arguments, '--workspace', 64).exit_code == 0
    assert len(built) == 2


def test_an_engine_that_answers_otherwise_is_shown_as_a_table(
    formula_bundle: Bundle,
    make_bundle: BundleMaker,
    cache: EngineCache,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a GPU that runs the engine of another bundle, with images of the user's."""
    import cv2
    from formula import DEPTH_TEXT

    monkeypatch.setattr(orders, 'look_for_gpu', lambda: (Gpu('Ada', (8, 9), '1'), ''))
    wrong = make_bundle(depth=DEPTH_TEXT.replace('[100.0]', '[130.0]'), folder='wrong')
    monkeypatch.setattr(loading, '_run', lambda *_: create_engine(wrong, 'onnxruntime', 1))
    image = np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8)
    cv2.imwrite(str(tmp_path / 'a.png'), image)
    result = run('build', formula_bundle.path, '--engine', 'tensorrt_rtx', '--check', tmp_path)
    assert result.exit_code == 1
    assert 'engine against ONNX Runtime' in result.stdout
    assert 'over' in result.stdout
    assert 'answers otherwise than ONNX Runtime' in str(result.exception)
    assert cache.list() == []


def test_a_precision_the_bundle_does_not_have(formula_bundle: Bundle, cache: EngineCache) -> None:
    result = run(
        'build', formula_bundle.path, '--precision', 'int8', '--compute-capability', '8.9'
    )
    assert 'sg_depth quantize' in str(result.exception)
