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
from sg_depth_ros.networks.guidance import GuidanceConfig, GuidedConv2d  # noqa: E402
from sg_depth_ros.networks.inference import prepare_for_inference  # noqa: E402
from sg_depth_ros.networks.packing import MergedPack, Pack  # noqa: E402
from sg_depth_ros.networks.packnet import PackNet, PackNetConfig  # noqa: E402
from sg_depth_ros.networks.padding import reflect  # noqa: E402

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


def test_padding_by_reflection_becomes_slices_and_answers_the_same() -> None:
    torch.manual_seed(0)
    x = torch.rand(2, 3, 5, 7)
    for margin in (1, 2, 3):
        expected = torch.nn.functional.pad(x, [margin] * 4, mode='reflect')
        assert torch.equal(reflect(x, margin), expected)
    image = torch.rand(1, 3, 64, 128, dtype=torch.float64)
    features = {s: torch.randn(1, 6, 64 // s, 128 // s).double() for s in (4, 8)}
    for guidance in (None, GUIDANCE.model_copy(update={'kernel_size': 5})):
        config = DepthResNetConfig(
            encoder='resnet10t', decoder_channels=(16, 8, 8, 8, 4), guidance=guidance,
            padding='reflect', mean=(0.45, 0.45, 0.45), std=(0.225, 0.225, 0.225),
        )  # fmt: skip
        network = DepthResNet(config).double().eval()
        prepared = prepare_for_inference(network)
        convs = [m for m in prepared.modules() if isinstance(m, torch.nn.Conv2d)]
        assert {conv.padding_mode for conv in convs} == {'zeros'}
        with torch.no_grad():
            expected = network(image, features)
            for a, b in zip(prepared(image, features), expected, strict=True):
                torch.testing.assert_close(a, b, rtol=1e-12, atol=0)
            # It is another network than with zeros around.
            other = DepthResNet(config.model_copy(update={'padding': 'zeros'})).double().eval()
            other.load_state_dict(network.state_dict())
            change = (other(image, features)[0] / expected[0] - 1).abs()
        assert change[..., 0, :].max() > 1e-4


def test_with_equal_features_reflected_guidance_is_a_plain_convolution() -> None:
    torch.manual_seed(0)
    guided = GuidedConv2d(4, 5, GUIDANCE, 'reflect').double()
    plain = GuidedConv2d(4, 5, None, 'reflect').double()
    state = {k: v for k, v in guided.state_dict().items() if 'sigma' not in k}
    plain.load_state_dict(state)
    x, alike = torch.rand(1, 4, 6, 8).double(), torch.ones(1, 3, 6, 8).double()
    with torch.no_grad():
        torch.testing.assert_close(guided(x, alike), plain(x, None), rtol=1e-12, atol=1e-14)


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
