# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A TensorRT that computes the formula bundle's networks on a fake GPU, and refuses what it does.

It keeps these rules, which NVIDIA's documentation of ``IExecutionContext`` and the part of the
Developer Guide about CUDA graphs state, or which the signatures of its Python classes enforce:

- A logger is an ``ILogger`` whose constructor was called; a plan that is none gives None.
- A tensor that an engine does not have gets no address, and its mode is NONE.
- Addresses and streams are numbers. Addresses are aligned to 256 bytes and lie on the GPU.
- All addresses are set before an execution, which is refused otherwise, as it is on a stream that
  is gone.
- The first execution prepares the context and cannot be captured.
- Types are TensorRT's, and ``nptype`` translates them.
"""

from __future__ import annotations

import ctypes
import operator
from enum import Enum, IntEnum
from typing import Any

import numpy as np
from fake_cuda import ALIGNMENT, CODES, OK, FakeCuda
from formula import HEIGHT, WIDTH, formula
from numpy.typing import NDArray


class DataType(Enum):
    """TensorRT's types that the networks have."""

    FLOAT = 0
    UINT8 = 5


class TensorIOMode(Enum):
    """What a tensor is to an engine."""

    NONE = 0
    INPUT = 1
    OUTPUT = 2


class ProfilingVerbosity(Enum):
    """How much is told of layers."""

    LAYER_NAMES_ONLY = 0
    NONE = 1
    DETAILED = 2


class Dims:
    """A shape, as TensorRT gives it: no tuple, but a sequence."""

    def __init__(self, *sizes: int) -> None:
        self._sizes = sizes

    def __len__(self) -> int:
        return len(self._sizes)

    def __getitem__(self, index: int) -> int:
        return self._sizes[index]


class ILogger:
    """What loggers derive from."""

    ready = False

    class Severity(IntEnum):
        INTERNAL_ERROR = 0
        ERROR = 1

    def __init__(self) -> None:
        self.ready = True


