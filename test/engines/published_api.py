# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the engines use of TensorRT's and CUDA's Python, and what published versions have of it.

``published_api.json`` holds signatures of versions that cannot all be installed at once. Run this
file to write it anew, when more is used or a version comes out. It gets NVIDIA's bindings with
pip, and imports TensorRT's on libraries of its own that do nothing, for which it needs a C
compiler: the real ones are gigabytes, and what is asked of the bindings needs none of it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

RECORD = Path(__file__).with_suffix('.json')
TENSORRTS = {
    '10.3.0': 'tensorrt-cu12-bindings',
    '10.13.3.9': 'tensorrt-cu12-bindings',
    '10.16.1.11': 'tensorrt-cu13-bindings',
    '11.4.0.106': 'tensorrt-cu13-bindings',
}
"""JetPack 6 has 10.3, JetPack 7 has 10.13."""
CUDAS = ('12.8.0', '12.9.10', '13.0.3')

USED: dict[str, tuple[str, ...] | None] = {
    'Builder': ('ILogger',),
    'Builder.build_serialized_network': ('INetworkDefinition', 'IBuilderConfig'),
    'Builder.create_builder_config': (),
    'Builder.create_network': ('int',),
    'DataType.FLOAT': None,
    'IBuilderConfig.profiling_verbosity': None,
    'IBuilderConfig.progress_monitor': None,
    'IBuilderConfig.set_flag': ('BuilderFlag',),
    'IBuilderConfig.set_memory_pool_limit': ('MemoryPoolType', 'int'),
    'IConvolutionLayer.kernel_size_nd': None,
    'IConvolutionLayer.num_groups': None,
    'ICudaEngine.create_execution_context': (),
    'ICudaEngine.get_tensor_dtype': ('str',),
    'ICudaEngine.get_tensor_mode': ('str',),
    'ICudaEngine.get_tensor_name': ('int',),
    'ICudaEngine.get_tensor_shape': ('str',),
    'ICudaEngine.num_io_tensors': None,
    'IDeconvolutionLayer.kernel_size_nd': None,
    'IDeconvolutionLayer.num_groups': None,
    'IExecutionContext.execute_async_v3': ('int',),
    'IExecutionContext.nvtx_verbosity': None,
    'IExecutionContext.set_tensor_address': ('str', 'int'),
    'ILayer.get_input': ('int',),
    'ILayer.get_output': ('int',),
    'ILayer.metadata': None,
    'ILayer.name': None,
    'ILayer.num_inputs': None,
    'ILayer.num_outputs': None,
    'ILayer.type': None,
    'ILogger.Severity.ERROR': None,
    'ILogger.Severity.INTERNAL_ERROR': None,
    'IMatrixMultiplyLayer.op0': None,
    'INetworkDefinition.get_layer': ('int',),
    'INetworkDefinition.num_layers': None,
    'ITensor.dtype': None,
    'ITensor.name': None,
    'ITensor.shape': None,
    'IUnaryLayer.op': None,
    'LayerType.CONVOLUTION': None,
    'LayerType.DECONVOLUTION': None,
    'LayerType.DEQUANTIZE': None,
    'LayerType.MATRIX_MULTIPLY': None,
    'LayerType.QUANTIZE': None,
    'LayerType.UNARY': None,
    'MatrixOperation.TRANSPOSE': None,
    'MemoryPoolType.WORKSPACE': None,
    'NetworkDefinitionCreationFlag.STRONGLY_TYPED': None,
    'OnnxParser': ('INetworkDefinition', 'ILogger'),
    'OnnxParser.get_error': ('int',),
    'OnnxParser.num_errors': None,
    'OnnxParser.parse': ('bytes',),
    'ParserError.desc': (),
    'ParserError.node_name': (),
    'ParserError.node_operator': (),
    'ProfilingVerbosity.DETAILED': None,
    'ProfilingVerbosity.NONE': None,
    'Runtime': ('ILogger',),
    'Runtime.deserialize_cuda_engine': ('bytes',),
    'TensorIOMode.INPUT': None,
    'TensorIOMode.OUTPUT': None,
    'UnaryOperation.EXP': None,
    '__version__': None,
    'nptype': ('DataType',),
    'volume': ('Dims',),
}
"""By name, the types of the arguments that a function is given; None for what is no function."""
ONLY_RTX: dict[str, tuple[str, ...] | None] = {
    'BuilderFlag.REQUIRE_USER_ALLOCATION': None,
    'ComputeCapability.CURRENT': None,
    'ComputeCapability.__members__': None,
    'IBuilderConfig.num_compute_capabilities': None,
    'IBuilderConfig.set_compute_capability': ('ComputeCapability', 'int'),
}
"""What is used of TensorRT-RTX alone."""
OVERRIDDEN = {
    'ILogger.log': ('severity', 'message'),
    'IProgressMonitor.phase_finish': ('phase_name',),
    'IProgressMonitor.phase_start': ('phase_name', 'parent_phase', 'num_steps'),
    'IProgressMonitor.step_complete': ('phase_name', 'step'),
}
"""What TensorRT calls, with the names of the arguments that it is to give."""


