# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""In which precision networks and the engines built of them compute, by TensorRT's own words."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip('onnx', reason='onnx is not installed')
ort = pytest.importorskip('onnxruntime', reason='ONNX Runtime is not installed')
trt = pytest.importorskip('tensorrt_rtx', reason='TensorRT-RTX is not installed (x86 only)')
pytest.importorskip('cuda.bindings.runtime', reason='cuda-python is not installed')

from sg_depth_ros.bundle import Bundle, load_bundle  # noqa: E402
from sg_depth_ros.engines import EngineError, create_engine  # noqa: E402
from sg_depth_ros.engines.check_images import street_images  # noqa: E402
from sg_depth_ros.engines.comparison import compare  # noqa: E402
from sg_depth_ros.engines.protocol import RawPrediction, StageSeconds  # noqa: E402
from sg_depth_ros.engines.tensorrt import loading  # noqa: E402
from sg_depth_ros.engines.tensorrt.flavour import load_flavour, make_logger  # noqa: E402
from sg_depth_ros.engines.tensorrt.graph import prepare_graph  # noqa: E402
from sg_depth_ros.engines.tensorrt.layers import UNLISTED, as_built, node_names  # noqa: E402
from sg_depth_ros.engines.tensorrt.orders import Order  # noqa: E402
from sg_depth_ros.engines.tensorrt.precision import (  # noqa: E402
    Product,
    check_eight_bits,
    check_types,
    find_products,
    precision_shares,
)

FLAVOUR = load_flavour('tensorrt_rtx')
MODELS = Path(__file__).parents[2] / 'models'


def parsed(graph: bytes) -> Any:
    """A TensorRT network, and what must live as long."""
    logger = make_logger(trt)
    builder = trt.Builder(logger)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, logger)
    assert parser.parse(graph), logger.errors
    return network, parser, builder, logger


def shares_of(network: Any) -> dict[str, float]:
    return precision_shares(find_products(trt, network))


CONVOLUTIONS = """
<ir_version: 8, opset_import: ["": 18]>
g ({kind}[1,4,8,8] x, float[8,4,3,3] w32, {kind}[8,4,3,3] w) => (float[1,8,6,6] y)
{{
  a = Conv(x, w)
  b = Cast<to: int = 1>(a)
  {exponential}
  {last}
}}
"""


def convolutions(kind: str, exact_exponential: bool = True, mixed: bool = False) -> Any:
    fill = {
        'kind': kind,
        'exponential': 'y = Exp(b)' if exact_exponential else 'e = Exp(a)',
        'last': '' if exact_exponential else 'y = Cast<to: int = 1>(e)',
    }
    if mixed:
        fill['exponential'] = 'c = Cast<to: int = 1>(x) d = Conv(c, w32) y = Add(b, d)'
    return parsed(onnx.parser.parse_model(CONVOLUTIONS.format(**fill)).SerializeToString())


QUANTISED = """
<ir_version: 8, opset_import: ["": 18]>
g (float[1,4,8,8] x, float[8,4,3,3] w) => (float[1,8,4,4] y)
<float s = {{0.1}}, int8 z = {{0}}>
{{
  a = QuantizeLinear(x, s, z)
  b = DequantizeLinear(a, s, z)
  d = DequantizeLinear(q, s, z)
  c = Conv({values}, {kernel})
  y = Conv(c, l)
}}
"""


def quantised(values: str, kernel: str) -> Any:
    model = onnx.parser.parse_model(QUANTISED.format(values=values, kernel=kernel))
    rng = np.random.default_rng(0)
    for name, channels in (('q', 4), ('k', 4), ('l', 8)):
        numbers = rng.normal(size=(8, channels, 3, 3)) * 40
        kind = np.int8 if name == 'q' else np.float32
        model.graph.initializer.append(onnx.numpy_helper.from_array(numbers.astype(kind), name))
    return parsed(model.SerializeToString())


def test_eight_bits_are_those_before_the_multiply_adds() -> None:
    network = quantised('b', 'd')[0]
    assert shares_of(network) == {'int8': pytest.approx(9 / 17), 'fp32': pytest.approx(8 / 17)}
    check_types(trt, network, 'int8')
    with pytest.raises(EngineError, match='in fp16 does'):
        check_types(trt, network, 'fp16')


