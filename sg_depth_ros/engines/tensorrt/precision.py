# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""That a network computes in the precision that it was asked for, found before it is built.

TensorRT keeps strictly to the types of a strongly typed network: it computes nothing in fewer
bits. What it makes of quantised values is found in the engine, see ``layers``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from sg_depth_ros.engines.protocol import EngineError, Precision

MIN_SHARE: dict[Precision, float] = {'fp32': 1.0, 'fp16': 0.9, 'int8': 0.0}
"""Least share of a network's multiply-adds that must be in the precision; the rest is in fp32.
What bears no eight bits is found when a bundle is quantised, and may be one of its networks as a
whole."""
MIN_EIGHT_BITS = 0.5
"""Least share of the multiply-adds of both networks that an engine in int8 does in int8."""
_TYPE_NAMES = {'FLOAT': 'fp32', 'HALF': 'fp16', 'INT8': 'int8'}


class Product(NamedTuple):
    """A convolution or matrix product; other layers do next to nothing."""

    name: str
    """TensorRT's words for the nodes of the ONNX graph that it comes from."""
    precision: str
    multiply_adds: int


def check_types(trt: Any, network: Any, precision: Precision) -> None:
    """Raise EngineError if a parsed network does not compute in a precision.

    So many multiply-adds must be in it as MIN_SHARE says and all others in fp32; values that are
    quantised must be for some of them; and exponentials, those of PAC, must be in fp32: their
    arguments reach far beyond fp16.
    """
    shares = precision_shares(find_products(trt, network))
    found = format_shares(shares)
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


def check_eight_bits(products: Iterable[Product]) -> None:
    """Raise EngineError if an engine in int8, both networks of it, is mostly something else."""
    shares = precision_shares(products)
    if shares.get('int8', 0.0) < MIN_EIGHT_BITS:
        raise EngineError(
            f'an engine to be computed in int8 does its multiply-adds {format_shares(shares)}, '
            f'expected at least {MIN_EIGHT_BITS:.0%} in int8; quantise the bundle again with a '
            'larger --max-loss, or take the one in float32 that it was made of'
        )


def find_products(trt: Any, network: Any) -> list[Product]:
    """Give what a parsed network multiplies, each with the precision that its types ask for."""
    layers = list(_layers(network))
    makers = {
        layer.get_output(i).name: layer for layer in layers for i in range(layer.num_outputs)
    }
    products = []
    for layer in layers:
        count = _multiply_adds(trt, layer)
        if not count:
            continue
        sources = [layer.get_input(i) for i in range(layer.num_inputs)][:2]
        found = [makers.get(source.name) for source in sources]
        # A kernel in float is no input but part of the layer.
        quantised = len(found) == 2 and all(
            maker is not None and maker.type == trt.LayerType.DEQUANTIZE for maker in found
        )
        kind = sources[0].dtype.name
        name = 'int8' if quantised else _TYPE_NAMES.get(kind, kind)
        products.append(Product(layer.metadata or layer.name, name, count))
    return products


def precision_shares(products: Iterable[Product]) -> dict[str, float]:
    """Give the share of the multiply-adds by the precision they are done in."""
    counts: Counter[str] = Counter()
    for product in products:
        counts[product.precision] += product.multiply_adds
    total = sum(counts.values())
    return {name: count / total for name, count in counts.items()}


def format_shares(shares: dict[str, float]) -> str:
    """Write shares as ``90.0% in int8, 10.0% in fp32``, the largest first."""
    ordered = sorted(shares.items(), key=lambda item: (-item[1], item[0]))
    return ', '.join(f'{part:.1%} in {name}' for name, part in ordered) or 'none'


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


def _layers(network: Any) -> Iterator[Any]:
    return (network.get_layer(i) for i in range(network.num_layers))
