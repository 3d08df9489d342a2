# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The GPU, through CUDA's run-time API: what it is, its memory, its streams."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from cuda.bindings import runtime as cuda
from numpy.typing import NDArray

from sg_depth_ros.engines.protocol import EngineError, NoDeviceError, TensorSpec
from sg_depth_ros.engines.tensorrt.flavour import Gpu

_DRIVER = Path('/sys/module/nvidia/version')
_OUT_OF_MEMORY = cuda.cudaError_t.cudaErrorMemoryAllocation


class GpuError(EngineError):
    """CUDA reported an error."""


def find_gpu() -> Gpu:
    """Describe the GPU.

    :raises NoDeviceError: if there is none, or no driver for it
    """
    code, count = cuda.cudaGetDeviceCount()
    if not count:
        raise NoDeviceError(f'found no NVIDIA GPU with a working driver ({_text(code)})')
    properties = call(cuda.cudaGetDeviceProperties, 0)
    return Gpu(
        properties.name.rstrip(b'\0').decode(),
        (properties.major, properties.minor),
        _DRIVER.read_text().strip()
        if _DRIVER.is_file()
        else f'CUDA {call(cuda.cudaDriverGetVersion)}',
    )


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of CUDA's run-time API and give its results without the status.

    :raises GpuError: when the status is an error
    """
    code, *results = function(*arguments)
    if code == cuda.cudaError_t.cudaSuccess:
        return results[0] if len(results) == 1 else tuple(results)
    if code == _OUT_OF_MEMORY:
        _, free, total = cuda.cudaMemGetInfo()
        raise GpuError(
            f'the GPU is out of memory ({(free or 0) >> 20} of {(total or 0) >> 20} MiB are '
            'free); end other programs on it, or use a smaller bundle'
        )
    raise GpuError(
        f'{function.__name__} failed: {_text(code)}; if this stays, the GPU was lost or its '
        'driver has failed: look at the kernel log and start the program anew'
    )


def _text(code: cuda.cudaError_t) -> str:
    return f'{cuda.cudaGetErrorString(code)[1].decode()}, {code.name}'


class GpuResources:
    """A stream, and memory that is freed with it."""

    def __init__(self) -> None:
        """Create the stream."""
        self._undo = ExitStack()
        # Not to be held up by what other libraries do on the default stream.
        self.stream = call(cuda.cudaStreamCreateWithFlags, cuda.cudaStreamNonBlocking)
        self._later(cuda.cudaStreamDestroy, self.stream)

    def device(self, spec: TensorSpec) -> int:
        """Give the address of memory on the GPU for a tensor."""
        address = int(call(cuda.cudaMalloc, _size(spec)))
        self._later(cuda.cudaFree, address)
        return address

    def pinned(self, spec: TensorSpec) -> NDArray[Any]:
        """Give an array in host memory that the GPU copies from and to by itself."""
        size = _size(spec)
        address = int(call(cuda.cudaHostAlloc, size, cuda.cudaHostAllocDefault))
        self._later(cuda.cudaFreeHost, address)
        memory = memoryview((ctypes.c_uint8 * size).from_address(address)).cast('B')
        return np.frombuffer(memory, spec.dtype).reshape(spec.shape)

    def event(self) -> Any:
        """Give an event whose time can be asked for."""
        event = call(cuda.cudaEventCreate)
        self._later(cuda.cudaEventDestroy, event)
        return event

    def upload(self, device: int, host: NDArray[Any]) -> None:
        """Queue a copy of a pinned array to the GPU."""
        kind = cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        call(cuda.cudaMemcpyAsync, device, host.ctypes.data, host.nbytes, kind, self.stream)

    def download(self, host: NDArray[Any], device: int) -> None:
        """Queue a copy from the GPU into a pinned array."""
        kind = cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        call(cuda.cudaMemcpyAsync, host.ctypes.data, device, host.nbytes, kind, self.stream)

    def record(self, event: Any) -> None:
        """Queue the taking of the time."""
        call(cuda.cudaEventRecord, event, self.stream)

    def wait(self) -> None:
        """Wait until all that was queued is done; errors of it come up here."""
        call(cuda.cudaStreamSynchronize, self.stream)

    def captured(self, work: Callable[[], None]) -> Callable[[], None]:
        """Record what ``work`` queues as a CUDA graph; give what queues that at once.

        :raises GpuError: if some of it cannot be recorded
        """
        # Other cameras may allocate in their threads meanwhile.
        mode = cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        call(cuda.cudaStreamBeginCapture, self.stream, mode)
        try:
            work()
        except BaseException:
            code, unfinished = cuda.cudaStreamEndCapture(self.stream)
            if code == cuda.cudaError_t.cudaSuccess:
                cuda.cudaGraphDestroy(unfinished)
            cuda.cudaGetLastError()  # or a later call would report what is known already
            raise
        graph = call(cuda.cudaStreamEndCapture, self.stream)
        try:
            ready = call(cuda.cudaGraphInstantiate, graph, 0)
        finally:
            cuda.cudaGraphDestroy(graph)
        self._later(cuda.cudaGraphExecDestroy, ready)
        return lambda: call(cuda.cudaGraphLaunch, ready, self.stream)

    def close(self) -> None:
        """Free everything, the last first; errors of a lost GPU change nothing any more."""
        cuda.cudaStreamSynchronize(self.stream)
        self._undo.close()

    def _later(self, free: Callable[..., Any], resource: Any) -> None:
        self._undo.callback(free, resource)


def milliseconds(start: Any, end: Any) -> float:
    """Give the time between two events that have been reached."""
    return float(call(cuda.cudaEventElapsedTime, start, end))


def _size(spec: TensorSpec) -> int:
    return int(np.prod(spec.shape)) * spec.dtype.itemsize
