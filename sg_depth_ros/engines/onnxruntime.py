# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime on the CPU: runs everywhere."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import numpy as np
import onnxruntime as ort
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

_DTYPES = {
    'tensor(uint8)': np.uint8,
    'tensor(int64)': np.int64,
    'tensor(float)': np.float32,
    'tensor(float16)': np.float16,
}


class OnnxRuntimeEngine:
    """Both networks as ONNX Runtime sessions that read and write one set of buffers."""

    name = 'onnxruntime'
    version = ort.__version__

    def __init__(self, bundle: Bundle, options: EngineOptions) -> None:
        threads = options.threads
        self.device = cpu_description(threads)
        self._segmentation = _session(bundle.segmentation_onnx, threads)
        self._depth = _session(bundle.depth_onnx, threads)
        seg_in, seg_out = _specs(self._segmentation)
        depth_in, depth_out = _specs(self._depth)
        check_signature(bundle, seg_in, seg_out, depth_in, depth_out)
        self._buffers = {n: s.empty() for n, s in {**seg_in, **seg_out, **depth_out}.items()}
        self._segmentation_binding = self._bind(self._segmentation, seg_in, seg_out)
        self._depth_binding = self._bind(self._depth, depth_in, depth_out)

    def _bind(self, session: ort.InferenceSession, inputs: Specs, outputs: Specs) -> ort.IOBinding:
        """Let a session work on the buffers: the features are passed on by their address."""
        binding = session.io_binding()
        for specs, bind in ((inputs, binding.bind_input), (outputs, binding.bind_output)):
            for name, spec in specs.items():
                address = self._buffers[name].ctypes.data
                bind(name, 'cpu', 0, spec.dtype.type, list(spec.shape), address)
        return binding

    def infer(self, image_hw3: NDArray[np.uint8]) -> RawPrediction:
        """Run both networks on an RGB image (H, W, 3) of network size."""
        start = perf_counter()
        self._buffers[IMAGE][0] = image_hw3
        self._segmentation.run_with_iobinding(self._segmentation_binding)
        middle = perf_counter()
        self._depth.run_with_iobinding(self._depth_binding)
        seconds = StageSeconds(middle - start, perf_counter() - middle)
        return RawPrediction(self._buffers[DEPTH_OUTPUT][0], self._buffers[LABELS][0], seconds)

    def close(self) -> None:
        """Free sessions, threads and buffers."""
        del self._segmentation_binding, self._depth_binding
        del self._segmentation, self._depth
        self._buffers.clear()


def _session(path: Path, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Warnings about the machine (no GPU, odd caches) would come with every start.
    options.log_severity_level = 3
    # Waiting threads sleep: spinning ones take the cores from the other network's threads and
    # from the rest of the robot. On two cores a frame took 70-82 ms so, and 103 with spinning;
    # spinning only within a run gave 63 on an idle machine and up to 500 on a busy one.
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    return ort.InferenceSession(path, options, providers=['CPUExecutionProvider'])


def _specs(session: ort.InferenceSession) -> tuple[Specs, Specs]:
    """Describe a session's inputs and outputs."""
    inputs, outputs = (
        {n.name: tensor_spec(_DTYPES.get(n.type, np.void), n.shape) for n in nodes}
        for nodes in (session.get_inputs(), session.get_outputs())
    )
    return inputs, outputs
