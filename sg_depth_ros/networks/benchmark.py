# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What guidance costs: ``python -m sg_depth_ros.cli.layers`` shows it.

Inference: the decoder of a depth network in the ResNet style as ONNX, plain and guided, by ONNX
Runtime and OpenVINO; they take turns, and medians are compared. Training: each guided layer
forward and backward in torch, beside the formulation by unfold, on a GPU where there is one; the
least of several runs, and on the CPU the process's own time, so that other programs disturb
little. Whole bundles are measured by ``sg_depth bench``.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sg_depth_ros.networks.depth_resnet import DepthResNet, DepthResNetConfig
from sg_depth_ros.networks.encoder import STRIDES
from sg_depth_ros.networks.guidance import GuidanceConfig
from sg_depth_ros.networks.inference import prepare_for_inference
from sg_depth_ros.networks.pac import PacConv2d

BATCH = 4
"""Images in a step of training."""


class Decoder(nn.Module):
    """A network's decoder alone, from features to depth."""

    def __init__(self, network: DepthResNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, *features: Tensor) -> Tensor:
        """Give depth from the encoder's features, then those of the segmentation network."""
        encoded = dict(zip(STRIDES, features, strict=False))
        guiding = dict(zip(self.network.guidance_strides, features[len(STRIDES) :], strict=True))
        return self.network.decode(encoded, guiding or None)[0].reciprocal()


def unfold_pac(layer: PacConv2d, x_bchw: Tensor, guidance_bdhw: Tensor) -> Tensor:
    """Compute a 3x3 PAC through all windows in memory, as its authors' implementation does."""
    size = x_bchw.shape[-2:]

    def windows(values: Tensor) -> Tensor:
        return F.unfold(values, 3, padding=1).unflatten(1, (-1, 9)).unflatten(3, size)

    difference = windows(guidance_bdhw) - guidance_bdhw[:, :, None]
    weight = (-0.5 / layer.sigma**2 * difference.square().sum(1)).exp()
    weighed = windows(x_bchw) * weight[:, None]
    out = torch.einsum('bckhw,ock->bohw', weighed, layer.weight.flatten(2))
    return out if layer.bias is None else out + layer.bias[:, None, None]


def milliseconds(run: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Time a function by the process's time on a CPU, by the clock on a GPU."""
    clock = time.process_time if device.type == 'cpu' else time.perf_counter

    def once() -> float:
        start = clock()
        run()
        if device.type == 'cuda':
            torch.cuda.synchronize()
        return clock() - start

    once()
    return 1e3 * min(once() for _ in range(repeats))


def mebibytes(run: Callable[[], Tensor], device: torch.device) -> float:
    """Measure a training step's memory: its peak on a GPU, what is kept for backward on a CPU."""
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run().sum().backward()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        run()
        return sum(tensor.untyped_storage().nbytes() for tensor in kept.values()) / 2**20


def measure_training(
    config: DepthResNetConfig, width: int, height: int, repeats: int
) -> Iterator[str]:
    """Give lines with time and memory of each guided layer's forward and backward pass."""
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    yield f'layers forward and backward, batch {BATCH}, {device.type}: ms and MiB'
    for level, stride in enumerate((16, 8, 4, 2)):
        inputs, outputs = config.decoder_channels[level : level + 2]
        shape = (height // stride, width // stride)
        layer = PacConv2d(inputs, outputs).to(device)
        x = torch.randn(BATCH, inputs, *shape, device=device, requires_grad=True)
        f = torch.randn(BATCH, GuidanceConfig().channels, *shape, device=device).requires_grad_()
        forms: dict[str, Callable[[], Tensor]] = {
            'plain': lambda: F.conv2d(x, layer.weight, layer.bias, padding=1),  # noqa: B023
            'PAC': lambda: layer(x, f),  # noqa: B023
            'PAC by unfold': lambda: unfold_pac(layer, x, f),  # noqa: B023
        }
        for name, form in forms.items():
            time_ms = milliseconds(lambda: form().sum().backward(), device, repeats)  # noqa: B023
            memory = mebibytes(form, device)
            size = f'{inputs}->{outputs} at {shape[1]}x{shape[0]}'
            yield f'  {size:20s} {name:14s} {time_ms:9.2f} {memory:9.1f}'


def measure_inference(
    config: DepthResNetConfig, width: int, height: int, repeats: int, threads: int
) -> Iterator[str]:
    """Give lines with the time of the decoder in each form and run-time."""
    torch.manual_seed(0)
    guided = DepthResNet(config).eval()
    plain = DepthResNet(config.model_copy(update={'guidance': None})).eval()
    plain.load_state_dict(guided.state_dict(), strict=False)
    yield f'decoder of {config.encoder} at {width}x{height}, {threads} threads: ms, ratio to plain'
    runs: dict[tuple[str, str], Callable[[], object]] = {}
    for name, network in (('plain', plain), ('guided', guided)):
        features = [
            torch.randn(1, channels, height // stride, width // stride)
            for channels, stride in (
                *((network.encoder.channels[s], s) for s in STRIDES),
                *((GuidanceConfig().feature_channels, s) for s in network.guidance_strides),
            )
        ]
        data = _as_onnx(Decoder(prepare_for_inference(network)), features)
        for runtime, load in (('ONNX Runtime', _onnx_runtime), ('OpenVINO', _openvino)):
            runs[name, runtime] = load(data, features, threads)
    times = take_turns(runs, repeats)
    for (name, runtime), time_ms in times.items():
        ratio = time_ms / times['plain', runtime]
        yield f'  {name:7s} {runtime:12s} {time_ms:8.2f} {ratio:6.2f}'


def take_turns(
    runs: dict[tuple[str, str], Callable[[], object]], repeats: int
) -> dict[tuple[str, str], float]:
    """Give the median time of each function in ms, one call of each after the other."""
    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in runs}
    for number in range(repeats + 1):
        for key, run in runs.items():
            start = time.perf_counter()
            run()
            if number:  # run-times allocate in the first
                seconds[key].append(time.perf_counter() - start)
    return {key: 1e3 * statistics.median(values) for key, values in seconds.items()}


def _as_onnx(network: nn.Module, inputs: list[Tensor]) -> bytes:
    """Export as bundles are, see ``export``, which networks do not know."""
    program = torch.onnx.export(
        network, tuple(inputs), opset_version=18, dynamo=True, verbose=False
    )
    assert program is not None
    data: bytes = program.model_proto.SerializeToString()
    return data


def _onnx_runtime(data: bytes, inputs: list[Tensor], threads: int) -> Callable[[], object]:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    session = ort.InferenceSession(data, options, providers=['CPUExecutionProvider'])
    names = [node.name for node in session.get_inputs()]
    feed = {name: value.numpy() for name, value in zip(names, inputs, strict=True)}
    return lambda: session.run(None, feed)


@cache
def _core() -> Any:
    """Give one core for all, as ``engines.openvino``, which networks do not know, explains."""
    import openvino as ov

    return ov.Core()


def _openvino(data: bytes, inputs: list[Tensor], threads: int) -> Callable[[], object]:
    core = _core()
    settings = {
        'PERFORMANCE_HINT': 'LATENCY',
        'INFERENCE_NUM_THREADS': threads,
        'INFERENCE_PRECISION_HINT': 'f32',
        'ENABLE_CPU_PINNING': False,
    }
    request = core.compile_model(core.read_model(data), 'CPU', settings).create_infer_request()
    arrays = [value.numpy() for value in inputs]
    return lambda: request.infer(arrays, share_inputs=True)
