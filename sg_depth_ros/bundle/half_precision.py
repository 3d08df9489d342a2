# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Half precision inside a bundle's graphs, for run-times that compute in the types they are given.

``onnxruntime.transformers.float16`` sets casts around every single node that is to stay exact, so
that values are rounded between two of them all the same. What has to stay exact here are chains
of nodes, hence a pass of our own, which casts only where the precision changes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
import onnx
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

_PRODUCTS = frozenset(('Conv', 'ConvTranspose', 'Gemm', 'MatMul'))
_STATISTICS = frozenset(
    (
        'BatchNormalization',
        'GroupNormalization',
        'InstanceNormalization',
        'LayerNormalization',
        'ReduceMean',
        'Softmax',
    )
)
_ALWAYS_FLOAT = {'Resize': (1, 2)}
"""Inputs that are float32 whatever the others are: Resize's region and scales."""


def half_precision(model: onnx.ModelProto) -> onnx.ModelProto:
    """Give a graph that computes in float16 what does not need float32.

    In float32 stay inputs and outputs, the normalisation of the image (what precedes the first
    convolution), normalisation layers for their statistics, PAC's kernel (an exponential and all
    that it is made of, the guidance features alone), and the head from its convolution on: half
    precision of a logit of -5, which is depth of 13 m, would cost 0.2 % of depth by itself.

    :param model: a float32 graph of static shapes, as bundles hold; it is not changed
    :raises ValueError: if the graph has float16 in it already, or a weight too large for it
    """
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    types = {
        value.name: value.type.tensor_type.elem_type
        for value in (*inferred.input, *inferred.value_info, *inferred.output)
    }
    weights = {tensor.name: tensor for tensor in inferred.initializer}
    types |= {name: tensor.data_type for name, tensor in weights.items()}
    if TensorProto.FLOAT16 in types.values():
        raise ValueError(
            'the graph computes in half precision already; take the one in float32 that it was '
            'made of'
        )
    exact = exact_nodes(inferred)
    caster = _Caster(types, weights, {value.name for value in inferred.output})
    for index, node in enumerate(inferred.node):
        caster.add(node, TensorProto.FLOAT if index in exact else TensorProto.FLOAT16)
    used = {name for node in caster.nodes for name in node.input}
    kept = [tensor for name, tensor in weights.items() if name in used]
    graph = helper.make_graph(
        caster.nodes, inferred.name, inferred.input, inferred.output, kept, inferred.doc_string
    )
    result = helper.make_model(graph, opset_imports=model.opset_import)
    result.ir_version, result.producer_name = model.ir_version, model.producer_name
    onnx.checker.check_model(result)
    return result


def exact_nodes(graph: GraphProto) -> set[int]:
    """Give the indices of the nodes that are to stay in float32."""
    nodes = list(graph.node)
    exact = {i for i, node in enumerate(nodes) if node.op_type in _STATISTICS}
    from_image = {v.name for v in graph.input if v.type.tensor_type.elem_type == TensorProto.UINT8}
    for index, node in enumerate(nodes):
        if node.op_type not in _PRODUCTS and from_image.intersection(node.input):
            from_image.update(node.output)
            exact.add(index)
    # An exponential of a minimum is half of an activation, see ``quantization.graph``.
    makers = {name: node.op_type for node in nodes for name in node.output}
    kernels = [
        node.output[0]
        for node in nodes
        if node.op_type == 'Exp' and makers.get(node.input[0]) != 'Min'
    ]
    exact |= _ancestors(nodes, kernels)
    for output in graph.output:
        head = _ancestors(nodes, [output.name], last=_PRODUCTS)
        if any(nodes[index].op_type == 'Sigmoid' for index in head):
            exact |= head
    return exact


def _ancestors(
    nodes: list[NodeProto], names: Iterable[str], last: Collection[str] = ()
) -> set[int]:
    """Give the nodes that make these values, back to the first ones of the types ``last``."""
    wanted, found = set(names), set()
    for index in reversed(range(len(nodes))):
        if wanted.intersection(nodes[index].output):
            found.add(index)
            if nodes[index].op_type not in last:
                wanted.update(nodes[index].input)
    return found


class _Caster:
    """Copies nodes in order, each in its precision, and casts what they take in the other."""

    def __init__(
        self, types: dict[str, int], weights: dict[str, TensorProto], outputs: set[str]
    ) -> None:
        """Start with the float32 graph's types and weights, to which those in half are added."""
        self.nodes: list[NodeProto] = []
        self._weights, self._outputs = weights, outputs
        self._floats = {name for name, kind in types.items() if kind == TensorProto.FLOAT}
        # By the name of a value in the float32 graph and its precision here.
        self._names: dict[tuple[str, int], str] = {
            (name, TensorProto.FLOAT): name for name in self._floats
        }

    def add(self, node: NodeProto, precision: int) -> None:
        """Append a node that is to compute in this precision."""
        copy = NodeProto()
        copy.CopyFrom(node)
        for index, name in enumerate(node.input):
            if name in self._floats:
                always = index in _ALWAYS_FLOAT.get(node.op_type, ())
                copy.input[index] = self._as(name, TensorProto.FLOAT if always else precision)
        if precision == TensorProto.FLOAT16:
            for attribute in copy.attribute:
                if node.op_type == 'Cast' and attribute.i == TensorProto.FLOAT:
                    attribute.i = precision
                if attribute.HasField('t') and attribute.t.data_type == TensorProto.FLOAT:
                    attribute.t.CopyFrom(_half(attribute.t, attribute.t.name))
        self.nodes.append(copy)
        for index, name in enumerate(node.output):
            if name in self._floats and precision == TensorProto.FLOAT16:
                copy.output[index] = f'{name}_half'
                self._names[name, precision] = f'{name}_half'
                del self._names[name, TensorProto.FLOAT]
                if name in self._outputs:
                    self._as(name, TensorProto.FLOAT)

    def _as(self, name: str, precision: int) -> str:
        """Give the name of a value in this precision, of which there is one cast at most."""
        if (name, precision) not in self._names:
            if name in self._weights:
                target = f'{name}_half'
                self._weights[target] = _half(self._weights[name], target)
            else:
                is_float = precision == TensorProto.FLOAT
                target = name if is_float else f'{name}_half'
                source = self._names[name, TensorProto.FLOAT16 if is_float else TensorProto.FLOAT]
                self.nodes.append(
                    helper.make_node('Cast', [source], [target], f'{target}_cast', to=precision)
                )
            self._names[name, precision] = target
        return self._names[name, precision]


def _half(tensor: TensorProto, name: str) -> TensorProto:
    with np.errstate(over='ignore'):
        values = numpy_helper.to_array(tensor).astype(np.float16)
    if not np.isfinite(values).all():
        largest = np.abs(numpy_helper.to_array(tensor)).max()
        raise ValueError(
            f'the weight {tensor.name} reaches {largest:g}, half precision ends at 65504; keep '
            f'this network in float32'
        )
    return numpy_helper.from_array(values, name)
