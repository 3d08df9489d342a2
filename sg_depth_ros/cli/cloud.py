# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the filters of point clouds do, and cost: ``python -m sg_depth_ros.cli.cloud``."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2

from sg_depth_ros.demos.cloud import estimate, time_filters, write_pictures
from sg_depth_ros.estimator import DEFAULT_BUNDLE


def main() -> None:
    """Parse the command line and do it."""
    parser = argparse.ArgumentParser(
        description='Time the filters of point clouds, draw what they do.'
    )
    parser.add_argument('--bundle', default=DEFAULT_BUNDLE)
    parser.add_argument('--seed', type=int, default=8)
    parser.add_argument('--frame', type=int, default=3)
    parser.add_argument('--rounds', type=int, default=50, help='how often to time each')
    parser.add_argument('--out', type=Path, help='folder for pictures')
    options = parser.parse_args()
    cv2.setNumThreads(1)
    prediction, depth = estimate(options.bundle, options.seed, options.frame)
    if options.out:
        write_pictures(options.out, prediction, depth)
    if options.rounds:
        for line in time_filters(prediction, depth, options.rounds):
            print(line)


if __name__ == '__main__':
    main()
