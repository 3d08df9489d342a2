# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from formula import manifest_fields
from numpy.typing import NDArray

from sg_depth_ros.bundle import Bundle, write_bundle
from sg_depth_ros.engines import create_engine

onnx = pytest.importorskip('onnx')

from onnx import TensorProto, numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

from sg_depth_ros.bundle.half_precision import half_precision  # noqa: E402

KERNEL = """
<ir_version: 8, opset_import: ["": 18]>
kernel (uint8[1,4,4,1] image, float[1,1,4,4] features_4)
  => (float[1,1,4,4] k, float[1,1,4,4] weighed)
<float[1,1,1,1] weight = {3}, float[1] factor = {-0.5}, float[1] shift = {0.25}, int64[1] axis={1}>
{
  moved = Add(features_4, shift)
  difference = Sub(features_4, moved)
  two = Constant<value_float: float = 2.0>()
  square = Pow(difference, two)
  sum = ReduceSum<keepdims: int = 1>(square, axis)
  exponent = Mul(sum, factor)
  k = Exp(exponent)
  values = Cast<to: int = 1>(image)
  planes = Transpose<perm: ints = [0, 3, 1, 2]>(values)
  x = Conv(planes, weight)
  weighed = Mul(x, k)
}
"""
HEAD = """
<ir_version: 8, opset_import: ["": 18]>
head (uint8[1,4,4,1] image) => (float[1,1,4,4] features_4, float[1,1,4,4] depth)
<float[1,1,1,1] first = {0.01171875}, float[1,1,1,1] last = {-5.0009765625}>
{
  values = Cast<to: int = 1>(image)
  planes = Transpose<perm: ints = [0, 3, 1, 2]>(values)
  features_4 = Conv(planes, first)
  x = Relu(features_4)
  logits = Conv(x, last)
  inverse = Sigmoid(logits)
  depth = Reciprocal(inverse)
}
"""
NORM = """
<ir_version: 8, opset_import: ["": 18]>
norm (uint8[1,4,4,1] image) => (float[1,1,8,8] out)
<float[1,1,1,1] weight = {0.5}, float[1] scale = {1}, float[1] bias = {0.5},
 float[4] scales = {1, 1, 2, 2}>
{
  values = Cast<to: int = 1>(image)
  planes = Transpose<perm: ints = [0, 3, 1, 2]>(values)
  x = Conv(planes, weight)
  normal = InstanceNormalization(x, scale, bias)
  active = Elu(normal)
  out = Resize<mode: string = "nearest">(active, , scales)
}
"""


def types(model: Any) -> dict[str, int]:
    """Element types of all values of a graph."""
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    values = (*graph.input, *graph.value_info, *graph.output)
    return {v.name: v.type.tensor_type.elem_type for v in values} | {
        tensor.name: tensor.data_type for tensor in graph.initializer
    }


def run(model: Any, **inputs: NDArray[Any]) -> list[NDArray[Any]]:
    """Compute in the types of the graph, which run-times on a CPU replace by float32."""
    outputs: list[NDArray[Any]] = ReferenceEvaluator(model).run(None, inputs)
    return outputs


IMAGE = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1) * 16


def test_the_kernel_of_guidance_is_exact() -> None:
    half = half_precision(onnx.parser.parse_model(KERNEL))
    # Half precision knows no quarter here, nor a square of 1/16 beside it.
    features = np.full((1, 1, 4, 4), 1500.125, np.float32)
    k, weighed = run(half, image=IMAGE, features_4=features)
    expected = np.exp(-0.5 * 0.25**2)
    np.testing.assert_allclose(k, expected, rtol=1e-6)
    # What it weighs is half: 11 bits, once for each of the two factors and their product.
    exact = 3.0 * IMAGE.reshape(1, 1, 4, 4) * expected
    np.testing.assert_allclose(weighed, exact, rtol=3 * 2**-11)
    assert not np.allclose(weighed, exact, rtol=1e-5)


def test_the_head_is_exact_and_features_keep_their_name() -> None:
    half = half_precision(onnx.parser.parse_model(HEAD))
    features, depth = run(half, image=IMAGE)
    x = IMAGE.reshape(1, 1, 4, 4) * 0.01171875  # exact in half precision, as are the features
    np.testing.assert_array_equal(features, x.astype(np.float32))
    np.testing.assert_allclose(depth, 1 + np.exp(5.0009765625 * x), rtol=1e-5)
    assert types(half)['features_4_half'] == TensorProto.FLOAT16


