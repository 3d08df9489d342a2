# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The TensorRT that is installed: ``tensorrt`` 10 and 11 and ``tensorrt_rtx`` behind one face.

Their Python modules have the same classes. What differs: TensorRT measures on the GPU at hand and
builds for that one alone; TensorRT-RTX builds for a compute capability, without any GPU, and
leaves the rest to a compiler that runs with the engine.
"""

from __future__ import annotations

import importlib
import logging
from dataclasses import dataclass
from typing import Any, NamedTuple

from sg_depth_ros.engines.protocol import EngineError
from sg_depth_ros.engines.tensorrt.layers import HEADING

Capability = tuple[int, int]
"""Compute capability of a GPU, such as (8, 9)."""

_OLDEST = 10
_log = logging.getLogger(__name__)


class Gpu(NamedTuple):
    """The first GPU that this process may use; CUDA_VISIBLE_DEVICES chooses another one."""

    name: str
    capability: Capability
    driver: str


@dataclass(frozen=True)
class Flavour:
    """One of the modules, and what it can do."""

    name: str
    version: str
    trt: Any
    """The module itself."""

    @property
    def builds_ahead(self) -> bool:
        """Whether it builds for GPUs that are not at hand."""
        return self.name == 'tensorrt_rtx'

    @property
    def capabilities(self) -> dict[Capability, Any]:
        """The compute capabilities that it can build for, with its names for them."""
        members = self.trt.ComputeCapability.__members__ if self.builds_ahead else {}
        return {
            parse_capability(f'{name[2:-1]}.{name[-1]}'): value
            for name, value in members.items()
            if name.startswith('SM')
        }


def load_flavour(name: str) -> Flavour:
    """Import ``tensorrt`` or ``tensorrt_rtx``.

    :raises ImportError: if it is not installed, or lacks its libraries
    :raises EngineError: if it is too old
    """
    try:
        trt = importlib.import_module(name)
    except OSError as error:  # what loads its libraries
        raise ImportError(f'{name} cannot load its libraries: {error}', name=name) from error
    version: str = getattr(trt, '__version__', '')
    if not version:  # a folder of that name, such as the type stubs that tensorrt-stubs installs
        raise ModuleNotFoundError(f'No module named {name!r}', name=name)
    if name == 'tensorrt' and int(version.partition('.')[0]) < _OLDEST:
        raise EngineError(f'found TensorRT {version}, expected {_OLDEST} or later; update it')
    return Flavour(name, version, trt)


def parse_capability(text: str) -> Capability:
    """Read a compute capability such as ``8.9``; raises ValueError."""
    major, dot, minor = text.strip().partition('.')
    if not (dot and major.isdigit() and minor.isdigit()):
        raise ValueError(f'a compute capability is a number such as 8.9, found {text!r}')
    return int(major), int(minor)


def format_capability(capability: Capability) -> str:
    """Write a compute capability as NVIDIA does: ``8.9``."""
    return '.'.join(map(str, capability))


def make_logger(trt: Any) -> Any:
    """Give a TensorRT logger that passes messages on to Python's logging.

    Its ``errors`` are a list of the sentences of what went wrong, its ``layers`` what a builder
    has written of an engine's layers.
    """

    class Messages(trt.ILogger):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.errors: list[str] = []
            self.layers = ''

        def log(self, severity: Any, message: str) -> None:
            sentence = ' '.join(message.split())
            if severity in (self.Severity.INTERNAL_ERROR, self.Severity.ERROR):
                self.errors.append(sentence)
            if message.startswith(HEADING):
                self.layers = message
            # The caller raises an error of these; TensorRT's chatter is for debugging.
            _log.debug('%s: %s', severity.name, sentence)

    return Messages()
