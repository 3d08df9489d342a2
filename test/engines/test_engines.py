# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from formula import DEPTH_TEXT, SEGMENTATION_TEXT, BundleMaker, formula
from numpy.typing import NDArray

from sg_depth_ros.bundle import Bundle, BundleError
from sg_depth_ros.engines import ENGINES, Engine, EngineError, create_engine
from sg_depth_ros.engines.protocol import EngineOptions, available_cores

KINDS = ['openvino', 'onnxruntime']


@pytest.fixture(params=KINDS)
def engine(request: pytest.FixtureRequest, formula_bundle: Bundle) -> Iterator[Engine]:
    pytest.importorskip(request.param)
    made = create_engine(formula_bundle, request.param, threads=1)
    yield made
    made.close()


def uninstall(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    for name in names:
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.delitem(sys.modules, f'sg_depth_ros.engines.{name}', raising=False)


def test_every_registered_engine_is_tested() -> None:
    assert set(KINDS) <= set(ENGINES)


def test_both_networks_answer_as_the_formula_says(
    engine: Engine, frame: NDArray[np.uint8]
) -> None:
    raw = engine.infer(frame)
    depth, labels = formula(frame)
    assert raw.depth_hw.dtype == np.float32
    assert raw.labels_hw.dtype == np.uint8
    np.testing.assert_allclose(raw.depth_hw, depth, rtol=1e-6)
    np.testing.assert_array_equal(raw.labels_hw, labels)
    assert min(raw.seconds) > 0


def test_each_frame_gets_its_own_answer_in_the_same_memory(
    engine: Engine, frame: NDArray[np.uint8]
) -> None:
    first = engine.infer(frame)
    other = np.ascontiguousarray(frame[::-1])
    second = engine.infer(other)
    np.testing.assert_allclose(second.depth_hw, formula(other)[0], rtol=1e-6)
    assert np.shares_memory(first.depth_hw, second.depth_hw)
    assert np.shares_memory(first.labels_hw, second.labels_hw)


def test_the_callers_image_is_neither_kept_nor_changed(
    engine: Engine, frame: NDArray[np.uint8]
) -> None:
    image = frame.copy()
    raw = engine.infer(image)
    np.testing.assert_array_equal(image, frame)
    image[:] = 0
    np.testing.assert_allclose(raw.depth_hw, formula(frame)[0], rtol=1e-6)


def test_images_of_any_memory_layout_are_taken(engine: Engine, frame: NDArray[np.uint8]) -> None:
    bgr = np.ascontiguousarray(frame[..., ::-1])
    raw = engine.infer(bgr[..., ::-1])
    np.testing.assert_allclose(raw.depth_hw, formula(frame)[0], rtol=1e-6)


def test_an_engine_says_what_it_is(engine: Engine) -> None:
    assert engine.name in KINDS
    assert engine.version == getattr(sys.modules[engine.name], '__version__')  # noqa: B009
    assert engine.device.startswith('CPU (')
    assert engine.device.endswith(', 1 thread)')


def test_engines_agree_on_real_networks(network_bundle: Bundle) -> None:
    for kind in KINDS:
        pytest.importorskip(kind)
    rng = np.random.default_rng(5)
    spec = network_bundle.manifest.input
    engines = [create_engine(network_bundle, kind, threads=1) for kind in KINDS]
    blocks = rng.integers(0, 256, (spec.height // 8, spec.width // 8, 3), np.uint8)
    noise = rng.integers(0, 256, (spec.height, spec.width, 3), np.uint8)
    for image in (noise, blocks.repeat(8, 0).repeat(8, 1)):
        one, other = (e.infer(image) for e in engines)
        assert np.ptp(one.depth_hw) > 0.1 * one.depth_hw.mean(), 'the networks say nothing'
        np.testing.assert_allclose(one.depth_hw, other.depth_hw, rtol=1e-4)
        assert np.mean(one.labels_hw == other.labels_hw) >= 0.999
    for made in engines:
        made.close()


def test_an_unguided_network_needs_no_features(
    make_bundle: BundleMaker, frame: NDArray[np.uint8]
) -> None:
    segmentation = SEGMENTATION_TEXT.replace(', float[1,1,{fh},{fw}] features_4', '')
    depth = """
<ir_version: 8, opset_import: ["": 18]>
depth (uint8[1,{h},{w},3] image) => (float[1,{h},{w}] depth)
{{
  values = Cast<to: int = 1>(image)
  last = Constant<value_ints: ints = [3]>()
  depth = ReduceMax<keepdims: int = 0>(values, last)
}}
"""
    bundle = make_bundle(segmentation, depth)
    for kind in KINDS:
        pytest.importorskip(kind)
        made = create_engine(bundle, kind, threads=1)
        np.testing.assert_array_equal(made.infer(frame).depth_hw, frame.max(-1))
        made.close()


def test_auto_takes_the_first_and_logs_it(
    formula_bundle: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip('openvino')
    with caplog.at_level(logging.INFO, 'sg_depth_ros.engines'):
        made = create_engine(formula_bundle, threads=2)
    assert made.name == 'openvino'
    assert made.version in caplog.text
    assert '2 threads' in caplog.text
    assert 'ready in' in caplog.text
    made.close()


def test_auto_skips_what_is_not_installed_and_says_so(
    formula_bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip('onnxruntime')
    uninstall(monkeypatch, 'openvino')
    with caplog.at_level(logging.INFO, 'sg_depth_ros.engines'):
        made = create_engine(formula_bundle, 'auto', threads=1)
    assert made.name == 'onnxruntime'
    assert 'openvino skipped: openvino is not installed (pip install openvino)' in caplog.text
    made.close()


def test_auto_skips_what_fails_to_start(
    formula_bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for kind in KINDS:
        pytest.importorskip(kind)

    def fail(*_: object) -> Engine:
        raise RuntimeError('no such\n device')

    monkeypatch.setattr('sg_depth_ros.engines.openvino.OpenVinoEngine', fail)
    with caplog.at_level(logging.INFO, 'sg_depth_ros.engines'):
        made = create_engine(formula_bundle, 'auto', threads=1)
    assert made.name == 'onnxruntime'
    assert 'openvino skipped: RuntimeError: no such device' in caplog.text
    made.close()


def test_without_any_engine_the_error_lists_each_with_its_cure(
    formula_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    uninstall(monkeypatch, *KINDS)
    with pytest.raises(EngineError) as caught:
        create_engine(formula_bundle)
    for kind in KINDS:
        assert f'{kind} is not installed (pip install {kind})' in str(caught.value)


def test_no_build_is_silent(
    formula_bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip('openvino')

    def build(bundle: Bundle, options: EngineOptions) -> Engine:
        assert options.progress('timing', 0.0) and options.progress('timing', 0.5)
        raise RuntimeError('enough')

    monkeypatch.setattr('sg_depth_ros.engines.openvino.OpenVinoEngine', build)
    monkeypatch.setattr('sg_depth_ros.engines.PROGRESS_SECONDS', 0.0)
    with pytest.raises(EngineError, match='enough'):
        create_engine(formula_bundle, 'openvino')
    lines = [r.message for r in caplog.records if r.levelname == 'WARNING']
    assert lines == [f'building the engine: {n}% (timing)' for n in (0, 50)]


def test_a_chosen_engine_is_not_replaced_by_another(
    formula_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    uninstall(monkeypatch, 'onnxruntime')
    with pytest.raises(EngineError, match='onnxruntime is not installed'):
        create_engine(formula_bundle, 'onnxruntime')


def test_an_unknown_kind_names_the_choices(formula_bundle: Bundle) -> None:
    with pytest.raises(ValueError, match="no engine 'cuda'; choose one of auto, tensorrt, "):
        create_engine(formula_bundle, 'cuda')
    with pytest.raises(ValueError, match='found 0; give 1 or more'):
        create_engine(formula_bundle, threads=0)


WRONG_NAME = DEPTH_TEXT.replace('}] depth)', '}] deep)').replace('depth = Add', 'deep = Add')
WRONG_TYPE = (
    SEGMENTATION_TEXT.replace('uint8[1,{h},{w}] labels', 'int64[1,{h},{w}] labels')
    .replace('labels = Cast<to: int = 2>(best)', '')
    .replace('best = ArgMax', 'labels = ArgMax')
)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize(
    ('segmentation', 'depth', 'message'),
    [
        (SEGMENTATION_TEXT, WRONG_NAME, r'outputs deep float32\[1, 16, 32\], expected depth'),
        (WRONG_TYPE, DEPTH_TEXT, r'labels int64\[1, 16, 32\], expected .*labels uint8'),
        (
            SEGMENTATION_TEXT.replace('features_4', 'hints'),
            DEPTH_TEXT.replace('features_4', 'hints'),
            r"inputs \['hints'\], expected names that begin with features_",
        ),
    ],
    ids=['name', 'type', 'features'],
)
def test_graphs_that_do_not_fit_are_the_bundles_fault(
    make_bundle: BundleMaker, kind: str, segmentation: str, depth: str, message: str
) -> None:
    pytest.importorskip(kind)
    bundle = make_bundle(segmentation, depth)
    with pytest.raises(BundleError, match=message):
        create_engine(bundle, kind, threads=1)


@pytest.mark.parametrize('kind', [*KINDS, 'auto'])
def test_a_manifest_of_another_size_is_the_bundles_fault(
    make_bundle: BundleMaker, kind: str
) -> None:
    pytest.importorskip('openvino' if kind == 'auto' else kind)
    bundle = make_bundle(input={'width': 64, 'height': 16})
    with pytest.raises(BundleError, match=r'segmentation\.onnx has the inputs image uint8'):
        create_engine(bundle, kind, threads=1)


@pytest.mark.skipif(not hasattr(os, 'sched_setaffinity'), reason='no CPU affinity here')
def test_threads_follow_the_cores_this_process_may_use() -> None:
    cores = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(cores)})
        assert available_cores() == 1
    finally:
        os.sched_setaffinity(0, cores)
    assert available_cores() == len(cores)


def test_a_signal_after_engines_were_closed_in_their_order_does_no_harm(
    formula_bundle: Bundle,
) -> None:
    """OpenVINO sets stacks for signal handlers, on processors with AMX."""
    pytest.importorskip('openvino')
    program = f"""
import signal
from sg_depth_ros.bundle import load_bundle
from sg_depth_ros.engines import create_engine
bundle = load_bundle({str(formula_bundle.path)!r})
engines = [create_engine(bundle, 'openvino', threads=1) for _ in range(2)]
while engines:
    engines.pop(0).close()
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print('interrupted')
"""
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, 'interrupted\n'), done.stderr
