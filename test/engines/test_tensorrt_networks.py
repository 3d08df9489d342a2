# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT-RTX takes every kind of network, freshly exported, in every precision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip('onnx', reason='onnx is not installed')
torch = pytest.importorskip('torch', reason='torch is not installed')
pytest.importorskip('tensorrt_rtx', reason='TensorRT-RTX is not installed (x86 only)')

from sg_depth_ros.engines.protocol import go_on  # noqa: E402
from sg_depth_ros.engines.tensorrt.builder import build_plan  # noqa: E402
from sg_depth_ros.engines.tensorrt.flavour import load_flavour  # noqa: E402
from sg_depth_ros.engines.tensorrt.graph import prepare_graph  # noqa: E402
from sg_depth_ros.engines.tensorrt.precision import check_eight_bits  # noqa: E402
from sg_depth_ros.export import (  # noqa: E402
    DepthGraph,
    SegmentationGraph,
    _export_graph,
)
from sg_depth_ros.networks.depth_resnet import DepthResNet, DepthResNetConfig  # noqa: E402
from sg_depth_ros.networks.inference import prepare_for_inference  # noqa: E402
from sg_depth_ros.networks.packnet import PackNet, PackNetConfig  # noqa: E402
from sg_depth_ros.networks.segmentation import (  # noqa: E402
    SegmentationConfig,
    SegmentationNet,
)
from sg_depth_ros.quantization.graph import (  # noqa: E402
    calibrate,
    layer_groups,
    quantise_graph,
)

WIDTH, HEIGHT = 64, 32
"""What counts here are the networks' layers and widths, not the size of the image."""
FLAVOUR = load_flavour('tensorrt_rtx')
ENCODERS = {'small': 'tf_efficientnet_lite0', 'resnet18': 'resnet18', 'resnet50': 'resnet50'}


def depth_network(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    if name == 'packnet':
        return PackNet(PackNetConfig())
    return DepthResNet(DepthResNetConfig(encoder=ENCODERS[name]))


def write(graph: bytes, path: Path) -> Path:
    path.write_bytes(graph)
    return path


def in_eight_bits(file: Path) -> Path:
    """The graph as sg_depth quantize makes it, if nothing costs too much."""
    model = onnx.load(file)
    rng = np.random.default_rng(0)
    feed = {}
    for value in model.graph.input:
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
        numbers = rng.integers(0, 256, shape) if value.name == 'image' else rng.normal(size=shape)
        feed[value.name] = numbers.astype(np.uint8 if value.name == 'image' else np.float32)
    ranges = calibrate(file, [feed], lambda: None)
    layers = [name for group in layer_groups(model.graph).values() for name in group]
    quantised = quantise_graph(model, ranges, layers)
    return write(quantised.SerializeToString(), file.with_name('int8.onnx'))


def builds_in_every_precision(file: Path) -> None:
    """The builder itself proves that the types are those of the precision."""
    whole = build_plan(FLAVOUR, prepare_graph(file), 'fp32', go_on, (8, 9)).data
    half = build_plan(FLAVOUR, prepare_graph(file, halve=True), 'fp16', go_on, (12, 0)).data
    assert len(half) < 0.8 * len(whole)
    graph = prepare_graph(in_eight_bits(file))
    eight_bits = build_plan(FLAVOUR, graph, 'int8', go_on, (8, 9))
    check_eight_bits(eight_bits.products)
    assert len(eight_bits.data) < len(whole)


@pytest.mark.parametrize('name', ENCODERS)
def test_segmentation_builds(name: str, tmp_path: Path) -> None:
    strides = (4, 8, 16)
    graph = SegmentationGraph(SegmentationNet(SegmentationConfig(encoder=ENCODERS[name])), strides)
    image = torch.zeros(1, HEIGHT, WIDTH, 3, dtype=torch.uint8)
    outputs = ['labels', *(f'features_{stride}' for stride in strides)]
    model = _export_graph(graph.eval(), (image,), ['image'], outputs)
    builds_in_every_precision(write(model, tmp_path / 'segmentation.onnx'))


@pytest.mark.parametrize('name', [*ENCODERS, 'packnet'])
def test_guided_depth_builds(name: str, tmp_path: Path) -> None:
    network = depth_network(name).eval()
    strides = network.guidance_strides
    channels = network.config.guidance.feature_channels
    image = torch.zeros(1, HEIGHT, WIDTH, 3, dtype=torch.uint8)
    features = [torch.zeros(1, channels, HEIGHT // s, WIDTH // s) for s in strides]
    names = ['image', *(f'features_{stride}' for stride in strides)]
    graph = DepthGraph(prepare_for_inference(network), strides)
    model = _export_graph(graph, (image, *features), names, ['depth'])
    builds_in_every_precision(write(model, tmp_path / 'depth.onnx'))
