# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Eight-bit graphs by ONNX Runtime's quantiser.

Weights are signed integers by output channel, biases stay float32. Weights take seven of the
eight bits: x86 processors without VNNI add two products at a time in sixteen bits, which those of
eight bits overflow, and depth would be wrong there. Activations are unsigned with a zero point, so
that rounding to them cuts off what a ReLU would: in signed integers around zero ONNX Runtime
computes each ReLU apart, in float32, and is slower than without quantisation. TensorRT takes such
signed integers only; ``engines.tensorrt.graph`` makes them for it, of the same steps.
"""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QDQQuantizer,
    QuantType,
    TensorsData,
    create_calibrator,
)

from sg_depth_ros.bundle.half_precision import exact_nodes

Feed = Mapping[str, NDArray[Any]]
_MOVING = ('Concat', 'MaxPool')
"""They only move values, so before eight-bit nodes they move eight bits. Resize does not, at
which ONNX Runtime is slower in eight bits than in float32."""
_ACTIVATIONS = ('Clip', 'Relu')
_TYPES = ['Conv', 'Add', *_MOVING, *_ACTIVATIONS]
_KEPT = {'percentile': 99.999, 'num_bins': 4096, 'symmetric': False}
"""Values beyond this share of all, at either end, are cut off: to reach the last of them would
make every step coarser. Depth changes by a third of what it changes with the whole range."""


class _Once(CalibrationDataReader):  # type: ignore[misc]
    """The inputs of one frame, as ONNX Runtime's calibration takes them."""

    def __init__(self, feed: Feed) -> None:
        self._feeds = [feed]

    def get_next(self) -> Feed | None:
        """Give the inputs, then None."""
        return self._feeds.pop() if self._feeds else None


def calibrate(path: Path, feeds: Iterable[Feed], step: Callable[[], None]) -> TensorsData:
    """Give the range of nearly all of every value that may be quantised, over all feeds.

    :param step: called after each
    """
    # The calibrator prints.
    quiet = contextlib.redirect_stdout(io.StringIO())
    with tempfile.TemporaryDirectory() as folder:
        calibrator = create_calibrator(
            path,
            _TYPES,
            augmented_model_path=str(Path(folder) / 'augmented.onnx'),
            calibrate_method=CalibrationMethod.Percentile,
            extra_options=_KEPT,
        )
        fits = any(node.op_type in _TYPES for node in calibrator.model.graph.node)
        for feed in feeds:
            # One by one, as the values of all frames would be kept otherwise.
            if fits:
                with quiet:
                    calibrator.collect_data(_Once(feed))
            step()
        if not fits:
            # It refuses to tell of nothing.
            return TensorsData(CalibrationMethod.Percentile, {})
        with quiet:
            return calibrator.compute_data()


def layer_groups(graph: GraphProto) -> dict[str, list[str]]:
    """Give the names of the convolutions that can be quantised, by part of the network.

    A part is what weights are named alike up to the first number, such as a stage of the encoder.
    Left out are those that :func:`graph_precision.exact_nodes` keeps, and the first one, as its
    input is the normalised image: to make that eight bits again costs more than it saves.
    """
    exact = exact_nodes(graph)
    unfit = {name for index in exact for name in graph.node[index].output}
    weights = {tensor.name for tensor in graph.initializer}
    groups: dict[str, list[str]] = {}
    for index, node in enumerate(graph.node):
        fits = node.op_type == 'Conv' and node.input[1] in weights
        if fits and index not in exact and node.input[0] not in unfit:
            match = re.match(r'(.*?\.\d+)\.', node.input[1])
            name = match[1] if match else node.input[1].removesuffix('.weight')
            groups.setdefault(name.removeprefix('network.'), []).append(node.name)
    return groups


def quantise_graph(
    model: onnx.ModelProto, ranges: TensorsData, layers: Collection[str]
) -> onnx.ModelProto:
    """Give the graph with these convolutions, and what lies between them, in eight bits.

    :param model: float32 graph; it is not changed
    :param ranges: from :func:`calibrate`
    :param layers: names of convolutions; without any the graph stays in float32
    """
    inferred = onnx.shape_inference.infer_shapes(model)
    if not layers:
        return inferred
    quantizer = QDQQuantizer(
        inferred,
        per_channel=True,
        reduce_range=True,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=ranges,
        nodes_to_quantize=sorted(_with_following(inferred.graph, set(layers))),
        nodes_to_exclude=[],
        op_types_to_quantize=_TYPES,
        extra_options={'QuantizeBias': False, 'ForceQuantizeNoInputCheck': True},
    )
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    result: onnx.ModelProto = quantizer.model.model
    spell_out_elu(result.graph)
    del result.graph.value_info[:]
    onnx.checker.check_model(result)
    return result


def spell_out_elu(graph: GraphProto) -> None:
    """Compute Elu(x) as max(x, exp(min(x, 0)) - 1), for which ONNX Runtime takes half of the time.

    A float32 graph keeps the operator, as half precision is made of it: there, the difference
    would have no digits left of a small x.
    """
    nodes: list[NodeProto] = []
    for node in graph.node:
        # In the networks its alpha is 1.
        if node.op_type != 'Elu':
            nodes.append(node)
            continue
        x, y = node.input[0], node.output[0]
        low, power, rest = (f'{y}_{part}' for part in ('low', 'power', 'rest'))
        nodes += [
            helper.make_node('Min', [x, 'elu_zero'], [low], low),
            helper.make_node('Exp', [low], [power], power),
            helper.make_node('Sub', [power, 'elu_one'], [rest], rest),
            helper.make_node('Max', [x, rest], [y], y),
        ]
    if len(nodes) > len(graph.node):
        for name, value in (('elu_zero', 0), ('elu_one', 1)):
            graph.initializer.append(numpy_helper.from_array(np.float32(value), name))
    del graph.node[:]
    graph.node.extend(nodes)


def _with_following(graph: GraphProto, layers: set[str]) -> set[str]:
    """Add the nodes that go on with what quantised ones give, or move what they take."""
    exact = exact_nodes(graph)
    free = [n for i, n in enumerate(graph.node) if i not in exact and n.op_type in _TYPES]
    makers = {name: node.name for node in graph.node for name in node.output}
    takers: dict[str, set[str]] = {}
    for node in free:
        for name in node.input:
            takers.setdefault(name, set()).add(node.name)

    def follows(node: NodeProto) -> bool:
        if node.op_type in _ACTIVATIONS:
            return makers.get(node.input[0]) in nodes
        if node.op_type == 'Add':
            return all(makers.get(name) in nodes for name in node.input)
        return node.op_type in _MOVING and bool(takers.get(node.output[0], set()) & nodes)

    nodes = set(layers)
    while found := {n.name for n in free if n.name not in nodes and follows(n)}:
        nodes |= found
    return nodes
