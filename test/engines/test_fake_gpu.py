# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The stand-ins for CUDA and TensorRT refuse what the real ones are documented to refuse.

Without a GPU the real ones refuse everything; what is held against them is their interface, in
``test_tensorrt_api``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip('cuda.bindings.runtime', reason='cuda-python is not installed')

from fake_cuda import CODES, OK, FakeCuda
from fake_tensorrt import DataType, FakeTensorRt, ILogger, TensorIOMode, size_of

from sg_depth_ros.engines.tensorrt.flavour import make_logger

INVALID = CODES.cudaErrorInvalidResourceHandle
UNSUPPORTED = CODES.cudaErrorStreamCaptureUnsupported


class Gpu:
    """A stream, and memory on both sides of it."""

    def __init__(self) -> None:
        self.cuda = FakeCuda()
        self.stream = self.cuda.cudaStreamCreateWithFlags(self.cuda.cudaStreamNonBlocking)[1]
        self.device = self.cuda.cudaMalloc(64)[1]
        self.host = self.cuda.cudaHostAlloc(64, self.cuda.cudaHostAllocDefault)[1]

    def upload(self, target: int | None = None, size: int = 64, stream: object = None) -> CODES:
        kind = self.cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        target = self.device if target is None else target
        queue = self.stream if stream is None else stream
        code: CODES = self.cuda.cudaMemcpyAsync(target, self.host, size, kind, queue)[0]
        return code

    def wait(self) -> CODES:
        code: CODES = self.cuda.cudaStreamSynchronize(self.stream)[0]
        return code

    def begin(self) -> None:
        mode = self.cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        assert self.cuda.cudaStreamBeginCapture(self.stream, mode) == (OK,)


@pytest.fixture
def gpu() -> Gpu:
    return Gpu()


def test_handles_are_of_one_kind_and_die(gpu: Gpu) -> None:
    cuda, event = gpu.cuda, gpu.cuda.cudaEventCreate()[1]
    assert not isinstance(gpu.stream, int) and int(gpu.stream) != int(event)
    assert cuda.cudaStreamDestroy(event) == (INVALID,)
    assert cuda.cudaEventRecord(gpu.stream, gpu.stream) == (INVALID,)
    assert cuda.cudaEventDestroy(event) == (OK,)
    assert cuda.cudaEventRecord(event, gpu.stream) == cuda.cudaEventDestroy(event) == (INVALID,)
    assert cuda.cudaStreamDestroy(gpu.stream) == (OK,)
    assert gpu.wait() == gpu.upload() == INVALID


def test_memory_is_freed_once_and_on_its_side(gpu: Gpu) -> None:
    cuda, wrong = gpu.cuda, (CODES.cudaErrorInvalidValue,)
    assert cuda.cudaFree(gpu.host) == cuda.cudaFreeHost(gpu.device) == wrong
    assert cuda.cudaFree(gpu.device) == cuda.cudaFreeHost(gpu.host) == (OK,)
    assert cuda.cudaFree(gpu.device) == cuda.cudaFreeHost(gpu.host) == wrong


def test_copies_stay_within_memory_of_the_right_side(gpu: Gpu) -> None:
    assert gpu.upload() == OK
    wrong = CODES.cudaErrorInvalidValue
    assert gpu.upload(size=65) == gpu.upload(target=gpu.host) == gpu.upload(target=1) == wrong


def test_work_is_done_when_it_is_waited_for_and_meets_what_is_left_then(gpu: Gpu) -> None:
    assert gpu.upload() == OK
    assert gpu.cuda.cudaFree(gpu.device) == (OK,)
    lost = CODES.cudaErrorIllegalAddress
    assert gpu.wait() == lost
    assert gpu.cuda.cudaEventCreate() == gpu.cuda.cudaMalloc(1) == (lost, None), 'sticky'


def test_time_is_known_after_both_events(gpu: Gpu) -> None:
    cuda = gpu.cuda
    start, end = cuda.cudaEventCreate()[1], cuda.cudaEventCreate()[1]
    cuda.cudaEventRecord(start, gpu.stream)
    assert cuda.cudaEventElapsedTime(start, end) == (INVALID, None), 'never recorded'
    cuda.cudaEventRecord(end, gpu.stream)
    assert cuda.cudaEventElapsedTime(start, end) == (CODES.cudaErrorNotReady, None)
    gpu.wait()
    assert cuda.cudaEventElapsedTime(start, end)[0] == OK


@pytest.mark.parametrize(
    'call',
    [
        lambda gpu: gpu.cuda.cudaMalloc(1)[0],
        lambda gpu: gpu.cuda.cudaHostAlloc(1, gpu.cuda.cudaHostAllocDefault)[0],
        lambda gpu: gpu.cuda.cudaFree(gpu.device)[0],
        lambda gpu: gpu.wait(),
    ],
    ids=['cudaMalloc', 'cudaHostAlloc', 'cudaFree', 'cudaStreamSynchronize'],
)
def test_a_capture_is_spoilt_by_what_cannot_be_captured(
    gpu: Gpu, call: Callable[[Gpu], CODES]
) -> None:
    gpu.begin()
    assert call(gpu) == UNSUPPORTED
    spoilt = (CODES.cudaErrorStreamCaptureInvalidated, None)
    assert gpu.cuda.cudaStreamEndCapture(gpu.stream) == spoilt
    assert gpu.cuda.cudaStreamEndCapture(gpu.stream) == (CODES.cudaErrorIllegalState, None)


