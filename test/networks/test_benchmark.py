# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

torch = pytest.importorskip('torch')

from sg_depth_ros.networks.benchmark import (  # noqa: E402
    measure_inference,
    measure_training,
    mebibytes,
    take_turns,
    unfold_pac,
)
from sg_depth_ros.networks.depth_resnet import DepthResNetConfig  # noqa: E402
from sg_depth_ros.networks.pac import PacConv2d  # noqa: E402


def test_the_formulation_by_unfold_computes_the_same() -> None:
    layer = PacConv2d(3, 2, sigma=0.7).double()
    x, f = (torch.randn(2, c, 4, 5, dtype=torch.float64) for c in (3, 4))
    torch.testing.assert_close(unfold_pac(layer, x, f), layer(x, f))


def test_memory_is_what_backward_needs() -> None:
    x = torch.randn(256, 1024, requires_grad=True)
    # The product needs both factors, the sum nothing.
    mib = mebibytes(lambda: (x * (2 * x)) + x, torch.device('cpu'))
    assert mib == pytest.approx(2, abs=1e-3)


def test_every_layer_is_measured_in_every_form() -> None:
    config = DepthResNetConfig(decoder_channels=(8, 6, 4, 4, 2))
    _, *lines = measure_training(config, 64, 32, repeats=1)
    assert len(lines) == 4 * 3
    assert lines[-1].split()[:5] == ['4->2', 'at', '32x16', 'PAC', 'by']


def test_functions_take_turns_and_the_first_turn_does_not_count() -> None:
    calls: list[str] = []
    runs = {(name, ''): lambda name=name: calls.append(name) for name in 'ab'}
    times = take_turns(runs, repeats=2)
    assert calls == ['a', 'b'] * 3
    assert list(times) == [('a', ''), ('b', '')]


def test_the_decoder_is_measured_in_both_forms_and_run_times() -> None:
    pytest.importorskip('onnxruntime')
    pytest.importorskip('openvino')
    config = DepthResNetConfig(encoder='resnet10t', decoder_channels=(8, 8, 8, 8, 8))
    _, *measured = measure_inference(config, 64, 64, repeats=1, threads=1)
    lines = [line.split() for line in measured]
    assert [line[0] for line in lines] == ['plain', 'plain', 'guided', 'guided']
    assert lines[0][-1] == lines[1][-1] == '1.00'
