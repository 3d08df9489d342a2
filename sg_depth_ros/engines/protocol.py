# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every engine offers, and what is the same for all of them."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sg_depth_ros.bundle import Bundle, BundleError
from sg_depth_ros.bundle.manifest import DEPTH, SEGMENTATION

IMAGE = 'image'
LABELS = 'labels'
DEPTH_OUTPUT = 'depth'
FEATURES_PREFIX = 'features_'

Precision = Literal['fp32', 'fp16', 'int8']

Progress: TypeAlias = Callable[[str, float], bool]
"""Told what a slow start is doing and which share of it is done; answers whether to go on."""


class EngineError(RuntimeError):
    """No engine could be made, or it no longer runs; the message says why and what to do."""


class NoDeviceError(EngineError):
    """A run-time is for a device that is not in this machine."""


class EngineCancelled(Exception):
    """The one who wanted the engine does not want it any more."""


class StageSeconds(NamedTuple):
    """Wall-clock seconds that each network took."""

    segmentation: float
    depth: float


@dataclass(frozen=True)
class RawPrediction:
    """What the networks say about one image, at network size.

    ``depth_hw`` (H, W) float32 in units of the training scale for the training focal length;
    ``labels_hw`` (H, W) uint8. Both are views of the engine's buffers: the next call to ``infer``
    overwrites them.
    """

    depth_hw: NDArray[np.float32]
    labels_hw: NDArray[np.uint8]
    seconds: StageSeconds


class Engine(Protocol):
    """One run-time that holds both networks of a bundle, ready to run.

    Both belong to one object so that the guidance features stay where segmentation put them.
    Not for several threads at once.
    """

    @property
    def name(self) -> str:
        """The kind it was created by, such as ``openvino``."""

    @property
    def version(self) -> str:
        """Version of the run-time."""

    @property
    def device(self) -> str:
        """Where it runs, for people to read, such as ``CPU (AMD EPYC, 2 threads)``."""

    def infer(self, image_hw3: NDArray[np.uint8]) -> RawPrediction:
        """Run both networks on an RGB image (H, W, 3) of network size."""

    def close(self) -> None:
        """Free memory and threads; the engine and its views are of no use afterwards."""


@runtime_checkable
class Forkable(Protocol):
    """An engine whose weights several cameras can use at once."""

    def fork(self) -> Engine:
        """Give an engine with the same weights and memory of its own for everything else."""


def go_on(phase: str, fraction: float) -> bool:
    """Be a ``Progress`` that nobody looks at."""
    return True


@dataclass(frozen=True)
class EngineOptions:
    """What the user asks of an engine, whichever it is."""

    threads: int
    """CPU threads at most."""
    precision: Precision | None = None
    """Of an engine that is built; None is the bundle's. Those that run the graphs ignore it."""
    progress: Progress = go_on


class EngineFactory(Protocol):
    """How the registry makes an engine; raises whatever keeps its run-time from working."""

    def __call__(self, bundle: Bundle, options: EngineOptions) -> Engine:
        """Make a bundle's networks ready to run.

        :raises EngineCancelled: when ``options.progress`` has answered so
        """


class TensorSpec(NamedTuple):
    """Element type and static shape of a graph's input or output."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    def empty(self) -> NDArray[Any]:
        """Allocate a buffer for it."""
        return np.empty(self.shape, self.dtype)


def tensor_spec(dtype: DTypeLike, shape: Iterable[object]) -> TensorSpec:
    """Bring a run-time's description of a tensor into one form; dynamic sizes become -1."""
    return TensorSpec(np.dtype(dtype), tuple(n if isinstance(n, int) else -1 for n in shape))


Specs = Mapping[str, TensorSpec]


def check_signature(
    bundle: Bundle, seg_in: Specs, seg_out: Specs, depth_in: Specs, depth_out: Specs
) -> None:
    """Check both graphs against the manifest and each other; raises BundleError.

    Done once, so that a frame needs no checks.
    """
    height, width = bundle.manifest.input.height, bundle.manifest.input.width
    image = tensor_spec(np.uint8, (1, height, width, 3))
    labels = tensor_spec(np.uint8, (1, height, width))
    depth = tensor_spec(np.float32, (1, height, width))
    features = {n: s for n, s in depth_in.items() if n != IMAGE}
    expected: list[tuple[str, str, Specs, Specs]] = [
        (SEGMENTATION, 'inputs', seg_in, {IMAGE: image}),
        (SEGMENTATION, 'outputs', seg_out, {LABELS: labels, **features}),
        (DEPTH, 'inputs', depth_in, {IMAGE: image, **features}),
        (DEPTH, 'outputs', depth_out, {DEPTH_OUTPUT: depth}),
    ]
    for file, what, found, wanted in expected:
        if dict(found) != dict(wanted):
            raise BundleError(
                f'{bundle.path / file} has the {what} {_describe(found)}, expected '
                f'{_describe(wanted)}; export the bundle again'
            )
    strange = [name for name in features if not name.startswith(FEATURES_PREFIX)]
    if strange:
        raise BundleError(
            f'{bundle.path / DEPTH} has the inputs {strange}, expected names that begin with '
            f'{FEATURES_PREFIX}; export the bundle again'
        )


def _describe(specs: Specs) -> str:
    return ', '.join(f'{n} {s.dtype}{list(s.shape)}' for n, s in sorted(specs.items())) or 'none'


def available_cores() -> int:
    """Count the cores that this process may run on, which taskset and containers restrict."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_description(threads: int) -> str:
    """Name the processor and the threads in use."""
    info = Path('/proc/cpuinfo')
    lines = info.read_text().splitlines() if info.is_file() else []
    models = (line.split(':', 1)[1].strip() for line in lines if line.startswith('model name'))
    name = next(models, platform.machine())
    return f'CPU ({name}, {threads} thread{"s" if threads > 1 else ""})'
