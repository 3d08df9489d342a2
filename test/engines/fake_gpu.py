# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A GPU made of host memory, and a TensorRT on it that computes the formula bundle's networks.

It keeps CUDA's rules that matter here: what is queued while a stream is captured is recorded and
not done, nothing may be allocated or waited for meanwhile, and what was allocated must be freed.
"""

from __future__ import annotations

import ctypes
import inspect
from collections.abc import Callable
from enum import IntEnum
from types import SimpleNamespace
from typing import Any

import numpy as np
from cuda.bindings import runtime
from formula import HEIGHT, WIDTH, formula
from numpy.typing import NDArray

CODES = runtime.cudaError_t
OK = CODES.cudaSuccess
SHAPES: dict[str, tuple[Any, tuple[int, ...]]] = {
    'image': (np.uint8, (1, HEIGHT, WIDTH, 3)),
    'labels': (np.uint8, (1, HEIGHT, WIDTH)),
    'features_4': (np.float32, (1, 1, HEIGHT // 4, WIDTH // 4)),
    'depth': (np.float32, (1, HEIGHT, WIDTH)),
}


class FakeCuda:
    """Stands in for ``cuda.bindings.runtime``; whatever it does not fake is the real one's."""

    def __init__(self) -> None:
        self.live: dict[object, object] = {}
        self.recording: list[Callable[[], object]] | None = None
        self.failures: dict[str, CODES] = {}
        self.calls: list[str] = []
        self._next = 0

    def __getattr__(self, name: str) -> Any:
        real = getattr(runtime, name)
        fake = getattr(type(self), f'do_{name}', None)
        if fake is None:
            if callable(real) and not isinstance(real, type) and name != 'cudaGetErrorString':
                raise AssertionError(f'{name} is not faked')
            return real

        def function(*arguments: object) -> object:
            # The number of arguments is held against the real function.
            assert len(arguments) == len(inspect.signature(real).parameters), name
            self.calls.append(name)
            if name in self.failures:
                return self.failures[name], *[None] * 2
            return fake(self, *arguments)

        function.__name__ = name
        return function

    def handle(self, value: object = None) -> int:
        self._next += 1
        self.live[self._next] = value
        return self._next

    def queue(self, work: Callable[[], object]) -> tuple[CODES]:
        if self.recording is None:
            work()
        else:
            self.recording.append(work)
        return (OK,)

    def free(self, resource: object) -> tuple[CODES]:
        del self.live[resource]
        return (OK,)

    def allocate(self, size: int) -> tuple[CODES, int | None]:
        if self.recording is not None:
            return CODES.cudaErrorStreamCaptureUnsupported, None
        buffer = ctypes.create_string_buffer(size)
        address = ctypes.addressof(buffer)
        self.live[address] = buffer
        return OK, address

    def do_cudaMemGetInfo(self) -> object:
        return OK, 1 << 20, 2 << 20

    def do_cudaGetLastError(self) -> object:
        return (OK,)

    def do_cudaStreamCreateWithFlags(self, flags: int) -> object:
        assert flags == runtime.cudaStreamNonBlocking
        return OK, self.handle('stream')

    def do_cudaEventCreate(self) -> object:
        return OK, self.handle('event')

    def do_cudaMalloc(self, size: int) -> object:
        return self.allocate(size)

    def do_cudaHostAlloc(self, size: int, flags: int) -> object:
        return self.allocate(size)

    def do_cudaMemcpyAsync(
        self, target: int, source: int, size: int, kind: object, stream: int
    ) -> object:
        assert kind in (
            runtime.cudaMemcpyKind.cudaMemcpyHostToDevice,
            runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost,
        )
        return self.queue(lambda: ctypes.memmove(target, source, size))

    def do_cudaEventRecord(self, event: int, stream: int) -> object:
        return self.queue(lambda: None)

    def do_cudaEventElapsedTime(self, start: int, end: int) -> object:
        return OK, 0.001

    def do_cudaStreamSynchronize(self, stream: int) -> object:
        return (OK if self.recording is None else CODES.cudaErrorStreamCaptureUnsupported,)

    def do_cudaStreamBeginCapture(self, stream: int, mode: object) -> object:
        self.recording = []
        return (OK,)

    def do_cudaStreamEndCapture(self, stream: int) -> object:
        recorded, self.recording = self.recording, None
        return OK, self.handle(recorded)

    def do_cudaGraphInstantiate(self, graph: int, flags: int) -> object:
        return OK, self.handle(self.live[graph])

    def do_cudaGraphLaunch(self, graph: int, stream: int) -> object:
        for work in self.live[graph]:
            work()
        return (OK,)

    do_cudaFree = do_cudaFreeHost = do_cudaStreamDestroy = free
    do_cudaEventDestroy = do_cudaGraphDestroy = do_cudaGraphExecDestroy = free


class FakeTensorRt:
    """Stands in for the module; the plans are the names of networks."""

    TensorIOMode = SimpleNamespace(INPUT='in', OUTPUT='out')

    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda = cuda
        self.executed: list[str] = []
        self.fails_while_recording = False
        self.no_context = False
        self.deserialised = 0

    class ILogger:
        Severity = IntEnum('Severity', ['INTERNAL_ERROR', 'ERROR'])

    nptype = staticmethod(np.dtype)

    def Runtime(self, logger: object) -> object:
        return SimpleNamespace(deserialize_cuda_engine=self._load)

    def _load(self, plan: bytes) -> object:
        self.deserialised += 1
        return FakeEngine(self, plan.decode())


class FakeEngine:
    """A deserialised plan."""

    def __init__(self, trt: FakeTensorRt, network: str) -> None:
        self.trt, self.network = trt, network
        inputs = ('image',) if network == 'segmentation' else ('image', 'features_4')
        outputs = ('labels', 'features_4') if network == 'segmentation' else ('depth',)
        self._modes = {**dict.fromkeys(inputs, 'in'), **dict.fromkeys(outputs, 'out')}
        self.num_io_tensors = len(self._modes)

    def get_tensor_name(self, index: int) -> str:
        return list(self._modes)[index]

    def get_tensor_mode(self, name: str) -> str:
        return self._modes[name]

    def get_tensor_dtype(self, name: str) -> object:
        return SHAPES[name][0]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return SHAPES[name][1]

    def create_execution_context(self) -> object:
        return None if self.trt.no_context else FakeContext(self)


class FakeContext:
    """Computes on the addresses it was given."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine
        self._addresses: dict[str, int] = {}

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        trt = self._engine.trt
        trt.executed.append(self._engine.network)
        if trt.fails_while_recording and trt.cuda.recording is not None:
            return False
        trt.cuda.queue(self._compute)
        return True

    def _compute(self) -> None:
        image = self._array('image')[0]
        if self._engine.network == 'segmentation':
            self._array('labels')[0] = formula(image)[1]
            red = image[..., 0].reshape(HEIGHT // 4, 4, WIDTH // 4, 4)
            self._array('features_4')[0, 0] = red.mean((1, 3))
        else:
            guided = 100 * self._array('features_4')[0, 0].repeat(4, 0).repeat(4, 1)
            self._array('depth')[0] = 1.0 + image[..., 1] + guided

    def _array(self, name: str) -> NDArray[Any]:
        dtype, shape = SHAPES[name]
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        memory = (ctypes.c_uint8 * size).from_address(self._addresses[name])
        return np.frombuffer(memory, dtype).reshape(shape)