NUMPY_TYPES: dict[DataType, Any] = {DataType.FLOAT: np.float32, DataType.UINT8: np.uint8}
TENSORS: dict[str, tuple[DataType, tuple[int, ...]]] = {
    'image': (DataType.UINT8, (1, HEIGHT, WIDTH, 3)),
    'labels': (DataType.UINT8, (1, HEIGHT, WIDTH)),
    'features_4': (DataType.FLOAT, (1, 1, HEIGHT // 4, WIDTH // 4)),
    'depth': (DataType.FLOAT, (1, HEIGHT, WIDTH)),
}
PLANS: dict[bytes, tuple[tuple[str, ...], tuple[str, ...]]] = {
    b'segmentation': (('image',), ('labels', 'features_4')),
    b'depth': (('image', 'features_4'), ('depth',)),
}
"""Inputs and outputs of the networks, by what stands for their plans."""


def size_of(name: str) -> int:
    kind, shape = TENSORS[name]
    return int(np.prod(shape)) * np.dtype(NUMPY_TYPES[kind]).itemsize


class FakeTensorRt:
    """Stands in for the module."""

    TensorIOMode, ProfilingVerbosity, ILogger = TensorIOMode, ProfilingVerbosity, ILogger

    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda = cuda
        self.executed: list[str] = []
        self.fails_while_recording = False
        self.no_context = False
        self.deserialised = 0

    def nptype(self, trt_type: DataType) -> Any:
        if trt_type not in NUMPY_TYPES:
            raise TypeError('Could not resolve TensorRT datatype to an equivalent numpy datatype.')
        return NUMPY_TYPES[trt_type]

    def Runtime(self, logger: object) -> Runtime:
        if not (isinstance(logger, ILogger) and logger.ready):
            raise TypeError('__init__(): incompatible constructor arguments.')
        return Runtime(self, logger)


class Runtime:
    """Loads plans."""

    def __init__(self, trt: FakeTensorRt, logger: ILogger) -> None:
        self._trt, self._logger = trt, logger

    def deserialize_cuda_engine(self, serialized_engine: object) -> ICudaEngine | None:
        plan = memoryview(serialized_engine).tobytes()  # type: ignore[arg-type]
        if plan not in PLANS:
            log_error(self._logger, 'the plan is damaged')
            return None
        self._trt.deserialised += 1
        return ICudaEngine(self._trt, self._logger, plan)


class ICudaEngine:
    """A deserialised plan."""

    def __init__(self, trt: FakeTensorRt, logger: ILogger, plan: bytes) -> None:
        self._trt, self._logger, self._network = trt, logger, plan.decode()
        inputs, outputs = PLANS[plan]
        self._modes = {
            **dict.fromkeys(inputs, TensorIOMode.INPUT),
            **dict.fromkeys(outputs, TensorIOMode.OUTPUT),
        }
        self.num_io_tensors = len(self._modes)

    def get_tensor_name(self, index: int) -> str:
        return list(self._modes)[index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return self._modes.get(name, TensorIOMode.NONE)

    def get_tensor_dtype(self, name: str) -> DataType:
        return TENSORS[name][0] if name in self._modes else DataType.FLOAT

    def get_tensor_shape(self, name: str) -> Dims:
        return Dims(*TENSORS[name][1]) if name in self._modes else Dims()

    def create_execution_context(self) -> IExecutionContext | None:
        return None if self._trt.no_context else IExecutionContext(self)


class IExecutionContext:
    """Computes on the addresses it was given."""

    def __init__(self, engine: ICudaEngine) -> None:
        self._engine = engine
        self._addresses: dict[str, int] = {}
        self._prepared = False
        self.nvtx_verbosity = ProfilingVerbosity.DETAILED

    def set_tensor_address(self, name: str, memory: int) -> bool:
        if name not in self._engine._modes:
            return self._refuse(f'{name} is no tensor of the engine')
        address = operator.index(memory)
        if address % ALIGNMENT:
            return self._refuse(f'the address of {name} is not aligned to {ALIGNMENT} bytes')
        self._addresses[name] = address
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        trt, number = self._engine._trt, operator.index(stream_handle)
        trt.executed.append(self._engine._network)
        if missing := self._engine._modes.keys() - self._addresses.keys():
            return self._refuse(f'the address of {", ".join(sorted(missing))} is not set')
        stream = trt.cuda.find('stream', number)
        if stream is None:
            return self._refuse('invalid resource handle')
        recording = stream.capture is not None
        if recording and (trt.fails_while_recording or not self._prepared):
            stream.invalid = True
            return self._refuse('operation not permitted when stream is capturing')
        self._prepared = True
        (code,) = trt.cuda.queue(number, self._compute)
        return bool(code == OK)

    def _refuse(self, why: str) -> bool:
        log_error(self._engine._logger, why)
        return False

    def _compute(self) -> CODES:
        cuda, places = self._engine._trt.cuda, self._addresses
        if not all(cuda.memory(places[n], size_of(n), True) for n in self._engine._modes):
            return CODES.cudaErrorIllegalAddress
        image = self._array('image')[0]
        if self._engine._network == 'segmentation':
            self._array('labels')[0] = formula(image)[1]
            red = image[..., 0].reshape(HEIGHT // 4, 4, WIDTH // 4, 4)
            self._array('features_4')[0, 0] = red.mean((1, 3))
        else:
            guided = 100 * self._array('features_4')[0, 0].repeat(4, 0).repeat(4, 1)
            self._array('depth')[0] = 1.0 + image[..., 1] + guided
        return OK

    def _array(self, name: str) -> NDArray[Any]:
        kind, shape = TENSORS[name]
        memory = (ctypes.c_uint8 * size_of(name)).from_address(self._addresses[name])
        return np.frombuffer(memory, NUMPY_TYPES[kind]).reshape(shape)


def log_error(logger: Any, message: str) -> None:
    logger.log(logger.Severity.ERROR, message)
