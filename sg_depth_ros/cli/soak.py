# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An hour of the real node under load: ``python -m sg_depth_ros.cli.soak``."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

LINES = 20
"""That tell how it goes, over the whole time."""


def main() -> int:
    """Run and print; the status is 1 if the node ended, gave no depth or could not be started."""
    parser = argparse.ArgumentParser(
        description='Drive the node for a long time; measure memory, threads, files and latency.'
    )
    parser.add_argument('--seconds', type=float, default=3600.0)
    parser.add_argument('--rate', type=float, default=30.0, help='images a second')
    parser.add_argument('--log', type=Path, help='file for what the node prints')
    parser.add_argument(
        'parameters', nargs='*', metavar='NAME:=VALUE', help='of the node, as engine:=onnxruntime'
    )
    options = parser.parse_args()
    log = options.log or Path(tempfile.mkdtemp(prefix='sg_depth_soak_')) / 'node.log'
    try:
        from sg_depth_ros.replay.node_process import NodeError
        from sg_depth_ros.replay.soak import Sample, soak
    except ImportError as error:
        print(f'{error}; source ROS 2, or install the extra "ros"', file=sys.stderr)
        return 1
    told = -1

    def show(share: float, sample: Sample) -> None:
        nonlocal told
        if int(share * LINES) > told:
            told = int(share * LINES)
            print(
                f'{sample.seconds:7.0f} s  {sample.megabytes:7.1f} MB  {sample.threads:3d} '
                f'threads  {sample.descriptors:3d} files',
                flush=True,
            )

    print(f'the node prints into {log}', flush=True)
    try:
        result = soak(options.seconds, options.rate, log, options.parameters, show)
    except (NodeError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('ended before its time', file=sys.stderr)
        return 130
    first, last = result.settled[0], result.settled[-1]
    print(f'{len(result.latencies)} of {result.sent} images came back as depth')
    print(f'memory grows by {result.slope:.1f} MB an hour')
    print(f'threads {first.threads} at first, {last.threads} at last')
    print(f'files {first.descriptors} at first, {last.descriptors} at last')
    begin, end = result.p95(0.0, 0.2) * 1e3, result.p95(0.8, 1.0) * 1e3
    print(f'latency p95 {begin:.0f} ms in the first fifth, {end:.0f} ms in the last')
    return 0 if result.latencies else 1


if __name__ == '__main__':
    sys.exit(main())
