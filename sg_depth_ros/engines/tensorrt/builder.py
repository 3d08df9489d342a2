# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a serialised ONNX model to a serialised TensorRT engine, a *plan*."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from sg_depth_ros.engines.protocol import EngineCancelled, EngineError, Precision, Progress
from sg_depth_ros.engines.tensorrt.flavour import (
    Capability,
    Flavour,
    format_capability,
    make_logger,
)
from sg_depth_ros.engines.tensorrt.layers import as_built
from sg_depth_ros.engines.tensorrt.precision import Product, check_types, find_products


class Plan(NamedTuple):
    """A serialised engine, and what it multiplies in which precision."""

    data: bytes
    products: list[Product]


def build_plan(
    flavour: Flavour,
    graph: bytes,
    precision: Precision,
    progress: Progress,
    capability: Capability | None = None,
    workspace_mib: int | None = None,
) -> Plan:
    """Build one network; blocks, but lets other Python threads run.

    :param graph: an ONNX model whose types are those that the engine is to compute with
    :param precision: what these types must come to
    :param capability: to build for, with TensorRT-RTX alone; else the GPU at hand
    :param workspace_mib: memory that a layer may use besides its inputs and outputs, at most
    :raises EngineError: when TensorRT cannot parse or build it; the message has its words
    :raises EngineCancelled: when ``progress`` has answered so
    """
    trt, messages = flavour.trt, make_logger(flavour.trt)
    try:
        builder = trt.Builder(messages)
    except TypeError as error:  # what pybind11 makes of a constructor that returns nothing
        raise _failure(flavour, 'cannot start to build', messages) from error
    # Already so by itself in TensorRT 11, which knows nothing else.
    strongly_typed = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(strongly_typed)
    parser = trt.OnnxParser(network, messages)
    if not parser.parse(graph):
        faults = [_fault(parser.get_error(i)) for i in range(parser.num_errors)]
        raise EngineError(
            f'{flavour.name} {flavour.version} cannot read the graph: {"; ".join(faults)}; '
            'export the bundle again, or choose another engine'
        )
    check_types(trt, network, precision)
    products = find_products(trt, network)
    config = builder.create_builder_config()
    # Or the builder's list of layers would have their names alone.
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if workspace_mib is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace_mib << 20)
    if hasattr(trt.BuilderFlag, 'REQUIRE_USER_ALLOCATION'):
        # Without it TensorRT-RTX allocates while it runs, which a CUDA graph cannot record.
        config.set_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)
    if flavour.builds_ahead:
        config.num_compute_capabilities = 1
        config.set_compute_capability(_target(flavour, capability), 0)
    monitor = _make_monitor(trt, progress)
    config.progress_monitor = monitor
    with _noting_ctrl_c(monitor):
        plan = builder.build_serialized_network(network, config)
    if monitor.interruption is not None:
        raise monitor.interruption
    if plan is None:
        raise _failure(flavour, 'cannot build the engine', messages)
    return Plan(bytes(plan), as_built(products, messages.layers))


def _target(flavour: Flavour, capability: Capability | None) -> Any:
    """Give TensorRT-RTX's name of a compute capability.

    A GPU at hand that it does not know by name is left to it: it may know better.
    """
    if capability is None:
        return flavour.trt.ComputeCapability.CURRENT
    known = flavour.capabilities
    if capability not in known:
        raise EngineError(
            f'{flavour.name} {flavour.version} does not build for compute capability '
            f'{format_capability(capability)}, expected one of '
            f'{", ".join(map(format_capability, sorted(known)))}; choose one of these, or build '
            'with TensorRT on the GPU itself'
        )
    return known[capability]


def _fault(error: Any) -> str:
    where = f'{error.node_operator()} {error.node_name()}'.strip()
    return f'{where or "model"}: {" ".join(error.desc().split())}'


def _failure(flavour: Flavour, what: str, messages: Any) -> EngineError:
    reasons = '; '.join(dict.fromkeys(messages.errors)) or 'it gives no reason'
    return EngineError(f'{flavour.name} {flavour.version} {what}: {reasons}')


class _Phases:
    """How far nested phases, each of so many steps, have come altogether."""

    def __init__(self) -> None:
        self._steps: dict[str, int] = {}
        self._done: dict[str, int] = {}
        self._best = 0.0

    def start(self, name: str, steps: int) -> None:
        self._steps[name], self._done[name] = steps, 0

    def step(self, name: str, step: int) -> None:
        self._done[name] = step + 1

    def finish(self, name: str) -> None:
        self._steps.pop(name, None)
        self._done.pop(name, None)

    @property
    def fraction(self) -> float:
        """Share that is done; never falls, though phases may end before their last step."""
        inner = 0.0
        for name, steps in reversed(self._steps.items()):
            inner = min(1.0, (self._done[name] + inner) / max(steps, 1))
        self._best = max(self._best, inner)
        return self._best


@contextmanager
def _noting_ctrl_c(monitor: Any) -> Iterator[None]:
    """Let a monitor know of Ctrl-C, which raised in a logger or monitor ends inside TensorRT."""
    usual = signal.default_int_handler
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not usual:
        yield
        return

    def note(*_: object) -> None:
        monitor.interruption = KeyboardInterrupt()

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)


def _make_monitor(trt: Any, progress: Progress) -> Any:
    """Give a TensorRT progress monitor that reports the innermost phase and the whole share."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.interruption: BaseException | None = None
            self._phases = _Phases()
            # TensorRT calls from several threads.
            self._turn = threading.Lock()

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            with self._turn:
                self._phases.start(phase_name, num_steps)
                self._report(phase_name)

        def step_complete(self, phase_name: str, step: int) -> bool:
            with self._turn:
                self._phases.step(phase_name, step)
                return self._report(phase_name)

        def phase_finish(self, phase_name: str) -> None:
            with self._turn:
                self._phases.finish(phase_name)

        def _report(self, phase: str) -> bool:
            """Tell the user; keep what is raised, since nothing may pass through TensorRT."""
            if self.interruption is None:
                try:
                    if not progress(phase, self._phases.fraction):
                        self.interruption = EngineCancelled('the build was stopped')
                except BaseException as error:
                    self.interruption = error
            return self.interruption is None

    return Monitor()
