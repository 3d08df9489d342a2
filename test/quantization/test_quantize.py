# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np
import pytest

pytest.importorskip('typer', reason='typer is not installed')

from formula import SEGMENTATION_TEXT, BundleMaker, graph_bytes, manifest_fields
from numpy.typing import NDArray

from sg_depth_ros.bundle import Bundle, load_bundle, manifest_values, write_bundle
from sg_depth_ros.cli import main as cli
from sg_depth_ros.engines import create_engine
from sg_depth_ros.evaluation.frames import EvaluationError
from sg_depth_ros.synthetic import drive, street_camera, write_folder

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

from onnx import TensorProto, numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

from sg_depth_ros.bundle.half_precision import exact_nodes  # noqa: E402
from sg_depth_ros.quantization.calibration import (  # noqa: E402
    QuantizationError,
    read_frames,
    split_frames,
)
from sg_depth_ros.quantization.graph import calibrate, spell_out_elu  # noqa: E402
from sg_depth_ros.quantization.search import Choice, Loss, Quantizer  # noqa: E402

Images = list[NDArray[np.uint8]]


def nothing() -> None:
    """No progress to show."""


@pytest.fixture(scope='module')
def images() -> Images:
    return [frame.image for frame in drive(street_camera(128, 64), 6, seed=4)]


@pytest.fixture(scope='module')
def quantizer(network_bundle: Bundle, images: Images) -> Quantizer:
    return Quantizer(network_bundle, images[:4], images[4:], nothing)


