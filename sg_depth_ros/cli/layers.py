# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What guidance costs, layer by layer: ``python -m sg_depth_ros.cli.layers``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

import torch

from sg_depth_ros.networks.benchmark import measure_inference, measure_training
from sg_depth_ros.networks.depth_resnet import DepthResNetConfig


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description='Measure what guidance costs.')
    parser.add_argument('--size', default='640x192', help='width x height of the image')
    parser.add_argument('--encoder', default=DepthResNetConfig().encoder)
    parser.add_argument('--channels', type=int, nargs=5, metavar='C', help='of the decoder')
    parser.add_argument('--repeats', type=int, default=20)
    parser.add_argument('--threads', type=int, default=2, help='of inference; training has one')
    parser.add_argument('--only', choices=('training', 'inference'))
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split('x'))

    def show(lines: Iterable[str]) -> None:
        for line in lines:
            print(line, flush=True)

    values = {'encoder': arguments.encoder, 'decoder_channels': arguments.channels}
    config = DepthResNetConfig(**{k: v for k, v in values.items() if v is not None})
    torch.set_num_threads(1)
    if arguments.only != 'training':
        show(measure_inference(config, width, height, arguments.repeats, arguments.threads))
    if arguments.only != 'inference':
        show(measure_training(config, width, height, arguments.repeats))


if __name__ == '__main__':
    main()
