# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What ``sg_depth bench`` measures; how fast this machine is, is no matter of these tests."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip('typer', reason='typer is not installed')

from formula import BundleMaker
from rich.console import Console
from typer.testing import CliRunner

from sg_depth_ros.bench.measure import (
    Case,
    Stages,
    Subject,
    figures,
    price_of_guidance,
    street_frames,
    take_turns,
)
from sg_depth_ros.bench.memory import peak_memory_mib
from sg_depth_ros.bundle import Bundle
from sg_depth_ros.cli.bench import list_cases
from sg_depth_ros.cli.main import app
from sg_depth_ros.engines import create_engine
from sg_depth_ros.synthetic import street_camera

pytest.importorskip('onnxruntime')


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ['bench', *arguments])


@pytest.fixture
def subject(formula_bundle: Bundle) -> Subject:
    engine = create_engine(formula_bundle, 'onnxruntime', threads=1)
    return Subject(Case('a', formula_bundle, 'onnxruntime'), engine, street_camera(64, 32))


def test_the_file_has_every_figure_of_every_bundle_in_every_engine(
    make_bundle: BundleMaker, tmp_path: Path
) -> None:
    pytest.importorskip('openvino')
    paths = [str(make_bundle(folder=name).path) for name in ('one', 'two')]
    out = tmp_path / 'bench.json'
    done = run(
        *paths,
        *('--engine', 'onnxruntime', '--engine', 'openvino', '--threads', '1'),
        *('--frames', '3', '--size', '64x32', '--json', str(out)),
    )
    assert done.exit_code == 0, done.output
    report = json.loads(out.read_text())
    assert {'system', 'cores', 'threads', 'python', 'numpy'} == report['machine'].keys()
    assert report['machine']['threads'] == 1
    assert [(r['name'], r['engine']) for r in report['results']] == [
        (name, engine) for name in ('one', 'two') for engine in ('onnxruntime', 'openvino')
    ]
    stages = [*Stages._fields]
    for result in report['results']:
        assert list(result['milliseconds']) == [*stages, 'total']
        assert all(0 < t['p50'] <= t['p95'] for t in result['milliseconds'].values())
        assert list(result['share']) == stages
        assert sum(result['share'].values()) == pytest.approx(1, abs=1e-3)
        assert result['frames'] == 3
        assert result['precision'] == 'fp32' and result['size'] == '32x16'
        assert result['images_per_second'] > 0 and result['version'] and result['device']
        assert result['peak_memory_mib'] is None or result['peak_memory_mib'] > 10
    assert report['price_of_guidance'] == []
    assert all(word in done.output for word in ('two', 'img/s', 'fp32', 'sg_depth_ros[train]'))


def test_a_checkpoint_is_measured_beside_its_plain_twin(
    network_checkpoint: Path, tmp_path: Path
) -> None:
    out = tmp_path / 'bench.json'
    done = run(
        str(network_checkpoint),
        *('--engine', 'onnxruntime', '--threads', '1', '--frames', '1', '--json', str(out)),
    )
    assert done.exit_code == 0, done.output
    report = json.loads(out.read_text())
    assert [r['twin_of'] for r in report['results']] == [None, 'networks.pt']
    (price,) = report['price_of_guidance']
    assert price['name'] == 'networks.pt' and price['depth_ratio'] > 0 and price['total_ratio'] > 0


def test_figures_are_those_of_the_times(subject: Subject) -> None:
    subject.times = [Stages(0.001, 0.002, 0.003, 0.004), Stages(0.001, 0.002, 0.003, 0.014)]
    result = figures(subject, 12.5)
    assert result['images_per_second'] == pytest.approx(1 / 0.015, abs=0.01)
    assert result['milliseconds']['total'] == {'p50': 15.0, 'p95': 19.5}
    assert result['milliseconds']['depth']['p50'] == 3
    assert result['share'] == pytest.approx(
        {'prepare': 2 / 30, 'segmentation': 4 / 30, 'depth': 6 / 30, 'post': 18 / 30}, abs=1e-4
    )
    assert result['peak_memory_mib'] == 12.5


def test_guidance_has_its_price_only_beside_its_twin_in_the_same_engine(subject: Subject) -> None:
    def result(name: str, engine: str, depth: float, twin_of: str | None = None) -> dict[str, Any]:
        subject.times = [Stages(0.001, 0.001, depth, 0.001)]
        return {**figures(subject, None), 'name': name, 'engine': engine, 'twin_of': twin_of}

    results = [
        result('a', 'x', 0.003),
        result('a', 'y', 0.009),
        result('a plain', 'x', 0.002, 'a'),
        result('b', 'x', 0.001),
    ]
    assert price_of_guidance(results) == [
        {'name': 'a', 'engine': 'x', 'precision': 'fp32', 'depth_ratio': 1.5, 'total_ratio': 1.2}
    ]


def test_subjects_take_turns_in_changing_order_on_the_same_frames(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(subject, case=replace(subject.case, name='b'), times=[])
    street = street_frames(subject.camera, 2)
    seen: list[tuple[str, float]] = []
    original = Subject.run

    def spy(self: Subject, frame: Any) -> Stages:
        seen.append((self.case.name, frame.stamp))
        return original(self, frame)

    monkeypatch.setattr(Subject, 'run', spy)
    take_turns([subject, other], street, 3)
    a, b = street[0].stamp, street[1].stamp
    assert seen[-6:] == [('a', a), ('b', a), ('b', b), ('a', b), ('a', a), ('b', a)]
    assert len(seen) == 12 and len(subject.times) == len(other.times) == 3


def test_no_frame_is_begun_after_the_time(subject: Subject) -> None:
    take_turns([subject], street_frames(subject.camera, 1), 50, seconds=0)
    assert len(subject.times) == 1


@pytest.mark.skipif(sys.platform != 'linux', reason='only Linux tells')
def test_memory_is_that_of_the_engine_alone(formula_bundle: Bundle) -> None:
    ballast = np.ones(200 * 2**20, np.uint8)
    peak = peak_memory_mib(formula_bundle, 'onnxruntime', 1)
    assert peak is not None and 10 < peak < 200, ballast.nbytes


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--engine', 'cuda'], "no engine 'cuda'; choose of"),
        (
            ['--precision', 'int8', '--engine', 'onnxruntime'],
            'no bundle is of precision int8, found fp32; give such',
        ),
        (['--size', 'big'], 'a size is WIDTHxHEIGHT'),
    ],
)
def test_bad_choices_are_one_sentence(
    formula_bundle: Bundle, arguments: list[str], message: str
) -> None:
    done = run(str(formula_bundle.path), *arguments)
    assert isinstance(done.exception, ValueError)
    assert message in str(done.exception)


def test_what_is_built_is_built_in_each_precision_and_other_engines_take_bundles_of_it(
    formula_bundle: Bundle, tmp_path: Path
) -> None:
    cases = list_cases(
        [str(formula_bundle.path)],
        ['tensorrt', 'onnxruntime'],
        ['fp32', 'fp16'],
        tmp_path,
        Console(),
    )
    assert [(case.engine, case.precision) for case in cases] == [
        ('tensorrt', 'fp32'),
        ('tensorrt', 'fp16'),
        ('onnxruntime', 'fp32'),
    ]


def test_the_same_bundle_twice_is_refused(formula_bundle: Bundle) -> None:
    done = run(str(formula_bundle.path), str(formula_bundle.path))
    assert 'several bundles are called formula' in str(done.exception)


def test_a_missing_bundle_is_named() -> None:
    assert 'no bundle nowhere' in str(run('nowhere').exception)
