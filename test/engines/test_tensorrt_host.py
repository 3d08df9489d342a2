# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The host's side of running TensorRT engines, on a GPU that is made of host memory."""

from __future__ import annotations

import gc
import logging
import weakref
from typing import Any

import numpy as np
import pytest
from formula import BundleMaker, formula
from numpy.typing import NDArray

pytest.importorskip('cuda.bindings.runtime', reason='cuda-python is not installed')

from fake_cuda import CODES, FakeCuda
from fake_tensorrt import FakeTensorRt

from sg_depth_ros.bundle import Bundle, BundleError
from sg_depth_ros.engines import EngineError
from sg_depth_ros.engines.protocol import Forkable
from sg_depth_ros.engines.tensorrt import gpu
from sg_depth_ros.engines.tensorrt.engine import Networks, TensorRtEngine
from sg_depth_ros.engines.tensorrt.flavour import Flavour


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    fake = FakeCuda()
    monkeypatch.setattr(gpu, 'cuda', fake)
    return fake


@pytest.fixture
def trt(cuda: FakeCuda) -> FakeTensorRt:
    return FakeTensorRt(cuda)


def networks(trt: FakeTensorRt, bundle: Bundle) -> Networks:
    flavour = Flavour('tensorrt', '10.3.0', trt)
    return Networks(flavour, gpu.Gpu('Fake', (8, 9), '1'), bundle, b'segmentation', b'depth')


@pytest.fixture
def engine(trt: FakeTensorRt, formula_bundle: Bundle) -> TensorRtEngine:
    return TensorRtEngine(networks(trt, formula_bundle))


def answers_rightly(engine: TensorRtEngine, frame: NDArray[np.uint8]) -> None:
    for image in (frame, np.ascontiguousarray(frame[::-1]), frame[:, ::-1]):
        raw = engine.infer(image)
        depth, labels = formula(image)
        np.testing.assert_allclose(raw.depth_hw, depth, rtol=1e-6)
        np.testing.assert_array_equal(raw.labels_hw, labels)
        assert raw.depth_hw.dtype == np.float32 and raw.labels_hw.dtype == np.uint8


def test_frames_go_through_graphs_that_were_recorded_after_one_run(
    engine: TensorRtEngine, trt: FakeTensorRt, cuda: FakeCuda, frame: NDArray[np.uint8]
) -> None:
    assert trt.executed == ['segmentation', 'depth'] * 2
    cuda.calls.clear()
    answers_rightly(engine, frame)
    assert trt.executed == ['segmentation', 'depth'] * 2
    assert cuda.calls.count('cudaGraphLaunch') == 6
    assert cuda.calls.count('cudaStreamSynchronize') == 3
    assert not {'cudaMalloc', 'cudaHostAlloc', 'cudaMemcpyAsync'} & set(cuda.calls)


def test_features_are_never_copied_to_the_host(cuda: FakeCuda, engine: TensorRtEngine) -> None:
    """One run and one recording, of one image in and two answers out."""
    assert cuda.calls.count('cudaMemcpyAsync') == 6
    assert cuda.calls.count('cudaHostAlloc') == 3
    assert cuda.calls.count('cudaMalloc') == 4


def test_what_cannot_be_recorded_is_run_as_it_is(
    trt: FakeTensorRt,
    cuda: FakeCuda,
    formula_bundle: Bundle,
    frame: NDArray[np.uint8],
    caplog: pytest.LogCaptureFixture,
) -> None:
    trt.fails_while_recording = True
    engine = TensorRtEngine(networks(trt, formula_bundle))
    assert 'runs without a CUDA graph' in caplog.text
    answers_rightly(engine, frame)
    engine.close()
    assert cuda.live == {}


@pytest.mark.parametrize('recorded', [True, False])
def test_weights_go_with_the_engine_and_wait_for_no_garbage_collector(
    trt: FakeTensorRt, formula_bundle: Bundle, recorded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # pytest keeps what is logged, and with the error the frames that it came through.
    monkeypatch.setattr(logging.getLogger(TensorRtEngine.__module__), 'disabled', True)
    trt.fails_while_recording = not recorded
    shared = networks(trt, formula_bundle)
    weights = weakref.ref(shared)
    engine = TensorRtEngine(shared)
    engine.close()
    gc.disable()
    try:
        del shared, engine
        assert weights() is None
    finally:
        gc.enable()


def test_a_runtime_that_does_not_start_says_so(trt: FakeTensorRt, formula_bundle: Bundle) -> None:
    """As where CUDA finds no memory: pybind11 gives a TypeError for a pointer to nothing."""

    def fail(logger: Any) -> object:
        logger.log(logger.Severity.ERROR, 'CUDA initialization failure with error: 2')
        raise TypeError('pybind11::init(): factory function returned nullptr')

    trt.Runtime = fail  # type: ignore[method-assign]
    with pytest.raises(EngineError, match=r'tensorrt 10\.3\.0 cannot start: CUDA init'):
        networks(trt, formula_bundle)


def test_closing_frees_everything(engine: TensorRtEngine, cuda: FakeCuda) -> None:
    assert cuda.live
    engine.close()
    assert cuda.live == {}


def test_cameras_share_weights_and_nothing_else(
    engine: TensorRtEngine, trt: FakeTensorRt, cuda: FakeCuda, frame: NDArray[np.uint8]
) -> None:
    assert isinstance(engine, Forkable)
    other = engine.fork()
    assert trt.deserialised == 2
    first = engine.infer(frame)
    second = other.infer(np.ascontiguousarray(frame[::-1]))
    np.testing.assert_allclose(first.depth_hw, formula(frame)[0], rtol=1e-6)
    np.testing.assert_allclose(second.depth_hw, formula(frame[::-1])[0], rtol=1e-6)
    engine.close()
    answers_rightly(other, frame)
    other.close()
    assert cuda.live == {}


@pytest.mark.parametrize('call', ['cudaMalloc', 'cudaHostAlloc'])
def test_no_memory_is_said_and_nothing_leaks(
    trt: FakeTensorRt, cuda: FakeCuda, formula_bundle: Bundle, call: str
) -> None:
    cuda.failures[call] = CODES.cudaErrorMemoryAllocation
    with pytest.raises(gpu.GpuError, match=r'out of memory \(1 of 2 MiB are free\)'):
        TensorRtEngine(networks(trt, formula_bundle))
    assert cuda.live == {}


def test_no_memory_for_a_context_is_said_and_nothing_leaks(
    trt: FakeTensorRt, cuda: FakeCuda, formula_bundle: Bundle
) -> None:
    trt.no_context = True
    with pytest.raises(EngineError, match='has no memory for another camera'):
        TensorRtEngine(networks(trt, formula_bundle))
    assert cuda.live == {}


def test_a_lost_gpu_is_said_and_the_engine_can_be_closed(
    engine: TensorRtEngine, cuda: FakeCuda, frame: NDArray[np.uint8]
) -> None:
    cuda.failures['cudaStreamSynchronize'] = CODES.cudaErrorLaunchFailure
    with pytest.raises(gpu.GpuError, match=r'cudaStreamSynchronize failed: .*the GPU was lost or'):
        engine.infer(frame)
    engine.close()
    assert cuda.live == {}


def test_plans_of_another_bundle_are_refused(trt: FakeTensorRt, make_bundle: BundleMaker) -> None:
    wider = make_bundle(input={'width': 64, 'height': 16})
    with pytest.raises(BundleError, match='has the inputs image uint8'):
        networks(trt, wider)
