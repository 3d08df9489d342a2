# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A GPU made of host memory, which refuses what CUDA refuses.

It keeps these rules of the CUDA Runtime API and the CUDA Programming Guide:

- What is queued on a stream is done when the stream is waited for, not before.
- A handle that was destroyed, or is of another kind, is ``cudaErrorInvalidResourceHandle``; memory
  that was never allocated, or is freed, cannot be freed again.
- A copy in the direction that is named, within memory of that side; the host's memory is pinned.
- Work that meets memory which is gone fails where it is waited for, and every call after that.
- While a stream is captured nothing is done, and nothing may be allocated or waited for: that is
  ``cudaErrorStreamCaptureUnsupported``, and the graph is invalid.
- The time between events is known once both were recorded and reached, not before.
- Memory of ``cudaMalloc`` is aligned to 256 bytes.
"""

from __future__ import annotations

import ctypes
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cuda.bindings import runtime

CODES = runtime.cudaError_t
OK = CODES.cudaSuccess
ALIGNMENT = 256
RESULTS = {
    'cudaDriverGetVersion': 1,
    'cudaEventCreate': 1,
    'cudaEventElapsedTime': 1,
    'cudaGraphInstantiate': 1,
    'cudaHostAlloc': 1,
    'cudaMalloc': 1,
    'cudaMemGetInfo': 2,
    'cudaStreamCreateWithFlags': 1,
    'cudaStreamEndCapture': 1,
}
"""How many values functions give beside the status: None each where that is an error."""

Work = Callable[[], 'CODES']


@dataclass(eq=False)
class Handle:
    """What CUDA's Python gives for a stream, event or graph: no number, but convertible to one."""

    kind: str
    number: int
    work: list[Work] = field(default_factory=list)
    """Queued on a stream, or recorded in a graph."""
    capture: list[Work] | None = None
    invalid: bool = False
    """Of a capture."""
    reached: bool | None = None
    """Of an event; None if it was never recorded."""

    def __int__(self) -> int:
        return self.number


@dataclass
class Memory:
    """An allocation."""

    buffer: Any
    size: int
    on_device: bool