@pytest.fixture(scope='module')
def int8_bundle(
    network_bundle: Bundle, quantizer: Quantizer, tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    fields = {**manifest_values(network_bundle.manifest), 'precision': 'int8'}
    return write_bundle(tmp_path_factory.mktemp('int8') / 'int8', fields, *quantizer.graphs(()))


@pytest.mark.parametrize('kind', ['onnxruntime', 'openvino'])
def test_run_times_answer_nearly_as_in_float32(
    network_bundle: Bundle, int8_bundle: Bundle, quantizer: Quantizer, images: Images, kind: str
) -> None:
    pytest.importorskip(kind)
    exact = create_engine(network_bundle, 'onnxruntime', threads=1)
    quantised = create_engine(int8_bundle, kind, threads=1)
    depth, labels = [], []
    for image in images[4:]:
        expected, found = exact.infer(image), quantised.infer(image)
        depth.append(np.mean(np.abs(found.depth_hw / expected.depth_hw - 1)))
        labels.append(np.mean(found.labels_hw != expected.labels_hw))
    assert 1e-4 < np.mean(depth) < 0.1
    assert np.mean(labels) < 0.1
    if kind == 'onnxruntime':
        loss = quantizer.loss(())
        assert [loss.depth, loss.labels] == pytest.approx([np.mean(depth), np.mean(labels)])


def test_weights_are_signed_by_channel_and_biases_float(
    network_bundle: Bundle, int8_bundle: Bundle
) -> None:
    assert int8_bundle.depth_onnx.stat().st_size < 0.4 * network_bundle.depth_onnx.stat().st_size
    for file in (int8_bundle.segmentation_onnx, int8_bundle.depth_onnx):
        graph = onnx.load(file).graph
        tensors = {tensor.name: tensor for tensor in graph.initializer}
        makers = {name: node for node in graph.node for name in node.output}
        assert TensorProto.INT32 not in {t.data_type for t in tensors.values()}
        quantised = [
            node
            for node in graph.node
            if node.op_type == 'Conv' and makers.get(node.input[1], node).op_type != 'Conv'
        ]
        assert len(quantised) >= 10
        for node in quantised:
            weight, scale, zero = (tensors[name] for name in makers[node.input[1]].input)
            assert weight.data_type == TensorProto.INT8
            # Two products with an unsigned byte fit into sixteen signed bits.
            assert 2 * 255 * np.abs(numpy_helper.to_array(weight).astype(int)).max() < 2**15
            assert list(scale.dims) == [weight.dims[0]]
            assert not numpy_helper.to_array(zero).any()
            assert all(tensors[n].data_type == TensorProto.FLOAT for n in node.input[2:])
            assert makers[node.input[0]].op_type == 'DequantizeLinear'
        assert 'Elu' not in {node.op_type for node in graph.node}
        exact = {graph.node[index].op_type for index in exact_nodes(graph)}
        assert exact.isdisjoint({'QuantizeLinear', 'DequantizeLinear'})


def test_tensorrt_builds_engines(int8_bundle: Bundle) -> None:
    trt = pytest.importorskip('tensorrt_rtx')
    from sg_depth_ros.engines.tensorrt.graph import prepare_graph

    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    for file in (int8_bundle.segmentation_onnx, int8_bundle.depth_onnx):
        flag = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        network = builder.create_network(flag)
        parser = trt.OnnxParser(network, logger)
        assert parser.parse(prepare_graph(file)), parser.get_error(0).desc()
        config = builder.create_builder_config()
        config.num_compute_capabilities = 1
        config.set_compute_capability(trt.ComputeCapability.SM89, 0)
        assert builder.build_serialized_network(network, config) is not None


PLAIN = """
<ir_version: 8, opset_import: ["": 18]>
g (float[1,1,512,512] x) => (float[1,1,512,512] y)
<float[1,1,1,1] weight = {1}> { y = Conv(x, weight) }
"""


def test_what_is_rare_does_not_make_the_range_wide(tmp_path: Path) -> None:
    onnx.save(onnx.parser.parse_model(PLAIN), tmp_path / 'plain.onnx')
    steps: list[int] = []
    feeds = []
    for seed in range(3):
        x = np.random.default_rng(seed).normal(2, 1, (1, 1, 512, 512)).astype(np.float32)
        x[0, 0, seed, :2] = -40, 50 * (1 + seed)
        feeds.append({'x': x})
    ranges = calibrate(tmp_path / 'plain.onnx', feeds, lambda: steps.append(1))
    low, high = (float(value) for value in ranges['x'].range_value)
    # Four values are cut off at either end, and the rare ones are three of them.
    assert [low, high] == pytest.approx([2 - 4.7, 2 + 4.7], abs=0.5)
    assert len(steps) == 3


ELU = """
<ir_version: 8, opset_import: ["": 18]>
g (float[7] x) => (float[7] y) { a = Elu(x) b = Neg(a) y = Elu(b) }
"""


def test_elu_is_spelled_out() -> None:
    model = onnx.parser.parse_model(ELU)
    x = np.array([-100, -3, -1e-4, 0, 1e-6, 2, 80], np.float32)
    expected = ReferenceEvaluator(model).run(None, {'x': x})[0]
    spell_out_elu(model.graph)
    onnx.checker.check_model(model)
    assert 'Elu' not in {node.op_type for node in model.graph.node}
    found = ReferenceEvaluator(model).run(None, {'x': x})[0]
    np.testing.assert_allclose(found, expected, atol=1e-7)
    # It is no kernel of PAC, all of which stays in float32.
    assert not exact_nodes(model.graph)


# One channel a million times the other, between two layers of which the second leaves it out.
WILD = """
<ir_version: 8, opset_import: ["": 18]>
depth (uint8[1,{h},{w},3] image, float[1,1,{fh},{fw}] features_4) => (float[1,{h},{w}] depth)
<float[2,3,1,1] net__first__0__weight = {{1, 0, 0, 0, 1, 0}},
 float[2,2,1,1] net__tame__1__weight = {{1, 0, 0, 1}},
 float[2,2,1,1] net__tame__2__weight = {{1, 0, 0, 1}},
 float[2,2,1,1] net__wild__3__weight = {{1000000, 0, 0, 1}},
 float[1,2,1,1] net__mend__4__weight = {{0, 1}},
 float[1,1,1,1] net__tame__5__weight = {{1}},
 float[1] one = {{1}}, int64[1] axis = {{1}}>
{{
  values = Cast<to: int = 1>(image)
  planes = Transpose<perm: ints = [0, 3, 1, 2]>(values)
  x0 = Conv(planes, net__first__0__weight)
  x1 = Conv(x0, net__tame__1__weight)
  x2 = Conv(x1, net__tame__2__weight)
  x3 = Conv(x2, net__wild__3__weight)
  positive = Relu(x3)
  x4 = Conv(positive, net__mend__4__weight)
  x5 = Conv(x4, net__tame__5__weight)
  plane = Squeeze(x5, axis)
  depth = Add(plane, one)
}}
"""


def test_what_costs_most_is_kept_in_float32(tmp_path: Path) -> None:
    model = onnx.load_from_string(graph_bytes(WILD))
    for node in model.graph.node:
        node.name = node.output[0]
        node.input[:] = [name.replace('__', '.') for name in node.input]
    for tensor in model.graph.initializer:
        tensor.name = tensor.name.replace('__', '.')
    segmentation = graph_bytes(SEGMENTATION_TEXT)
    bundle = write_bundle(
        tmp_path / 'wild', manifest_fields(), segmentation, model.SerializeToString()
    )
    generator = np.random.default_rng(0)
    frames = [generator.integers(0, 256, (16, 32, 3), np.uint8) for _ in range(4)]
    wild = Quantizer(bundle, frames[:3], frames[3:], nothing)
    # The first convolution takes the image and is none of them.
    parts = ['net.tame.1', 'net.tame.2', 'net.wild.3', 'net.mend.4', 'net.tame.5']
    assert wild.parts == {f'depth.{part}': 1 for part in parts}
    steps: list[int] = []
    choice = wild.search(0.03, lambda: steps.append(1))
    assert len(steps) == len(choice.alone) == 5
    assert set(choice.held) == {'depth.net.wild.3', 'depth.net.mend.4'}
    assert choice.loss.worst <= 0.03 < 0.3 < wild.loss(choice.held[:1]).worst
    assert all(loss.worst < 0.03 for part, loss in choice.alone.items() if 'tame' in part)


class Sums(Quantizer):
    """Parts whose losses add up."""

    COSTS = MappingProxyType({'a': 0.01, 'b': 0.05, 'c': 0.02, 'd': 0.005})

    def __init__(self) -> None:
        """Calibrate nothing."""

    @property
    def parts(self) -> dict[str, int]:
        return {'a': 1, 'b': 1, 'c': 2, 'd': 2}

    def loss(self, held: Collection[str]) -> Loss:
        return Loss(sum(cost for part, cost in self.COSTS.items() if part not in held), 0)


@pytest.mark.parametrize(
    ('limit', 'held'), [(1.0, []), (0.04, ['b']), (0.02, ['b', 'c']), (0.0, ['b', 'c'])]
)
def test_parts_are_kept_in_the_order_of_their_cost_up_to_half(
    limit: float, held: list[str]
) -> None:
    choice = Sums().search(limit, nothing)
    assert choice.held == held
    assert choice.loss == Sums().loss(held)
    assert {part: round(loss.worst, 9) for part, loss in choice.alone.items()} == Sums.COSTS


def test_all_in_float32_is_equal(quantizer: Quantizer) -> None:
    assert quantizer.loss(quantizer.parts) == Loss(0, 0)


@pytest.fixture
def street(tmp_path: Path) -> Path:
    write_folder(tmp_path / 'street', drive(street_camera(128, 64), 8, seed=9))
    return tmp_path / 'street'


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Callable[[Loss], None]:
    """Leave the search out: it finds what it is told."""

    def set_loss(loss: Loss) -> None:
        found = Choice(['depth.fuse.0'], loss, {'depth.fuse.0': loss})
        monkeypatch.setattr(Quantizer, 'search', lambda *_: found)

    return set_loss


def run(*arguments: object) -> None:
    cli.app(['quantize', *map(str, arguments)], standalone_mode=False)


def test_the_command_writes_a_bundle(
    network_bundle: Bundle,
    street: Path,
    tmp_path: Path,
    quick: Callable[[Loss], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quick(Loss(0.01, 0.02))
    out = tmp_path / 'small8'
    run(network_bundle.path, '--calibrate', street, '--out', out, '--evaluate', street, '--force')
    manifest = load_bundle(out).manifest
    assert (manifest.name, manifest.precision) == ('small8', 'int8')
    assert manifest.input == network_bundle.manifest.input
    assert manifest.provenance['calibrated_with'] == '6 frames of street'
    assert manifest.provenance['kept_in_fp32'] == ['depth.fuse.0']
    assert manifest.provenance['data'] == 'none'
    assert str(tmp_path) not in (out / 'bundle.yaml').read_text()
    shown = capsys.readouterr().out
    assert 'depth 1.00%, labels 98.00% equal' in shown
    assert 'AbsRel on street: fp32 ' in shown
    with pytest.raises(QuantizationError, match='is in int8; give the fp32 bundle'):
        run(out, '--calibrate', street)
    # Said before the work.
    monkeypatch.setattr(Quantizer, '__init__', lambda *_: pytest.fail('calibrated'))
    with pytest.raises(EvaluationError, match='has no images/ and depth/ folders'):
        run(network_bundle.path, '--calibrate', street, '--out', tmp_path / 'x', '--evaluate', out)


def test_too_large_a_loss_is_not_written_but_by_force(
    formula_bundle: Bundle, street: Path, tmp_path: Path, quick: Callable[[Loss], None]
) -> None:
    for loss in (Loss(0.05, 0), Loss(0, 0.05), Loss(float('nan'), 0)):
        quick(loss)
        with pytest.raises(QuantizationError, match=r'allowed are 3\.00%; nothing was written'):
            run(formula_bundle.path, '--calibrate', street, '--out', tmp_path / 'o' / 'b')
        assert list((tmp_path / 'o').iterdir()) == []
    quick(Loss(0.05, 0))
    run(formula_bundle.path, '--calibrate', street, '--out', tmp_path / 'b', '--force')
    assert load_bundle(tmp_path / 'b').manifest.precision == 'int8'


def test_a_bundle_without_anything_to_quantise_is_refused(
    formula_bundle: Bundle, street: Path, tmp_path: Path
) -> None:
    with pytest.raises(QuantizationError, match='have no convolutions that can be quantised'):
        run(formula_bundle.path, '--calibrate', street, '--out', tmp_path / 'b')
    assert not (tmp_path / 'b').exists()


def test_what_cannot_be_calibrated_with_is_said(make_bundle: BundleMaker, tmp_path: Path) -> None:
    bundle = make_bundle()
    for source, reason in (
        ('nowhere', 'nowhere does not exist'),
        ('empty', 'empty'),
        ('few', 'few gave 3 images, expected at least 4'),
        ('broken', 'neither JPEG nor PNG'),
    ):
        folder = tmp_path / source
        if source != 'nowhere':
            folder.mkdir()
        for index in range({'few': 3, 'broken': 4}.get(source, 0)):
            cv2.imwrite(str(folder / f'{index}.png'), np.zeros((4, 4, 3), np.uint8))
        if source == 'broken':
            (folder / '2.png').write_bytes(b'no picture')
        with pytest.raises(ValueError, match=reason):
            run(bundle.path, '--calibrate', folder, '--out', tmp_path / 'out')
        assert not (tmp_path / 'out').exists()


def test_frames_are_spread_and_those_measured_on_are_others(tmp_path: Path) -> None:
    for index in range(21):
        image = np.full((8, 8, 3), 10 * index, np.uint8)
        cv2.imwrite(str(tmp_path / f'{index:02d}.png'), image)
    frames = read_frames(tmp_path, 11, 4, 4)
    assert [int(f[0, 0, 0]) for f in frames] == [20 * i for i in range(11)]
    assert frames[0].shape == (4, 4, 3)
    calibration, measured = split_frames(frames)
    assert [int(f[0, 0, 0]) for f in measured] == [60, 140]
    assert len(calibration) == 9
    assert len(read_frames(tmp_path, 99, 4, 4)) == 21
