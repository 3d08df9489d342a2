# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT engines that run: on any machine with a GPU and one of the TensorRTs (-m gpu)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from formula import formula
from numpy.typing import NDArray

pytest.importorskip('onnx', reason='onnx is not installed')
pytest.importorskip('cuda.bindings.runtime', reason='cuda-python is not installed')

from sg_depth_ros.bundle import Bundle, load_bundle
from sg_depth_ros.engines import Engine, Precision, create_engine
from sg_depth_ros.engines.check_images import street_images
from sg_depth_ros.engines.comparison import require_agreement
from sg_depth_ros.engines.shared import SharedEngine
from sg_depth_ros.engines.tensorrt import gpu, loading
from sg_depth_ros.engines.tensorrt.cache import NOT_CHECKED, EngineCache
from sg_depth_ros.engines.tensorrt.flavour import load_flavour
from sg_depth_ros.engines.tensorrt.precision import precision_shares

pytestmark = pytest.mark.gpu

Make = Callable[..., Engine]


@pytest.fixture(params=['tensorrt', 'tensorrt_rtx'])
def kind(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    pytest.importorskip(request.param, reason=f'{request.param} is not installed')
    found, flavour = gpu.find_gpu(), load_flavour(request.param)
    if flavour.builds_ahead and found.capability not in flavour.capabilities:
        pytest.skip(f'{flavour.name} {flavour.version} is not made for {found.name}')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    return str(request.param)


@pytest.fixture
def make(kind: str) -> Iterator[Make]:
    """Makes engines and closes them."""
    engines = []

    def create(bundle: Bundle, **options: object) -> Engine:
        engines.append(create_engine(bundle, kind, threads=1, **options))
        return engines[-1]

    yield create
    for engine in engines:
        engine.close()


def test_both_networks_answer_as_the_formula_says(
    make: Make, formula_bundle: Bundle, frame: NDArray[np.uint8]
) -> None:
    engine = make(formula_bundle)
    assert engine.device == f'GPU ({gpu.find_gpu().name})'
    first = engine.infer(frame)
    for image in (frame, np.ascontiguousarray(frame[::-1]), frame[:, ::-1]):
        raw = engine.infer(image)
        depth, labels = formula(image)
        np.testing.assert_allclose(raw.depth_hw, depth, rtol=1e-5)
        np.testing.assert_array_equal(raw.labels_hw, labels)
        assert np.shares_memory(first.depth_hw, raw.depth_hw)
        assert min(raw.seconds) > 0


def test_it_runs_as_cuda_graphs(
    make: Make, formula_bundle: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    make(formula_bundle)
    assert 'without a CUDA graph' not in caplog.text


@pytest.mark.parametrize(
    ('name', 'precision'),
    [
        ('small', 'fp32'),
        ('sg_depth_small', 'fp32'),
        ('sg_depth_small', 'fp16'),
        ('sg_depth_small_int8', 'int8'),
    ],
)
def test_real_networks_agree_with_onnx_runtime(
    make: Make, network_bundle: Bundle, name: str, precision: Precision
) -> None:
    """And TensorRT, of whichever version, tells in which precision it computes them."""
    bundle = network_bundle if name == 'small' else load_bundle(name)
    reference = create_engine(bundle, 'onnxruntime')
    spec = bundle.manifest.input
    engine = make(bundle, precision=precision)
    require_agreement(engine, reference, street_images(spec.width, spec.height), precision)
    reference.close()
    (listed,) = EngineCache().list()
    assert listed.entry is not None
    shares = precision_shares(listed.entry.products)
    assert shares.keys() <= {precision, 'fp32'} and shares[precision] > 0.5, shares


def test_the_engine_is_checked_and_kept(
    make: Make, network_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(network_bundle)
    (listed,) = EngineCache().list()
    assert listed.entry is not None and listed.entry.check != NOT_CHECKED
    monkeypatch.setattr(loading, 'build', lambda *_: pytest.fail('built again'))
    make(network_bundle)


def test_cameras_run_at_the_same_time_with_their_own_answers(
    kind: str, formula_bundle: Bundle, frame: NDArray[np.uint8]
) -> None:
    shared = SharedEngine(create_engine)
    handles = [
        shared.open(formula_bundle, kind, 1, None, lambda phase, fraction: True) for _ in range(3)
    ]
    images = [np.ascontiguousarray(np.roll(frame, camera, axis=2)) for camera in range(3)]
    wrong: list[int] = []

    def drive(camera: int) -> None:
        expected = formula(images[camera])[0]
        for _ in range(200):
            if not np.allclose(handles[camera].infer(images[camera]).depth_hw, expected, 1e-5):
                wrong.append(camera)

    threads = [threading.Thread(target=drive, args=(camera,)) for camera in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for handle in handles:
        handle.close()
    assert wrong == []


def test_closing_gives_the_memory_back(kind: str, network_bundle: Bundle) -> None:
    create_engine(network_bundle, kind, 1).close()
    free, _ = gpu.call(gpu.cuda.cudaMemGetInfo)
    for _ in range(10):
        create_engine(network_bundle, kind, 1).close()
    again, _ = gpu.call(gpu.cuda.cudaMemGetInfo)
    assert free - again < 16 << 20


def test_a_full_gpu_is_an_error_that_says_so(
    make: Make, formula_bundle: Bundle, frame: NDArray[np.uint8]
) -> None:
    engine = make(formula_bundle)
    with pytest.raises(gpu.GpuError, match='out of memory'):
        gpu.call(gpu.cuda.cudaMalloc, 1 << 50)
    np.testing.assert_allclose(engine.infer(frame).depth_hw, formula(frame)[0], rtol=1e-5)