def test_a_graph_is_launched_on_what_is_left(gpu: Gpu) -> None:
    cuda = gpu.cuda
    gpu.begin()
    gpu.upload()
    graph = cuda.cudaStreamEndCapture(gpu.stream)[1]
    assert cuda.cudaGraphLaunch(graph, gpu.stream) == (INVALID,), 'not instantiated'
    ready = cuda.cudaGraphInstantiate(graph, 0)[1]
    assert cuda.cudaGraphDestroy(graph) == (OK,)
    assert cuda.cudaGraphInstantiate(graph, 0) == (CODES.cudaErrorInvalidValue, None)
    assert cuda.cudaGraphLaunch(ready, gpu.stream) == (OK,) and gpu.wait() == OK
    assert cuda.cudaGraphExecDestroy(ready) == (OK,)
    assert cuda.cudaGraphLaunch(ready, gpu.stream) == (INVALID,)


def test_functions_take_as_many_arguments_as_the_real_ones(gpu: Gpu) -> None:
    with pytest.raises(AssertionError, match='cudaMalloc'):
        gpu.cuda.cudaMalloc(1, 2)
    with pytest.raises(AttributeError):
        gpu.cuda.cudaMallocate(1)


@pytest.fixture
def trt(gpu: Gpu) -> FakeTensorRt:
    return FakeTensorRt(gpu.cuda)


@pytest.fixture
def messages(trt: FakeTensorRt) -> Any:
    return make_logger(trt)


@pytest.fixture
def context(trt: FakeTensorRt, messages: Any) -> Any:
    engine = trt.Runtime(messages).deserialize_cuda_engine(b'segmentation')
    assert engine is not None
    return engine.create_execution_context()


def addresses(gpu: Gpu) -> dict[str, int]:
    names = ('image', 'labels', 'features_4')
    return {name: gpu.cuda.cudaMalloc(size_of(name))[1] for name in names}


def test_a_logger_is_made_as_one(trt: FakeTensorRt) -> None:
    class Unmade(ILogger):
        def __init__(self) -> None:
            pass

    for wrong in (logging.getLogger(), None, Unmade()):
        with pytest.raises(TypeError, match='incompatible constructor arguments'):
            trt.Runtime(wrong)


def test_plans_are_bytes_and_whole(trt: FakeTensorRt, messages: Any) -> None:
    runtime = trt.Runtime(messages)
    with pytest.raises(TypeError):
        runtime.deserialize_cuda_engine('depth')
    assert runtime.deserialize_cuda_engine(b'dept') is None
    assert messages.errors


def test_tensors_that_are_none(trt: FakeTensorRt, messages: Any, context: Any) -> None:
    engine = trt.Runtime(messages).deserialize_cuda_engine(b'depth')
    assert engine is not None
    assert engine.get_tensor_mode('labels') == TensorIOMode.NONE
    assert not context.set_tensor_address('depth', 256)
    assert messages.errors == ['depth is no tensor of the engine']
    with pytest.raises(TypeError, match='Could not resolve TensorRT datatype'):
        trt.nptype(DataType)  # type: ignore[arg-type]


def test_addresses_and_streams_are_numbers(gpu: Gpu, context: Any) -> None:
    for wrong in (1024.0, '1024', gpu.stream):
        with pytest.raises(TypeError):
            context.set_tensor_address('image', wrong)
        with pytest.raises(TypeError):
            context.execute_async_v3(wrong)
    assert not context.set_tensor_address('image', 1024 + 4), 'not aligned'


def test_what_is_executed_has_all_its_addresses_and_a_stream(
    gpu: Gpu, context: Any, messages: Any
) -> None:
    places = addresses(gpu)
    for name, address in places.items():
        assert not context.execute_async_v3(int(gpu.stream))
        assert f'{name}' in messages.errors[-1]
        assert context.set_tensor_address(name, address)
    assert context.execute_async_v3(int(gpu.stream)) and gpu.wait() == OK
    gpu.cuda.cudaStreamDestroy(gpu.stream)
    assert not context.execute_async_v3(int(gpu.stream))


@pytest.mark.parametrize('wrong', ['freed', 'too small', "the host's"])
def test_tensors_lie_on_the_gpu(gpu: Gpu, context: Any, wrong: str) -> None:
    places = addresses(gpu)
    if wrong == 'freed':
        gpu.cuda.cudaFree(places['labels'])
    elif wrong == 'too small':
        places['labels'] = gpu.cuda.cudaMalloc(size_of('labels') - 1)[1]
    else:
        size = size_of('labels')
        places['labels'] = gpu.cuda.cudaHostAlloc(size, gpu.cuda.cudaHostAllocDefault)[1]
    for name, address in places.items():
        context.set_tensor_address(name, address)
    context.execute_async_v3(int(gpu.stream))
    assert gpu.wait() == CODES.cudaErrorIllegalAddress


def test_the_first_execution_cannot_be_captured(gpu: Gpu, context: Any) -> None:
    for name, address in addresses(gpu).items():
        context.set_tensor_address(name, address)
    gpu.begin()
    assert not context.execute_async_v3(int(gpu.stream))
    assert gpu.cuda.cudaStreamEndCapture(gpu.stream)[0] != OK
    assert context.execute_async_v3(int(gpu.stream)) and gpu.wait() == OK
    gpu.begin()
    assert context.execute_async_v3(int(gpu.stream))
    assert gpu.cuda.cudaStreamEndCapture(gpu.stream)[0] == OK