class FakeCuda:
    """Stands in for ``cuda.bindings.runtime``; whatever it does not fake is the real one's."""

    def __init__(self) -> None:
        self.live: dict[int, Handle | Memory] = {}
        self.lost: CODES = OK
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

        def function(*arguments: object) -> tuple[object, ...]:
            # The number of arguments is held against the real function.
            assert len(arguments) == len(inspect.signature(real).parameters), name
            self.calls.append(name)
            code = self.failures.get(name, self.lost)
            results = (code,) if code != OK else fake(self, *arguments)
            if results[0] == OK:
                assert len(results) == 1 + RESULTS.get(name, 0), name
                return results
            return (results[0], *[None] * RESULTS.get(name, 0))

        function.__name__ = name
        return function

    @property
    def capturing(self) -> bool:
        return any(isinstance(h, Handle) and h.capture is not None for h in self.live.values())

    def handle(self, kind: str) -> Handle:
        self._next += 1
        self.live[self._next] = Handle(kind, self._next)
        return self.live[self._next]  # type: ignore[return-value]

    def find(self, kind: str, resource: object) -> Handle | None:
        """A live handle of a kind; TensorRT gets its number."""
        found = self.live.get(int(resource)) if isinstance(resource, int | Handle) else None
        return found if isinstance(found, Handle) and found.kind == kind else None

    def memory(self, address: int, size: int, on_device: bool | None = None) -> bool:
        """Whether so many bytes from there on are allocated, on the side that is asked for."""
        for start, found in self.live.items():
            if isinstance(found, Memory) and start <= address <= start + found.size - size:
                return on_device is None or found.on_device == on_device
        return False

    def queue(self, stream: object, work: Work) -> tuple[CODES]:
        found = self.find('stream', stream)
        if found is None:
            return (CODES.cudaErrorInvalidResourceHandle,)
        (found.work if found.capture is None else found.capture).append(work)
        return (OK,)

    def unsupported(self) -> tuple[CODES] | None:
        """What a call gives that may not be made during a capture, which it spoils."""
        capturing = [
            h for h in self.live.values() if isinstance(h, Handle) and h.capture is not None
        ]
        for stream in capturing:
            stream.invalid = True
        return (CODES.cudaErrorStreamCaptureUnsupported,) if capturing else None

    def allocate(self, size: int, on_device: bool) -> tuple[object, ...]:
        if refused := self.unsupported():
            return refused
        assert isinstance(size, int) and size > 0
        buffer = ctypes.create_string_buffer(size + ALIGNMENT)
        address = -(-ctypes.addressof(buffer) // ALIGNMENT) * ALIGNMENT
        self.live[address] = Memory(buffer, size, on_device)
        return OK, address

    def release(self, address: int, on_device: bool) -> tuple[CODES]:
        if refused := self.unsupported():
            return refused
        found = self.live.get(address)
        if not isinstance(found, Memory) or found.on_device != on_device:
            return (CODES.cudaErrorInvalidValue,)
        del self.live[address]
        return (OK,)

    def destroy(self, kind: str, resource: object) -> tuple[CODES]:
        found = self.find(kind, resource)
        if found is None:
            return (CODES.cudaErrorInvalidResourceHandle,)
        del self.live[found.number]
        return (OK,)

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
        return self.allocate(size, on_device=True)

    def do_cudaHostAlloc(self, size: int, flags: int) -> object:
        assert flags == runtime.cudaHostAllocDefault
        return self.allocate(size, on_device=False)

    def do_cudaFree(self, address: int) -> object:
        return self.release(address, on_device=True)

    def do_cudaFreeHost(self, address: int) -> object:
        return self.release(address, on_device=False)

    def do_cudaMemcpyAsync(
        self, target: int, source: int, size: int, kind: object, stream: object
    ) -> object:
        kinds = runtime.cudaMemcpyKind
        sides = {kinds.cudaMemcpyHostToDevice: True, kinds.cudaMemcpyDeviceToHost: False}
        to_device = sides[kind]

        def good() -> bool:
            return self.memory(target, size, to_device) and self.memory(
                source, size, not to_device
            )

        def copy() -> CODES:
            if not good():
                return CODES.cudaErrorIllegalAddress
            ctypes.memmove(target, source, size)
            return OK

        return self.queue(stream, copy) if good() else (CODES.cudaErrorInvalidValue,)

    def do_cudaEventRecord(self, event: object, stream: object) -> object:
        found = self.find('event', event)
        if found is None:
            return (CODES.cudaErrorInvalidResourceHandle,)

        def reach() -> CODES:
            found.reached = True
            return OK

        found.reached = False
        return self.queue(stream, reach)

    def do_cudaEventElapsedTime(self, start: object, end: object) -> object:
        events = [self.find('event', event) for event in (start, end)]
        if any(event is None or event.reached is None for event in events):
            return (CODES.cudaErrorInvalidResourceHandle,)
        if not all(event.reached for event in events if event):
            return (CODES.cudaErrorNotReady,)
        return OK, 0.001

    def do_cudaStreamSynchronize(self, stream: object) -> object:
        found = self.find('stream', stream)
        if found is None:
            return (CODES.cudaErrorInvalidResourceHandle,)
        if refused := self.unsupported():
            return refused
        work, found.work = found.work, []
        for step in work:
            self.lost = step()
            if self.lost != OK:
                return (self.lost,)
        return (OK,)

    def do_cudaStreamBeginCapture(self, stream: object, mode: object) -> object:
        assert isinstance(mode, runtime.cudaStreamCaptureMode)
        found = self.find('stream', stream)
        if found is None:
            return (CODES.cudaErrorInvalidResourceHandle,)
        if found.capture is not None:
            return (CODES.cudaErrorIllegalState,)
        found.capture, found.invalid = [], False
        return (OK,)

    def do_cudaStreamEndCapture(self, stream: object) -> object:
        found = self.find('stream', stream)
        if found is None or found.capture is None:
            return (CODES.cudaErrorIllegalState,)
        recorded, found.capture = found.capture, None
        if found.invalid:
            return (CODES.cudaErrorStreamCaptureInvalidated,)
        graph = self.handle('graph')
        graph.work = recorded
        return OK, graph

    def do_cudaGraphInstantiate(self, graph: object, flags: int) -> object:
        found = self.find('graph', graph)
        if found is None:
            return (CODES.cudaErrorInvalidValue,)
        ready = self.handle('executable graph')
        ready.work = list(found.work)
        return OK, ready

    def do_cudaGraphLaunch(self, graph: object, stream: object) -> object:
        found = self.find('executable graph', graph)
        if found is None:
            return (CODES.cudaErrorInvalidResourceHandle,)
        for work in found.work:
            (code,) = self.queue(stream, work)
            if code != OK:
                return (code,)
        return (OK,)

    def do_cudaStreamDestroy(self, stream: object) -> object:
        return self.destroy('stream', stream)

    def do_cudaEventDestroy(self, event: object) -> object:
        return self.destroy('event', event)

    def do_cudaGraphDestroy(self, graph: object) -> object:
        return self.destroy('graph', graph)

    def do_cudaGraphExecDestroy(self, graph: object) -> object:
        return self.destroy('executable graph', graph)