def test_statistics_are_float_and_what_follows_is_half() -> None:
    model = onnx.parser.parse_model(NORM)
    half = half_precision(model)
    kinds = types(half)
    by_type = {node.op_type: node for node in half.graph.node}
    assert [kinds[n] for n in by_type['InstanceNormalization'].input] == [TensorProto.FLOAT] * 3
    assert kinds[by_type['Elu'].output[0]] == TensorProto.FLOAT16
    assert kinds[by_type['Conv'].input[1]] == TensorProto.FLOAT16
    assert kinds[by_type['Resize'].input[2]] == TensorProto.FLOAT
    (expected,), (found,) = run(model, image=IMAGE), run(half, image=IMAGE)
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert 'FLOAT16' not in str(model), 'the graph that was given is changed'


@pytest.fixture(scope='module')
def half_bundle(network_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    graphs = [
        half_precision(onnx.load(file)).SerializeToString()
        for file in (network_bundle.segmentation_onnx, network_bundle.depth_onnx)
    ]
    fields = manifest_fields(input={'width': 128, 'height': 64}, precision='fp16')
    return write_bundle(tmp_path_factory.mktemp('half') / 'half', fields, *graphs)


@pytest.mark.parametrize('kind', ['onnxruntime', 'openvino'])
def test_networks_answer_nearly_as_in_single_precision(
    network_bundle: Bundle, half_bundle: Bundle, kind: str
) -> None:
    pytest.importorskip(kind)
    image = np.random.default_rng(5).integers(0, 256, (64, 128, 3), np.uint8)
    exact, half = (create_engine(b, kind, threads=1) for b in (network_bundle, half_bundle))
    expected, found = exact.infer(image), half.infer(image)
    error = np.abs(found.depth_hw / expected.depth_hw - 1)
    assert np.percentile(error, 99) < 0.02
    assert np.median(error) < 2e-3
    assert error.max() > 1e-5, 'nothing was computed in half precision'
    assert np.mean(found.labels_hw == expected.labels_hw) > 0.98


def test_networks_are_half_as_large_and_exact_where_they_must_be(
    network_bundle: Bundle, half_bundle: Bundle
) -> None:
    for name in ('segmentation_onnx', 'depth_onnx'):
        before, after = (getattr(b, name).stat().st_size for b in (network_bundle, half_bundle))
        assert after < 0.56 * before
    model = onnx.load(half_bundle.depth_onnx)
    kinds = types(model)
    makers = {output: node for node in model.graph.node for output in node.output}
    exps = [node for node in model.graph.node if node.op_type == 'Exp']
    assert len(exps) >= 4
    wanted = [name for node in exps for name in (*node.input, *node.output)]
    seen = set()
    while wanted:
        name = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        assert kinds[name] in (TensorProto.FLOAT, TensorProto.INT64), name
        if name in makers:
            assert makers[name].op_type != 'Cast'
            wanted += list(makers[name].input)
    assert 'features_4' in seen
    products = [n for n in model.graph.node if n.op_type in ('Conv', 'MatMul')]
    halves = [n for n in products if kinds[n.output[0]] == TensorProto.FLOAT16]
    # All but the projections of the features and the head.
    assert 0 < len(products) - len(halves) <= 2
    for node in model.graph.node:
        if node.op_type == 'Cast' and node.input[0] in makers:
            assert makers[node.input[0]].op_type != 'Cast', f'{node.name} undoes another cast'


def test_graphs_parse_under_strong_types(half_bundle: Bundle) -> None:
    trt = pytest.importorskip('tensorrt_rtx')
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    for file in (half_bundle.segmentation_onnx, half_bundle.depth_onnx):
        flag = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        network = builder.create_network(flag)
        parser = trt.OnnxParser(network, logger)
        assert parser.parse(file.read_bytes()), parser.get_error(0).desc()


def test_what_cannot_be_halved_is_said() -> None:
    model = onnx.parser.parse_model(HEAD)
    with pytest.raises(ValueError, match='half precision already'):
        half_precision(half_precision(model))
    large = numpy_helper.from_array(np.full((1, 1, 1, 1), 7e4, np.float32), 'first')
    model.graph.initializer[0].CopyFrom(large)
    with pytest.raises(ValueError, match='weight first reaches 70000, half precision ends'):
        half_precision(model)


def test_export_writes_half_precision(
    network_checkpoint: Path,
    network_bundle: Bundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip('torch')
    from sg_depth_ros import export
    from sg_depth_ros.cli import main as cli

    graphs = {
        'SegmentationGraph': network_bundle.segmentation_onnx.read_bytes(),
        'DepthGraph': network_bundle.depth_onnx.read_bytes(),
    }
    monkeypatch.setattr(export, '_export_graph', lambda graph, *_: graphs[type(graph).__name__])
    arguments = ['export', str(network_checkpoint), '--out', str(tmp_path / 'b')]
    cli.app([*arguments, '--size', '128x64', '--precision', 'fp16'], standalone_mode=False)
    from sg_depth_ros.bundle import load_bundle

    bundle = load_bundle(tmp_path / 'b')
    assert bundle.manifest.precision == 'fp16'
    assert TensorProto.FLOAT16 in types(onnx.load(bundle.depth_onnx)).values()
