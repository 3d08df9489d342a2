# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run-times behind one protocol, and the choice among them.

Each run-time is one small module that is imported only when it is asked for.
"""

from __future__ import annotations

import importlib
import logging
from time import perf_counter
from typing import NamedTuple, cast

from sg_depth_ros.bundle import Bundle, BundleError
from sg_depth_ros.engines.protocol import (
    Engine,
    EngineCancelled,
    EngineError,
    EngineFactory,
    EngineOptions,
    NoDeviceError,
    Precision,
    Progress,
    RawPrediction,
    StageSeconds,
    available_cores,
)

__all__ = [
    'AUTO',
    'ENGINES',
    'PROGRESS_SECONDS',
    'Engine',
    'EngineCancelled',
    'EngineError',
    'Precision',
]
__all__ += ['Progress', 'RawPrediction', 'StageSeconds', 'available_cores', 'create_engine']

AUTO = 'auto'
PROGRESS_SECONDS = 5.0
"""Between two lines about an engine that is being built."""

_log = logging.getLogger(__name__)


class Registered(NamedTuple):
    """Where a run-time's engine is found and how a user gets the run-time."""

    module: str
    factory: str
    install: str


ENGINES = {
    'tensorrt': Registered(
        'tensorrt.loading',
        'open_tensorrt',
        'TensorRT comes with JetPack, elsewhere: pip install tensorrt cuda-python onnx',
    ),
    'tensorrt_rtx': Registered(
        'tensorrt.loading',
        'open_tensorrt_rtx',
        'pip install tensorrt-rtx cuda-python onnx',
    ),
    'openvino': Registered('openvino', 'OpenVinoEngine', 'pip install openvino'),
    'onnxruntime': Registered('onnxruntime', 'OnnxRuntimeEngine', 'pip install onnxruntime'),
}
"""By kind, in the order in which ``auto`` tries them: the fastest first."""


def create_engine(
    bundle: Bundle,
    kind: str = AUTO,
    threads: int | None = None,
    precision: Precision | None = None,
    progress: Progress | None = None,
) -> Engine:
    """Make a bundle's networks ready to run.

    :param kind: a key of ENGINES, or ``auto`` for the first of them that is installed and works
    :param threads: CPU threads to use at most; by default all cores this process may run on
    :param precision: of a TensorRT engine, by default the bundle's; the others run the bundle's
        graphs as they are
    :param progress: told how far an engine is that has to be built, which may take minutes; by
        default a line is logged every few seconds
    :raises EngineError: if the run-time (with ``auto``: none of them) is installed and works
    :raises EngineCancelled: when ``progress`` has answered so
    :raises BundleError: if the bundle's graphs do not fit its manifest
    :raises ValueError: if ``kind`` or ``threads`` is no possible choice
    """
    if kind != AUTO and kind not in ENGINES:
        raise ValueError(f'no engine {kind!r}; choose one of {", ".join([AUTO, *ENGINES])}')
    threads = available_cores() if threads is None else threads
    if threads < 1:
        raise ValueError(f'an engine needs at least one thread, found {threads}; give 1 or more')
    options = EngineOptions(threads, precision, progress or _logged_progress())
    failures = []
    for name in ENGINES if kind == AUTO else (kind,):
        try:
            engine = _create(name, bundle, options)
        except (BundleError, EngineCancelled):
            raise
        except Exception as error:  # run-times raise whatever they like
            failures.append(f'{name}: {_reason(name, error)}')
            if kind == AUTO:
                usual = isinstance(error, ModuleNotFoundError | NoDeviceError)
                level = logging.INFO if usual else logging.WARNING
                _log.log(level, 'engine %s skipped: %s', name, _reason(name, error))
        else:
            return engine
    raise EngineError(f'no engine for {bundle.path}: {"; ".join(failures)}')


def _create(name: str, bundle: Bundle, options: EngineOptions) -> Engine:
    entry = ENGINES[name]
    start = perf_counter()
    module = importlib.import_module(f'{__name__}.{entry.module}')
    factory = cast(EngineFactory, getattr(module, entry.factory))
    engine = factory(bundle, options)
    _log.info(
        'engine %s %s on %s runs bundle %s; ready in %.2f s',
        engine.name,
        engine.version,
        engine.device,
        bundle.manifest.name,
        perf_counter() - start,
    )
    return engine


def _logged_progress() -> Progress:
    """Give a ``Progress`` that says every few seconds how far it is: no build is silent."""
    said = perf_counter()

    def progress(phase: str, fraction: float) -> bool:
        nonlocal said
        if perf_counter() - said > PROGRESS_SECONDS:
            said = perf_counter()
            _log.warning('building the engine: %.0f%% (%s)', 100 * fraction, phase)
        return True

    return progress


def _reason(name: str, error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f'{error.name} is not installed ({ENGINES[name].install})'
    sentence = ' '.join(str(error).split())
    return sentence if isinstance(error, EngineError) else f'{type(error).__name__}: {sentence}'
