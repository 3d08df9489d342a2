# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""That a network computes in the precision that it was asked for, found before it is built.

TensorRT keeps strictly to the types of a strongly typed network, so what holds for the network
holds for the engine.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from sg_depth_ros.engines.protocol import EngineError, Precision

MIN_SHARE: dict[Precision, float] = {'fp32': 1.0, 'fp16': 0.9, 'int8': 0.0}
"""Least share of the multiply-adds that must be in the precision; the rest is in fp32. What bears
no eight bits is found when a bundle is quantised, and may be one of its networks as a whole."""
_TYPE_NAMES = {'FLOAT': 'fp32', 'HALF': 'fp16', 'INT8': 'int8'}


def check_types(trt: Any, network: Any, precision: Precision) -> None:
    """Raise EngineError if a parsed network does not compute in a precision.

    So many multiply-adds must be in it as MIN_SHARE says and all others in fp32; values that are
    quantised must be for some of them; and exponentials, those of PAC, must be in fp32: their
    arguments reach far beyond fp16.
    """
    shares = precision_shares(trt, network)
    found = ', '.join(f'{part:.1%} in {name}' for name, part in sorted(shares.items()))
    if shares and (
        shares.get(precision, 0.0) < MIN_SHARE[precision]
        or not shares.keys() <= {precision, 'fp32'}
    ):
        raise EngineError(
            f'a network to be computed in {precision} does its multiply-adds {found}, expected at '
            f'least {MIN_SHARE[precision]:.0%} in {precision} and the rest in fp32; make its '
            'bundle again'
        )
    quantises = any(layer.type == trt.LayerType.QUANTIZE for layer in _layers(network))
    if quantises and 'int8' not in shares:
        raise EngineError(
            f'a network has quantised values, yet does its multiply-adds {found}, expected some '
            'in int8; make its bundle again'
        )
    low = sorted(
        layer.name
        for layer in _layers(network)
        if layer.type == trt.LayerType.UNARY
        and _typed(trt, layer, 'IUnaryLayer').op == trt.UnaryOperation.EXP
        and layer.get_output(0).dtype != trt.DataType.FLOAT
    )
    if low:
        raise EngineError(
            f'a network computes the exponentials {", ".join(low)} in less than fp32, where they '
            'overflow; make its bundle again'
        )


def precision_shares(trt: Any, network: Any) -> dict[str, float]:
    """Give the share of the multiply-adds of a network by the precision they are done in."""
    layers = list(_layers(network))
    producers = {layer.get_output(i).name: layer for layer in layers for i in _outputs(layer)}
    counts: Counter[str] = Counter()
    for layer in layers:
        count = _multiply_adds(trt, layer)
        if not count:
            continue
        source = layer.get_input(0)
        producer = producers.get(source.name)
        quantised = producer is not None and producer.type == trt.LayerType.DEQUANTIZE
        name = 'int8' if quantised else _TYPE_NAMES.get(source.dtype.name, source.dtype.name)
        counts[name] += count
    total = counts.total()
    return {name: count / total for name, count in counts.items()}


def _multiply_adds(trt: Any, layer: Any) -> int:
    """Count those of a convolution or matrix product; others are not worth it."""
    kind, output = layer.type, layer.get_output(0)
    if kind in (trt.LayerType.CONVOLUTION, trt.LayerType.DECONVOLUTION):
        deconvolution = kind == trt.LayerType.DECONVOLUTION
        typed = _typed(trt, layer, f'I{"Deconvolution" if deconvolution else "Convolution"}Layer')
        # Each value of the smaller side meets the kernel once for each channel of the other.
        side = layer.get_input(0) if deconvolution else output
        other = output if deconvolution else layer.get_input(0)
        taps = int(trt.volume(typed.kernel_size_nd))
        return int(trt.volume(side.shape)) * taps * int(other.shape[1]) // int(typed.num_groups)
    if kind == trt.LayerType.MATRIX_MULTIPLY:
        product = _typed(trt, layer, 'IMatrixMultiplyLayer')
        rows = -2 if product.op0 == trt.MatrixOperation.TRANSPOSE else -1
        return int(trt.volume(output.shape)) * int(layer.get_input(0).shape[rows])
    return 0


def _typed(trt: Any, layer: Any, name: str) -> Any:
    """Let Python see a layer as what it is: the network gives out its base class."""
    layer.__class__ = getattr(trt, name)
    return layer


def _layers(network: Any) -> Any:
    return (network.get_layer(i) for i in range(network.num_layers))


def _outputs(layer: Any) -> range:
    return range(layer.num_outputs)