def tensorrt_signatures(trt: Any) -> dict[str, list[str]]:
    """Give the signatures of all these names that a module has; types of what is no function."""
    return {
        name: _signatures(found, trt.__name__)
        for name in sorted({**USED, **ONLY_RTX, **OVERRIDDEN})
        if (found := find(trt, name)) is not None
    }


def find(module: Any, dotted: str) -> Any:
    """Give what a dotted name stands for, or None."""
    found = module
    for part in dotted.split('.'):
        found = getattr(found, part, None)
    return found


def _signatures(found: Any, module: str) -> list[str]:
    if isinstance(found, property):
        text = (found.fget.__doc__ or '').replace('(arg0', '(self')
    elif isinstance(found, type):
        text = found.__init__.__doc__ or ''
    elif hasattr(found, '__code__'):  # in Python
        return [f'({", ".join(found.__code__.co_varnames[: found.__code__.co_argcount])})']
    elif callable(found):
        text = found.__doc__ or ''
    else:
        return [type(found).__name__]
    lines = [line.strip() for line in text.strip().splitlines()]
    overloaded = [line for line in lines if re.match(r'\d+\. \w+\(', line)]
    chosen = overloaded or lines[:1]
    return [re.sub(r'\b\w+_bindings\.\w+\.', '', re.sub(r'^(\d+\. )?\w*', '', x)) for x in chosen]


def cuda_parameters(runtime: Any, names: set[str]) -> dict[str, list[str] | None]:
    """Give the parameters of functions, and None for what else there is of these names."""
    import inspect

    found = {name: find(runtime, name) for name in sorted(names)}
    return {
        name: list(inspect.signature(value).parameters)
        if callable(value) and not isinstance(value, type)
        else None
        for name, value in found.items()
        if value is not None
    }


_EMPTY = 'void *{}(void) {{ return 0; }}'
_SYMBOLS = (
    'createInferBuilder_INTERNAL',
    'createInferRefitter_INTERNAL',
    'createInferRuntime_INTERNAL',
    'createNvOnnxParserRefitter_INTERNAL',
    'createNvOnnxParser_INTERNAL',
    'getBuilderPluginRegistry',
    'getNvOnnxParserVersion',
    'getPluginRegistry',
    'initLibNvInferPlugins',
)
_LIBRARIES = ('libnvinfer.so', 'libnvinfer_plugin.so', 'libnvonnxparser.so')


def _record(folder: Path) -> None:
    from test_tensorrt_api import cuda_names

    source = folder / 'empty.c'
    source.write_text('\n'.join(map(_EMPTY.format, _SYMBOLS)))
    record: dict[str, Any] = {'tensorrt': {}, 'cuda': {}}
    for version, package in TENSORRTS.items():
        place = _get(f'{package}=={version}', folder / version)
        for library in _LIBRARIES:
            target = place / f'{library}.{version.partition(".")[0]}'
            subprocess.run(['cc', '-shared', '-fPIC', '-o', target, source], check=True)
        code = 'import tensorrt_bindings as module; found = tensorrt_signatures(module)'
        record['tensorrt'][version] = _ask(code, place)
    for version in CUDAS:
        place = _get(f'cuda-bindings=={version}', folder / f'cuda-{version}')
        code = (
            'from cuda.bindings import runtime; '
            f'found = cuda_parameters(runtime, {sorted(cuda_names())!r})'
        )
        record['cuda'][version] = _ask(code, place)
    RECORD.write_text(json.dumps(record, indent=1, sort_keys=True) + '\n')


def _get(requirement: str, place: Path) -> Path:
    pip = [sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps', '--target', str(place)]
    subprocess.run([*pip, requirement], check=True)
    return place


def _ask(code: str, place: Path) -> Any:
    """Run code where packages of this place come first, and give what it has found."""
    paths = os.pathsep.join(map(str, (place, Path(__file__).parent)))
    script = f'import json; from published_api import *; {code}; print(json.dumps(found))'
    environment = {**os.environ, 'PYTHONPATH': paths, 'LD_LIBRARY_PATH': str(place)}
    asked = subprocess.run(
        [sys.executable, '-c', script], env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(asked.stdout)


if __name__ == '__main__':
    with tempfile.TemporaryDirectory() as name:
        _record(Path(name))
