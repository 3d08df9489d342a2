# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is exported answers as the network that was trained, PackNets in both run-times."""

from __future__ import annotations

import logging

import numpy as np
import pytest

torch = pytest.importorskip('torch')
onnx = pytest.importorskip('onnx')
onnxruntime = pytest.importorskip('onnxruntime')
openvino = pytest.importorskip('openvino')

from sg_depth_ros import export  # noqa: E402
from sg_depth_ros.networks.depth_resnet import DepthResNet, DepthResNetConfig  # noqa: E402
from sg_depth_ros.networks.guidance import GuidanceConfig  # noqa: E402
from sg_depth_ros.networks.inference import prepare_for_inference  # noqa: E402
from sg_depth_ros.networks.packing import MergedPack, Pack  # noqa: E402
from sg_depth_ros.networks.packnet import PackNet, PackNetConfig  # noqa: E402

GUIDANCE = GuidanceConfig(strides=(2, 8), feature_channels=6, channels=3)
TINY = PackNetConfig(
    stem_channels=4, channels=(4, 4, 8, 8, 8), blocks=(1, 1, 1, 1), groups=2, guidance=GUIDANCE
)


def sharpened(network: PackNet) -> PackNet:
    """Let random heads use the range of depth, and random features tell pixels apart."""
    with torch.no_grad():
        for head in network.heads.values():
            head.weight *= 5
        for project in network.guide.project.values():
            project.weight *= 5
    return network.eval()


def test_the_copy_has_merged_packs_and_the_network_stays_as_it_was() -> None:
    network = PackNet(TINY).train()
    before = network.state_dict()
    prepared = prepare_for_inference(network)
    kinds = [type(module) for module in prepared.modules()]
    assert (kinds.count(MergedPack), kinds.count(Pack)) == (5, 0)
    assert not any(module.training for module in prepared.modules())
    assert network.training and network.state_dict().keys() == before.keys()
    assert Pack in map(type, network.modules())


def test_heads_are_transposed_and_answer_the_same() -> None:
    torch.manual_seed(0)
    config = DepthResNetConfig(
        encoder='resnet10t', decoder_channels=(16, 8, 8, 8, 4), guidance=GUIDANCE
    )
    network = DepthResNet(config).double().eval()
    prepared = prepare_for_inference(network)
    assert {type(head) for head in prepared.heads.values()} == {torch.nn.ConvTranspose2d}
    image = torch.rand(2, 3, 32, 64, dtype=torch.float64)
    features = {s: torch.randn(2, 6, 32 // s, 64 // s).double() for s in (4, 8)}
    with torch.no_grad():
        expected = network(image, features)
        assert expected[0].max() > 1.01 * expected[0].min()
        for a, b in zip(prepared(image, features), expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-12, atol=0)


def test_a_guided_packnet_in_onnx_runtime_and_openvino() -> None:
    torch.manual_seed(0)
    network = sharpened(PackNet(TINY))
    graph = export.DepthGraph(prepare_for_inference(network), network.guidance_strides)
    image = torch.randint(0, 256, (1, 32, 64, 3), dtype=torch.uint8)
    features = [torch.randn(1, 6, 32 // s, 64 // s) for s in network.guidance_strides]
    with torch.no_grad():
        expected = export.DepthGraph(network, network.guidance_strides)(image, *features).numpy()
        level = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            data = export._export_graph(graph, (image, *features), ['image', 'a', 'b'], ['depth'])
        finally:
            logging.disable(level)
    assert expected.max() > 1.2 * expected.min()
    model = onnx.load_from_string(data)
    assert [(o.domain, o.version) for o in model.opset_import] == [('', 18)]
    feed = {'image': image.numpy(), 'a': features[0].numpy(), 'b': features[1].numpy()}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=['CPUExecutionProvider'])
    np.testing.assert_allclose(session.run(None, feed)[0], expected, rtol=1e-4)
    core = openvino.Core()
    settings = {'INFERENCE_NUM_THREADS': 1, 'INFERENCE_PRECISION_HINT': 'f32'}
    compiled = core.compile_model(core.read_model(data), 'CPU', settings)
    np.testing.assert_allclose(compiled(feed)[0], expected, rtol=1e-4)
