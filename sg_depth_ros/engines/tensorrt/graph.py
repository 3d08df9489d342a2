# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A bundle's ONNX graphs as TensorRT takes them, in the precision that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sg_depth_ros.bundle import Bundle
from sg_depth_ros.engines.protocol import IMAGE, EngineError, Precision

RECIPE = 5
"""Counts the changes of what is made here, since cached engines depend on it."""
_MIDDLE = 128
_NEAR_MIDDLE = 32
"""A zero point so near to the middle is moved there: steps become wider by a third at most."""


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


def prepare_graph(file: Path, halve: bool = False) -> bytes:
    """Give a serialised ONNX model that TensorRT can parse.

    :param halve: whether to make fp16 of a graph in fp32
    """
    import onnx

    model = onnx.load(file)
    _cast_images_first(model)
    _cast_labels_from_floats(model)
    if any(node.op_type == 'QuantizeLinear' for node in model.graph.node):
        _float_depthwise(model)
        _sign_integers(model)
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
        maker = _dequantised_kernel(node, makers)
        if maker is None:
            continue
        kernel = numpy_helper.to_array(tensors[maker.input[0]])
        if _attribute(node, 'group', 1) > 1 and kernel.shape[1] == 1:
            values = _floats(maker, tensors)
            graph.initializer.append(numpy_helper.from_array(values, maker.output[0]))
            graph.node.remove(maker)


def _sign_integers(model: Any) -> None:
    """Make eight-bit values signed and around zero, as TensorRT takes no others.

    Unsigned ones with a zero point far from the middle would lose up to half of their steps,
    which moves depth by 8 %. They are shifted by a constant instead, so that the steps stay the
    same; the sum of a kernel times the constant goes into the bias of its convolution. Where that
    one pads with zeros, the values are padded before they are shifted.
    """
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in dict.fromkeys(node.input):
            readers.setdefault(name, []).append(node)
    kept = {value.name for value in graph.output}
    nodes: list[Any] = []
    sources: dict[str, str] = {}
    """What is quantised, by the name of what it becomes."""

    def constant(name: str, value: Any) -> str:
        if name not in tensors:
            tensors[name] = numpy_helper.from_array(np.array(value), name)
            graph.initializer.append(tensors[name])
        return name

    def add(kind: str, inputs: Sequence[str], output: str) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], output))
        return output

    for node in graph.node:
        point = tensors.get(node.input[2]) if len(node.input) > 2 else None
        quantises = node.op_type in ('QuantizeLinear', 'DequantizeLinear')
        if point is None or point.data_type != TensorProto.UINT8 or not quantises:
            nodes.append(node)
            continue
        scale = numpy_helper.to_array(tensors[node.input[1]])
        zero = int(numpy_helper.to_array(point))
        name, none = node.input[1], constant(f'{node.input[1]}_no_zero', np.int8(0))
        low, high = (scale * np.float32(level - zero) for level in (0, 255))
        if abs(_MIDDLE - zero) <= _NEAR_MIDDLE:
            wider = name
            if zero != _MIDDLE:
                wider = constant(f'{name}_signed', max(-low, high) / np.float32(127))
            if node.op_type == 'QuantizeLinear':
                ends = [constant(f'{name}_low', low), constant(f'{name}_high', high)]
                node.input[0] = add('Clip', [node.input[0], *ends], f'{node.output[0]}_clipped')
            node.input[1], node.input[2] = wider, none
            nodes.append(node)
            continue
        shift = scale * np.float32(_MIDDLE - zero)
        offset = constant(f'{name}_offset', shift)
        if node.op_type == 'QuantizeLinear':
            sources[node.output[0]] = node.input[0]
            node.input[0] = add('Sub', [node.input[0], offset], f'{node.output[0]}_shifted')
            node.input[2] = none
            nodes.append(node)
            continue
        node.input[2] = none
        value, shifted = node.output[0], f'{node.output[0]}_shifted'
        node.output[0] = shifted
        nodes.append(node)
        rest = value in kept
        for reader in readers.get(value, ()):
            kernel = _dequantised_kernel(reader, makers)
            pads = list(_attribute(reader, 'pads', ()))
            padding = _attribute(reader, 'auto_pad', b'NOTSET')
            if kernel is None or reader.input[0] != value or padding != b'NOTSET':
                rest = True
                continue
            values = _floats(kernel, tensors)
            sums = values.sum(tuple(range(1, values.ndim))) * shift
            bias = reader.input[2] if len(reader.input) > 2 else ''
            if bias:
                sums = sums + numpy_helper.to_array(tensors[bias])
            moved = constant(f'{reader.output[0]}_bias', sums.astype(scale.dtype))
            reader.input[:] = [shifted, reader.input[1], moved]
            if any(pads):
                half = len(pads) // 2
                around = [0, 0, *pads[:half], 0, 0, *pads[half:]]
                source = sources[node.input[0]]
                padded = f'{reader.output[0]}_padded'
                widths = constant(f'{padded}_widths', np.array(around, np.int64))
                add('Pad', [source, widths, constant('no_padding', scale.dtype.type(0))], padded)
                add('Sub', [padded, offset], f'{padded}_shifted')
                add('QuantizeLinear', [f'{padded}_shifted', name, none], f'{padded}_quantised')
                add('DequantizeLinear', [f'{padded}_quantised', name, none], f'{padded}_values')
                reader.input[0] = f'{padded}_values'
                for attribute in reader.attribute:
                    if attribute.name == 'pads':
                        attribute.ints[:] = [0] * len(pads)
        if rest:
            add('Add', [shifted, offset], value)
    alive = _alive(nodes, kept)
    used = {name for node in alive for name in node.input}
    weights = [tensor for tensor in graph.initializer if tensor.name in used]
    changed = helper.make_graph(alive, graph.name, graph.input, graph.output, weights)
    graph.CopyFrom(changed)
    onnx.checker.check_model(model)


def _dequantised_kernel(node: Any, makers: dict[str, Any]) -> Any:
    """Give the node that makes a convolution's kernel of integers, or None."""
    maker = makers.get(node.input[1]) if node.op_type == 'Conv' else None
    return maker if maker is not None and maker.op_type == 'DequantizeLinear' else None


def _floats(maker: Any, tensors: dict[str, Any]) -> Any:
    """Compute what a node makes of a kernel in integers."""
    from onnx import numpy_helper

    kernel, scale, zero = (numpy_helper.to_array(tensors[name]) for name in maker.input)
    # One scale for each output channel, whatever the dimensions of the convolution.
    by_channel = (-1, *[1] * (kernel.ndim - 1))
    steps = kernel.astype(scale.dtype) - zero.astype(scale.dtype).reshape(by_channel)
    return steps * scale.reshape(by_channel)


def _attribute(node: Any, name: str, usual: Any) -> Any:
    from onnx import helper

    found = (helper.get_attribute_value(a) for a in node.attribute if a.name == name)
    return next(found, usual)


def _alive(nodes: list[Any], wanted: set[str]) -> list[Any]:
    """Leave out what nothing needs."""
    needed, found = set(wanted), []
    for node in reversed(nodes):
        if needed.intersection(node.output):
            needed.update(node.input)
            found.append(node)
    return found[::-1]
