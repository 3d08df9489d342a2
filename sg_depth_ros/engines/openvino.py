# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""OpenVINO on the CPU: the fastest there, on x86 and ARM."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from sg_depth_ros.bundle import Bundle
from sg_depth_ros.engines.protocol import (
    DEPTH_OUTPUT,
    IMAGE,
    LABELS,
    EngineOptions,
    RawPrediction,
    Specs,
    StageSeconds,
    check_signature,
    cpu_description,
    tensor_spec,
)


class OpenVinoEngine:
    """Both networks as OpenVINO requests that read and write one set of tensors."""

    name = 'openvino'
    version = ov.__version__

    def __init__(self, bundle: Bundle, options: EngineOptions) -> None:
        threads = options.threads
        self.device = cpu_description(threads)
        segmentation = _compile(bundle.segmentation_onnx, threads)
        depth = _compile(bundle.depth_onnx, threads)
        seg_in, seg_out = _specs(segmentation)
        depth_in, depth_out = _specs(depth)
        check_signature(bundle, seg_in, seg_out, depth_in, depth_out)
        specs = {**seg_in, **seg_out, **depth_out}
        self._buffers = {name: spec.empty() for name, spec in specs.items()}
        # The features' tensors are outputs of one request and inputs of the other.
        tensors = {n: ov.Tensor(b, shared_memory=True) for n, b in self._buffers.items()}
        self._segmentation = segmentation.create_infer_request()
        self._depth = depth.create_infer_request()
        for request, names in (
            (self._segmentation, (*seg_in, *seg_out)),
            (self._depth, (*depth_in, *depth_out)),
        ):
            for name in names:
                request.set_tensor(name, tensors[name])

    def infer(self, image_hw3: NDArray[np.uint8]) -> RawPrediction:
        """Run both networks on an RGB image (H, W, 3) of network size."""
        start = perf_counter()
        self._buffers[IMAGE][0] = image_hw3
        self._segmentation.infer()
        middle = perf_counter()
        self._depth.infer()
        seconds = StageSeconds(middle - start, perf_counter() - middle)
        return RawPrediction(self._buffers[DEPTH_OUTPUT][0], self._buffers[LABELS][0], seconds)

    def close(self) -> None:
        """Free requests, threads and buffers."""
        del self._segmentation, self._depth
        self._buffers.clear()


@cache
def _core() -> Any:
    """Give the one core of this process, which stays until it ends.

    Where processors have AMX, the CPU plugin of each core sets a stack for signal handlers and
    sets back, when it is freed, the one that it had found. Of two cores the first to go so leaves
    that of the other, and the other that of the first: memory which is no longer there. The next
    signal, such as Ctrl-C, would then end the process with a segmentation fault.
    """
    return ov.Core()


def _compile(path: Path, threads: int) -> ov.CompiledModel:
    return _core().compile_model(
        path,
        'CPU',
        {
            'PERFORMANCE_HINT': 'LATENCY',
            'INFERENCE_NUM_THREADS': threads,
            # By itself it takes bf16 where the processor has it, and answers otherwise than
            # every other run-time.
            'INFERENCE_PRECISION_HINT': 'f32',
            # A pinned thread cannot leave a core that another process has taken.
            'ENABLE_CPU_PINNING': False,
        },
    )


def _specs(model: ov.CompiledModel) -> tuple[Specs, Specs]:
    """Describe a compiled model's inputs and outputs."""
    inputs, outputs = (
        {
            port.any_name: tensor_spec(
                port.element_type.to_dtype(),
                [d.get_length() if d.is_static else -1 for d in port.partial_shape],
            )
            for port in ports
        }
        for ports in (model.inputs, model.outputs)
    )
    return inputs, outputs
