# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A bundle's ONNX graphs as TensorRT takes them, in the precision that is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sg_depth_ros.bundle import Bundle
from sg_depth_ros.engines.protocol import IMAGE, EngineError, Precision

RECIPE = 4
"""Counts the changes of what is made here, since cached engines depend on it."""


def check_precision(bundle: Bundle, precision: Precision) -> None:
    """Raise EngineError unless an engine of this precision can be made of a bundle."""
    own = bundle.manifest.precision
    if precision == own or (own, precision) == ('fp32', 'fp16'):
        return
    cure = (
        'make a quantised bundle of it with sg_depth quantize'
        if (own, precision) == ('fp32', 'int8')
        else f'ask for {own}, or take the bundle that it was made of'
    )
    raise EngineError(
        f'an engine in {precision} cannot be made of {bundle.path}, whose graphs are in {own}; '
        f'{cure}'
    )


def prepare_graph(file: Path, halve: bool = False, float_depthwise: bool = False) -> bytes:
    """Give a serialised ONNX model that TensorRT can parse.

    :param halve: whether to make fp16 of a graph in fp32
    :param float_depthwise: whether to compute quantised depthwise convolutions in float, between
        the same eight-bit values
    """
    import onnx

    model = onnx.load(file)
    _cast_images_first(model)
    _cast_labels_from_floats(model)
    if any(node.op_type == 'QuantizeLinear' for node in model.graph.node):
        from sg_depth_ros.bundle.half_precision import signed_integers

        model = signed_integers(model)
        if float_depthwise:
            _float_depthwise(model)
    if halve:
        from sg_depth_ros.bundle.half_precision import half_precision

        model = half_precision(model)
    data: bytes = model.SerializeToString()
    return data


def _cast_images_first(model: Any) -> None:
    """Let a cast be the first that reads a uint8 image: TensorRT does nothing else with one."""
    from onnx import TensorProto, helper

    graph = model.graph
    for image in graph.input:
        readers = [node.op_type for node in graph.node if image.name in node.input]
        if image.type.tensor_type.elem_type != TensorProto.UINT8 or set(readers) == {'Cast'}:
            continue
        values = f'{IMAGE}_values'
        for node in graph.node:
            node.input[:] = [values if name == image.name else name for name in node.input]
        cast = helper.make_node('Cast', [image.name], [values], values, to=TensorProto.FLOAT)
        graph.node.insert(0, cast)
    # They hold the types from before.
    del graph.value_info[:]


def _cast_labels_from_floats(model: Any) -> None:
    """Let uint8 labels be cast from floats: of integers not every TensorRT makes them."""
    from onnx import TensorProto, helper

    graph = model.graph
    labels = {v.name for v in graph.output if v.type.tensor_type.elem_type == TensorProto.UINT8}
    for index, node in reversed(list(enumerate(graph.node))):
        if node.op_type == 'Cast' and node.output[0] in labels:
            values = f'{node.output[0]}_values'
            cast = helper.make_node('Cast', node.input, [values], values, to=TensorProto.FLOAT)
            node.input[0] = values
            graph.node.insert(index, cast)


def _float_depthwise(model: Any) -> None:
    """Give depthwise convolutions their kernels in float, of the values that eight bits had."""
    from onnx import numpy_helper

    graph = model.graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    makers = {node.output[0]: node for node in graph.node}
    for node in list(graph.node):
        if node.op_type != 'Conv':
            continue
        maker = makers.get(node.input[1])
        if maker is None or maker.op_type != 'DequantizeLinear':
            continue
        kernel, scale, zero = (numpy_helper.to_array(tensors[name]) for name in maker.input)
        group = next((a.i for a in node.attribute if a.name == 'group'), 1)
        if group == 1 or kernel.shape[1] != 1:
            continue
        steps = kernel.astype(scale.dtype) - zero.astype(scale.dtype).reshape(-1, 1, 1, 1)
        values = steps * scale.reshape(-1, 1, 1, 1)
        graph.initializer.append(numpy_helper.from_array(values, maker.output[0]))
        graph.node.remove(maker)
    used = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