@pytest.mark.parametrize(('values', 'kernel'), [('x', 'k'), ('b', 'k'), ('x', 'd')])
def test_eight_bits_need_both_values_and_kernel(values: str, kernel: str) -> None:
    """Of one of them alone TensorRT makes floats."""
    network = quantised(values, kernel)[0]
    assert shares_of(network) == {'fp32': 1}
    if values == 'b':
        with pytest.raises(EngineError, match='has quantised values, yet'):
            check_types(trt, network, 'int8')


def test_multiply_adds_are_counted_by_their_precision() -> None:
    whole, half = convolutions('float')[0], convolutions('float16')[0]
    mixed = convolutions('float16', mixed=True)[0]
    assert shares_of(whole) == {'fp32': 1}
    assert shares_of(half) == {'fp16': 1}
    assert shares_of(mixed) == {'fp16': 0.5, 'fp32': 0.5}
    check_types(trt, whole, 'fp32')
    check_types(trt, half, 'fp16')
    with pytest.raises(EngineError, match=r'in fp16 does .* 100\.0% in fp32, expected at least'):
        check_types(trt, whole, 'fp16')
    with pytest.raises(EngineError, match=r'50\.0% in fp16, 50\.0% in fp32'):
        check_types(trt, mixed, 'fp16')
    with pytest.raises(EngineError, match='in fp32 does'):
        check_types(trt, half, 'fp32')
    with pytest.raises(EngineError, match='in int8 does'):
        check_types(trt, half, 'int8')
    with pytest.raises(EngineError, match=r'exponentials .* in less than fp32'):
        check_types(trt, convolutions('float16', exact_exponential=False)[0], 'fp16')


# What the engines have made of it.

LISTING = """Layers:
Name: node_a + node_b, LayerType: CaskConvolution, Inputs: [ { Name: x, Location: Device, \
Dimensions: [1,4,8,8], Format/Datatype: Thirty-two wide channel vectorized row major Int8 format \
}], Outputs: [ { Name: y, Location: Device, Dimensions: [1,4,8,8], Format/Datatype: Half }], \
ParameterType: Convolution, StreamId: 0, Metadata: [ONNX Layer: node_a]\x1e[ONNX Layer: node_b]
Name: node_c, LayerType: CaskConvolution, Inputs: [ { Name: y, Location: Device, Dimensions: \
[1,4,8,8], Format/Datatype: Half }], Outputs: [ { Name: z, Location: Device, Dimensions: \
[1,4,8,8], Format/Datatype: Int8 }], StreamId: 0, Metadata: [ONNX Layer: node_c]
Name: __myl_MulAdd_0, LayerType: kgen, Inputs: [ { Name: z, Dimensions: [1,4,8,8], Datatype: \
Float, Format: (Linear) }], Constants: [], Outputs: [ { Name: u, Dimensions: [1,4,8,8], \
Datatype: Int8, Format: (Linear) }], StreamId: 0, \
Metadata: [ONNX Layer: node_d][ONNX Layer: node_e]
Name: node_d_myl0_1, LayerType: correlation, Inputs: [ { Name: u, Dimensions: [1,4,8,8], \
Datatype: Int8, Format: (NHWC) }], Outputs: [], StreamId: 0, Metadata: [ONNX Layer: node_d]
Name: node_f, LayerType: odd, Inputs: [], Outputs: [], StreamId: 0, Metadata: [ONNX Layer: node_f]

I/O Tensors:
"""
"""Layers as TensorRT 10 and as TensorRT-RTX write them."""


def test_the_list_of_layers_tells_the_precision_of_each_product() -> None:
    products = [Product(f'[ONNX Layer: node_{name}]', 'int8', 1) for name in 'abcdefg']
    found = [product.precision for product in as_built(products, LISTING)]
    assert found == ['int8', 'int8', 'fp16', 'int8', 'fp32', UNLISTED, UNLISTED]
    assert {product.precision for product in as_built(products, '')} == {UNLISTED}


def test_an_engine_in_eight_bits_that_is_mostly_float_is_refused() -> None:
    most = [Product('a', 'int8', 51), Product('b', 'fp32', 49)]
    check_eight_bits(most)
    few = [Product('a', 'int8', 49), Product('b', UNLISTED, 51)]
    with pytest.raises(
        EngineError, match=r'multiply-adds 51\.0% in a precision that .*at least 50%'
    ):
        check_eight_bits(few)
    with pytest.raises(EngineError, match='at least 50% in int8; quantise the bundle again with'):
        check_eight_bits([Product('a', 'fp32', 1)])


