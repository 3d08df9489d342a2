# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Both networks on one CUDA stream; features stay on the GPU."""

from __future__ import annotations

import logging
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.bundle import Bundle
from sg_depth_ros.engines.protocol import (
    DEPTH_OUTPUT,
    IMAGE,
    LABELS,
    EngineError,
    RawPrediction,
    Specs,
    StageSeconds,
    check_signature,
    tensor_spec,
)
from sg_depth_ros.engines.tensorrt.flavour import Flavour, Gpu, make_logger
from sg_depth_ros.engines.tensorrt.gpu import GpuResources, milliseconds

_log = logging.getLogger(__name__)


class Networks:
    """Two deserialised plans, whose weights all cameras share."""

    def __init__(
        self, flavour: Flavour, gpu: Gpu, bundle: Bundle, segmentation: bytes, depth: bytes
    ) -> None:
        """Load the plans onto the GPU.

        :raises EngineError: if TensorRT does not take them
        :raises BundleError: if they do not fit the manifest
        """
        self.flavour, self.gpu = flavour, gpu
        self.messages = make_logger(flavour.trt)
        try:
            self._runtime = flavour.trt.Runtime(self.messages)
        except TypeError as error:  # what pybind11 makes of a constructor that returns nothing
            raise self.error('cannot start') from error
        self.segmentation = self._load(segmentation)
        self.depth = self._load(depth)
        seg_in, seg_out = self._specs(self.segmentation)
        depth_in, depth_out = self._specs(self.depth)
        check_signature(bundle, seg_in, seg_out, depth_in, depth_out)
        self.specs = {**seg_in, **seg_out, **depth_out}

    def context(self, engine: Any, addresses: dict[str, int]) -> Any:
        """Give a context that runs an engine on tensors at these addresses."""
        context = engine.create_execution_context()
        if context is None:
            raise self.error('has no memory for another camera')
        # Engines are built to tell of their layers, which would cost time at each run.
        context.nvtx_verbosity = self.flavour.trt.ProfilingVerbosity.NONE
        for name in self._names(engine):
            if not context.set_tensor_address(name, addresses[name]):
                raise self.error(f'does not take the memory of {name}')
        return context

    def error(self, what: str) -> EngineError:
        """Make an error of TensorRT's own words since the last one."""
        reasons = '; '.join(dict.fromkeys(self.messages.errors)) or 'it gives no reason'
        self.messages.errors.clear()
        return EngineError(f'{self.flavour.name} {self.flavour.version} {what}: {reasons}')

    def _load(self, plan: bytes) -> Any:
        engine = self._runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise self.error(
                'cannot load the engine (sg_depth engine clear removes cached ones, which are '
                'built again)'
            )
        return engine

    def _names(self, engine: Any) -> list[str]:
        return [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]

    def _specs(self, engine: Any) -> tuple[Specs, Specs]:
        """Describe an engine's inputs and outputs."""
        trt = self.flavour.trt
        inputs, outputs = (
            {
                name: tensor_spec(
                    trt.nptype(engine.get_tensor_dtype(name)),
                    tuple(engine.get_tensor_shape(name)),
                )
                for name in self._names(engine)
                if engine.get_tensor_mode(name) == mode
            }
            for mode in (trt.TensorIOMode.INPUT, trt.TensorIOMode.OUTPUT)
        )
        return inputs, outputs


class TensorRtEngine:
    """Networks with a stream, contexts and buffers of their own: one for each camera."""

    def __init__(self, networks: Networks) -> None:
        """Allocate, run once, and record both networks as CUDA graphs.

        :raises EngineError: when the GPU has no memory left, or fails
        """
        self._networks = networks
        self.name, self.version = networks.flavour.name, networks.flavour.version
        self.device = f'GPU ({networks.gpu.name})'
        self._resources = resources = GpuResources()
        try:
            specs = networks.specs
            self._device = {name: resources.device(spec) for name, spec in specs.items()}
            self._host = {n: resources.pinned(specs[n]) for n in (IMAGE, LABELS, DEPTH_OUTPUT)}
            self._contexts = [
                networks.context(engine, self._device)
                for engine in (networks.segmentation, networks.depth)
            ]
            self._events = [resources.event() for _ in range(2)]
            self._host[IMAGE][:] = 0
            # TensorRT finishes its preparations in the first run, which cannot be recorded.
            self._segment()
            self._estimate()
            resources.wait()
            self._record()
        except BaseException:
            self.close()
            raise

    def infer(self, image_hw3: NDArray[np.uint8]) -> RawPrediction:
        """Run both networks on an RGB image (H, W, 3) of network size."""
        start = perf_counter()
        resources, (middle, end) = self._resources, self._events
        self._host[IMAGE][0] = image_hw3
        self._segment()
        resources.record(middle)
        self._estimate()
        resources.record(end)
        resources.wait()
        depth_seconds = milliseconds(middle, end) * 1e-3
        seconds = StageSeconds(perf_counter() - start - depth_seconds, depth_seconds)
        return RawPrediction(self._host[DEPTH_OUTPUT][0], self._host[LABELS][0], seconds)

    def fork(self) -> TensorRtEngine:
        """Give an engine for another camera, which runs at the same time."""
        return TensorRtEngine(self._networks)

    def close(self) -> None:
        """Free contexts, stream and buffers; the weights go with the last camera."""
        # What is queued still uses the contexts: this waits for it.
        self._resources.close()
        self._contexts = []

    def _segment(self) -> None:
        """Queue the way from the image to labels and features."""
        self._resources.upload(self._device[IMAGE], self._host[IMAGE])
        self._execute(self._contexts[0])
        self._resources.download(self._host[LABELS], self._device[LABELS])

    def _estimate(self) -> None:
        """Queue the way from image and features to depth."""
        self._execute(self._contexts[1])
        self._resources.download(self._host[DEPTH_OUTPUT], self._device[DEPTH_OUTPUT])

    def _execute(self, context: Any) -> None:
        if not context.execute_async_v3(int(self._resources.stream)):
            raise self._networks.error('cannot run the engine')

    def _record(self) -> None:
        """Make CUDA graphs of both ways; where TensorRT cannot be recorded, leave them."""
        try:
            segment, estimate = map(self._resources.captured, (self._segment, self._estimate))
        except EngineError as error:
            _log.warning('the engine runs without a CUDA graph, somewhat slower: %s', error)
            return
        self._segment, self._estimate = segment, estimate  # type: ignore[method-assign]
