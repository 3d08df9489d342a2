# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What engine is to be built of which bundle for which GPU, and whether one still fits."""

from __future__ import annotations

import dataclasses
import platform
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.bags.recorded_images import spread_images
from sg_depth_ros.bundle import Bundle
from sg_depth_ros.engines import ENGINES
from sg_depth_ros.engines.check_images import COUNT
from sg_depth_ros.engines.protocol import EngineError, NoDeviceError, Precision
from sg_depth_ros.engines.tensorrt.cache import EngineKey
from sg_depth_ros.engines.tensorrt.flavour import (
    Capability,
    Flavour,
    Gpu,
    format_capability,
    load_flavour,
    parse_capability,
)
from sg_depth_ros.engines.tensorrt.graph import RECIPE, check_precision

FLAVOURS = ('tensorrt', 'tensorrt_rtx')
"""In the order in which they are taken."""


@dataclasses.dataclass(frozen=True)
class Order:
    """What is to be built, and how it is to be checked."""

    bundle: Bundle
    flavour: Flavour
    precision: Precision
    capability: Capability
    gpu: Gpu | None = None
    """The one it is built for, where that is at hand: only there it can be checked."""
    workspace_mib: int | None = None
    images: Sequence[NDArray[np.uint8]] | None = None
    """Of network size, to check the engine on; None for those of the street."""

    @property
    def key(self) -> EngineKey:
        """What the engine depends on."""
        spec = self.bundle.manifest.input
        # TensorRT-RTX builds for a compute capability, on any machine.
        bound = None if self.flavour.builds_ahead else self.gpu
        return EngineKey(
            bundle=self.bundle.manifest.name,
            digest=self.bundle.digest,
            precision=self.precision,
            size=f'{spec.width}x{spec.height}',
            flavour=self.flavour.name,
            version=self.flavour.version,
            capability=format_capability(self.capability),
            gpu=bound.name if bound else '',
            driver=bound.driver if bound else '',
            platform=f'{sys.platform} {platform.machine()}' if bound else '',
            recipe=RECIPE,
        )

    def __post_init__(self) -> None:
        """Raise EngineError for a precision that cannot be made of the bundle."""
        check_precision(self.bundle, self.precision)

    @property
    def target(self) -> str:
        """What it is built for, for people to read."""
        by_name = self.gpu is not None and not self.flavour.builds_ahead
        capability = f'compute capability {format_capability(self.capability)}'
        return self.gpu.name if self.gpu and by_name else capability


def make_orders(
    bundle: Bundle,
    flavour: str | None = None,
    precision: Precision | None = None,
    capabilities: str = '',
    workspace_mib: int | None = None,
    check_on: Path | None = None,
) -> list[Order]:
    """Give what a user asks for: an engine for the GPU at hand, or one for each of some others.

    :param capabilities: compute capabilities of the others, separated by commas
    :param check_on: a bag or folder of images, by default those of the street
    :raises EngineError: if that cannot be built here, or not of this bundle
    :raises ValueError: if ``capabilities`` are none, or ``check_on`` cannot be read
    """
    targets = [parse_capability(text) for text in capabilities.split(',') if text.strip()]
    gpu, reason = look_for_gpu()
    if targets:
        found = _installed((flavour or 'tensorrt_rtx',))
        if not found.builds_ahead:
            raise EngineError(
                f'{found.name} builds for the GPU at hand alone; leave the compute capability '
                'out, or build with tensorrt_rtx'
            )
    elif gpu is None:
        raise EngineError(
            f'{reason}; give --compute-capability to build for another machine with TensorRT-RTX'
        )
    else:
        found, targets = _installed((flavour,) if flavour else FLAVOURS), [gpu.capability]

    # Building takes a while: images that cannot be read must fail before.
    spec = bundle.manifest.input
    images = list(spread_images(check_on, COUNT, spec.width, spec.height)) if check_on else None
    return [
        Order(
            bundle,
            found,
            precision or bundle.manifest.precision,
            target,
            gpu if gpu and gpu.capability == target else None,
            workspace_mib,
            images,
        )
        for target in targets
    ]


def staleness(key: EngineKey) -> str:
    """Say why nothing on this machine can use an engine any more; empty if something may."""
    if key.recipe != RECIPE:
        return 'stale: made by another version of sg_depth_ros'
    try:
        here = load_flavour(key.flavour)
    except ImportError:
        return ''  # perhaps in another environment
    except EngineError as error:
        return f'stale: {error}'
    if here.version != key.version:
        return f'stale: {here.name} is {here.version} now'
    gpu, _ = look_for_gpu()
    if key.gpu and gpu and (gpu.name, gpu.driver) != (key.gpu, key.driver):
        return f'stale: the GPU is {gpu.name}, driver {gpu.driver}, now'
    return ''


def look_for_gpu() -> tuple[Gpu | None, str]:
    """Give the GPU at hand, or None and why there is none.

    Engines are listed, and built for other machines, without CUDA's packages too.
    """
    try:
        from sg_depth_ros.engines.tensorrt.gpu import find_gpu
    except ImportError:
        return None, 'cannot look for a GPU, as cuda-python is not installed'
    try:
        return find_gpu(), ''
    except NoDeviceError as error:
        return None, str(error)


def _installed(names: Iterable[str]) -> Flavour:
    """Give the first of some flavours that is installed; raises EngineError."""
    failures = []
    for name in names:
        try:
            return load_flavour(name)
        except ImportError as error:
            failures.append(f'{error} ({ENGINES[name].install})')
    raise EngineError(f'no TensorRT to build with: {"; ".join(failures)}')