def test_the_build_refuses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if TensorRT had put floats between conversions."""
    from sg_depth_ros.engines.tensorrt import builder

    bundle = load_bundle(MODELS / 'sg_depth_small_int8')
    floats = LISTING.replace('Int8', 'Float')
    monkeypatch.setattr(builder, 'as_built', lambda products, _: as_built(products, floats))
    with pytest.raises(EngineError, match='in int8; quantise the bundle again'):
        loading.build(Order(bundle, FLAVOUR, 'int8', (8, 9)))


@pytest.fixture(scope='module')
def engines() -> dict[str, Any]:
    """Of the shipped bundle in single precision and the one in eight bits that is made of it."""
    return {
        precision: loading.build(Order(load_bundle(MODELS / name), FLAVOUR, precision, (8, 9)))
        for name, precision in (('sg_depth_small', 'fp32'), ('sg_depth_small_int8', 'int8'))
    }


def test_what_is_quantised_is_computed_in_eight_bits(engines: dict[str, Any]) -> None:
    """All but the depthwise convolutions, and what the bundle itself keeps in float32."""
    bundle = load_bundle(MODELS / 'sg_depth_small_int8')
    files = (bundle.segmentation_onnx, bundle.depth_onnx)
    asked = [
        product for file in files for product in find_products(trt, parsed(prepare_graph(file))[0])
    ]
    assert list(engines['int8'].products) == asked
    eight = {name for p in asked if p.precision == 'int8' for name in node_names(p.name)}
    for file in files:
        graph = onnx.load(file).graph
        makers = {node.output[0]: node.op_type for node in graph.node}
        quantised = {
            node.name: next((a.i for a in node.attribute if a.name == 'group'), 1)
            for node in graph.node
            if node.op_type == 'Conv' and makers.get(node.input[1]) == 'DequantizeLinear'
        }
        assert {name for name, groups in quantised.items() if groups == 1} == (
            eight & quantised.keys()
        )
        assert sum(groups > 1 for groups in quantised.values()) == 16
    assert precision_shares(asked)['int8'] > 0.65


def test_eight_bits_make_smaller_engines(engines: dict[str, Any]) -> None:
    """TensorRT-RTX keeps zeros for each depthwise convolution in eight bits in the plan."""
    sizes = {name: len(e.segmentation) + len(e.depth) for name, e in engines.items()}
    assert sizes['int8'] < 0.8 * sizes['fp32']


# That TensorRT's graph answers as the bundle's own does.


def session(graph: Any) -> Any:
    """ONNX Runtime without its optimiser, which would quantise kernels again in its own way."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(graph, options, providers=['CPUExecutionProvider'])


SIGNED = """
<ir_version: 9, opset_import: ["": 18]>
g (float[1,4,9,10] x) => (float[1,8,9,10] y, float[1,4,9,10] d, float[1,4,9,10] n)
<float s = {{0.5}}, uint8 z = {{{zero}}}>
{{
  q = QuantizeLinear(x, s, z)
  d = DequantizeLinear(q, s, z)
  k1 = DequantizeLinear<axis: int = 0>(w1, s1, z1)
  a = Conv<pads: ints = [1, 2, 0, 0], auto_pad: string = "NOTSET">(d, k1, b1)
  k2 = DequantizeLinear<axis: int = 0>(w2, s2, z2)
  b = Conv(d, k2)
  k3 = DequantizeLinear<axis: int = 0>(w3, s3, z3)
  n = Conv<group: int = 4, pads: ints = [1, 1, 1, 1]>(d, k3)
  y = Add(a, b)
}}
"""


def signed(zero: int) -> Any:
    model = onnx.parser.parse_model(SIGNED.format(zero=zero))
    rng = np.random.default_rng(0)
    for index, shape in enumerate(((8, 4, 2, 3), (8, 4, 1, 1), (4, 1, 3, 3)), 1):
        for name, value in {
            'w': rng.integers(-64, 64, shape).astype(np.int8),
            's': rng.uniform(0.01, 0.02, shape[0]).astype(np.float32),
            'z': np.zeros(shape[0], np.int8),
            'b': rng.normal(size=shape[0]).astype(np.float32),
        }.items():
            tensor = onnx.numpy_helper.from_array(value, f'{name}{index}')
            model.graph.initializer.append(tensor)
    return model


