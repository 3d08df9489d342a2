# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a bundle to a TensorRT engine: out of the cache, or built, checked and put there."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.bundle import Bundle
from sg_depth_ros.engines.check_images import street_images
from sg_depth_ros.engines.comparison import Comparison, require_agreement
from sg_depth_ros.engines.protocol import (
    Engine,
    EngineCancelled,
    EngineOptions,
    Progress,
    available_cores,
    go_on,
)
from sg_depth_ros.engines.tensorrt.builder import Plan, build_plan
from sg_depth_ros.engines.tensorrt.cache import NOT_CHECKED, EngineCache, Entry
from sg_depth_ros.engines.tensorrt.flavour import Gpu, load_flavour
from sg_depth_ros.engines.tensorrt.graph import prepare_graph
from sg_depth_ros.engines.tensorrt.orders import Order
from sg_depth_ros.engines.tensorrt.precision import (
    check_eight_bits,
    format_shares,
    precision_shares,
)

_log = logging.getLogger(__name__)


def open_tensorrt(bundle: Bundle, options: EngineOptions) -> Engine:
    """Be the registry's ``EngineFactory`` for TensorRT."""
    return _open('tensorrt', bundle, options)


def open_tensorrt_rtx(bundle: Bundle, options: EngineOptions) -> Engine:
    """Be the registry's ``EngineFactory`` for TensorRT-RTX."""
    return _open('tensorrt_rtx', bundle, options)


def _open(name: str, bundle: Bundle, options: EngineOptions) -> Engine:
    # Here, as building for other machines does without CUDA.
    from sg_depth_ros.engines.tensorrt.gpu import find_gpu

    gpu = find_gpu()  # before TensorRT, whose libraries take a while to load
    flavour = load_flavour(name)
    precision = options.precision or bundle.manifest.precision
    order = Order(bundle, flavour, precision, gpu.capability, gpu)
    entry = obtain(order, EngineCache(), options.progress)
    return _run(order, gpu, entry)


def obtain(order: Order, cache: EngineCache, progress: Progress = go_on) -> Entry:
    """Give a built engine, out of the cache if it is there.

    One that was built where no GPU could check it is checked where there is one, and so is one
    whose order brings images of its own.

    :raises EngineError: if it cannot be built, or answers otherwise than ONNX Runtime; then it is
        not kept
    :raises EngineCancelled: when ``progress`` has answered so
    """

    def make() -> Entry:
        return _checked(order, build(order, progress), progress)

    def review(found: Entry) -> Entry:
        if order.workspace_mib is not None:  # the one that is there may have had another
            return make()
        wanted = found.check == NOT_CHECKED or order.images is not None
        return _checked(order, found, progress) if wanted else found

    return cache.get(order.key, make, progress, review)


def build(order: Order, progress: Progress = go_on) -> Entry:
    """Build both networks; raises EngineError and EngineCancelled."""
    bundle, start = order.bundle, perf_counter()

    def plan(network: str, file: Path, half: int) -> Plan:
        def report(phase: str, fraction: float) -> bool:
            return progress(f'{network}: {phase}', (half + fraction) / 2)

        if not report('reading the graph', 0.0):
            raise EngineCancelled('the build was stopped')
        return build_plan(
            order.flavour,
            prepare_graph(file, halve=order.precision != bundle.manifest.precision),
            order.precision,
            report,
            order.capability,
            order.workspace_mib,
        )

    segmentation = plan('segmentation', bundle.segmentation_onnx, 0)
    depth = plan('depth', bundle.depth_onnx, 1)
    products = (*segmentation.products, *depth.products)
    if order.precision == 'int8':
        check_eight_bits(products)
    _log.info(
        'built an engine of %s in %.1f s; multiply-adds: %s',
        bundle.manifest.name,
        perf_counter() - start,
        format_shares(precision_shares(products)),
    )
    return Entry(order.key, segmentation.data, depth.data, products=products)


def check(
    order: Order, gpu: Gpu, entry: Entry, reference: Engine, progress: Progress
) -> Comparison:
    """Run a built engine beside a reference; raises EngineError where it answers otherwise."""
    spec = order.bundle.manifest.input
    engine = _run(order, gpu, entry)

    def images() -> Iterable[NDArray[np.uint8]]:
        for image in order.images or street_images(spec.width, spec.height):
            if not progress('checking against ONNX Runtime', 1.0):
                raise EngineCancelled('the check was stopped')
            yield image

    try:
        return require_agreement(engine, reference, images(), order.precision)
    finally:
        engine.close()


def _checked(order: Order, entry: Entry, progress: Progress) -> Entry:
    """Check an engine where there is a GPU for it, and note the outcome."""
    if order.gpu is None:
        return entry
    from sg_depth_ros.engines.onnxruntime import OnnxRuntimeEngine

    reference = OnnxRuntimeEngine(order.bundle, EngineOptions(available_cores()))
    try:
        comparison = check(order, order.gpu, entry, reference, progress)
    finally:
        reference.close()
    _log.info('checked against ONNX Runtime: %s', comparison)
    return dataclasses.replace(entry, check=str(comparison))


def _run(order: Order, gpu: Gpu, entry: Entry) -> Engine:
    from sg_depth_ros.engines.tensorrt.engine import Networks, TensorRtEngine

    return TensorRtEngine(
        Networks(order.flavour, gpu, order.bundle, entry.segmentation, entry.depth)
    )