@pytest.mark.parametrize('zero', [0, 10, 60, 128, 200, 255])
def test_signed_values_have_the_steps_and_ends_of_unsigned_ones(zero: int, tmp_path: Path) -> None:
    model = signed(zero)
    onnx.save(model, tmp_path / 'graph.onnx')
    graph = prepare_graph(tmp_path / 'graph.onnx')
    kinds = {tensor.data_type for tensor in onnx.load_from_string(graph).graph.initializer}
    assert onnx.TensorProto.UINT8 not in kinds
    ends = (-0.6 * zero, 0.6 * (255 - zero))
    x = np.random.default_rng(1).uniform(*ends, (1, 4, 9, 10)).astype(np.float32)
    expected = session(model.SerializeToString()).run(None, {'x': x})
    found = session(graph).run(None, {'x': x})
    for values, others in zip(expected, found, strict=True):
        np.testing.assert_allclose(others, values, atol=2e-4)
    # And TensorRT takes all that is quantised, where the kernels are not depthwise ones.
    assert [p.precision for p in find_products(trt, parsed(graph)[0])] == ['int8', 'int8', 'fp32']


VOLUME = """
<ir_version: 9, opset_import: ["": 18]>
g (float[1,1,6,5,7] x) => (float[1,3,6,5,7] y)
<float s = {0.5}, uint8 z = {10}>
{
  q = QuantizeLinear(x, s, z)
  d = DequantizeLinear(q, s, z)
  k = DequantizeLinear<axis: int = 0>(w, sw, zw)
  y = Conv<pads: ints = [1, 1, 1, 1, 1, 1]>(d, k)
}
"""


def test_kernels_of_three_dimensions_have_one_sum_for_each_channel(tmp_path: Path) -> None:
    """PackNet's, whose bias had three times its size."""
    model = onnx.parser.parse_model(VOLUME)
    rng = np.random.default_rng(0)
    for name, value in {
        'w': rng.integers(-64, 64, (3, 1, 3, 3, 3)).astype(np.int8),
        'sw': rng.uniform(0.01, 0.02, 3).astype(np.float32),
        'zw': np.zeros(3, np.int8),
    }.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    onnx.save(model, tmp_path / 'graph.onnx')
    x = rng.uniform(-6, 150, (1, 1, 6, 5, 7)).astype(np.float32)
    (expected,) = session(model.SerializeToString()).run(None, {'x': x})
    (found,) = session(prepare_graph(tmp_path / 'graph.onnx')).run(None, {'x': x})
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_a_zero_point_near_the_middle_costs_little_of_a_step(tmp_path: Path) -> None:
    model = signed(110)
    onnx.save(model, tmp_path / 'graph.onnx')
    graph = prepare_graph(tmp_path / 'graph.onnx')
    x = np.random.default_rng(1).uniform(-80, 100, (1, 4, 9, 10)).astype(np.float32)
    (values,) = session(model.SerializeToString()).run(['d'], {'x': x})
    (others,) = session(graph).run(['d'], {'x': x})
    assert values.min() == -55 and values.max() == 72.5, 'cut off'
    np.testing.assert_allclose(others, values, atol=0.5 / 2 + 0.6 / 2)
    assert 'Pad' not in {node.op_type for node in onnx.load_from_string(graph).graph.node}


class Prepared:
    """A bundle's graphs as TensorRT gets them."""

    name, version, device = 'tensorrt_rtx', '1', 'CPU'

    def __init__(self, bundle: Bundle) -> None:
        files = (bundle.segmentation_onnx, bundle.depth_onnx)
        self._segmentation, self._depth = (session(prepare_graph(file)) for file in files)

    def infer(self, image_hw3: Any) -> RawPrediction:
        names = [output.name for output in self._segmentation.get_outputs()]
        image = {'image': image_hw3[None]}
        outputs = dict(zip(names, self._segmentation.run(None, image), strict=True))
        labels = outputs.pop('labels')[0]
        return RawPrediction(
            self._depth.run(None, {**image, **outputs})[0][0], labels, StageSeconds(0, 0)
        )

    def close(self) -> None:
        pass


def test_the_eight_bits_of_tensorrt_answer_as_those_of_onnx_runtime() -> None:
    """By the limits that an engine on a GPU must keep: they are not for the graph to use up."""
    bundle = load_bundle(MODELS / 'sg_depth_small_int8')
    reference = create_engine(bundle, 'onnxruntime')
    images = itertools.islice(street_images(640, 192), 2)
    comparison = compare(Prepared(bundle), reference, images, 'int8')
    reference.close()
    assert comparison.median_error < 0.015
    assert comparison.scale_drift < 0.006
    assert comparison.label_disagreement < 0.01
