# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How good Nav2's costmap is with the node's clouds: ``python -m sg_depth_ros.cli.costmap``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from sg_depth_ros.demos.costmap import run_costmap
from sg_depth_ros.estimator import DEFAULT_BUNDLE


def main() -> None:
    """Parse the command line and do it."""
    parser = argparse.ArgumentParser(
        description='Play streets through the node, and compare the map that an obstacle layer '
        'of Nav2 makes of its clouds with the true one.'
    )
    parser.add_argument('--bundle', default=DEFAULT_BUNDLE)
    parser.add_argument('--engine', default='auto')
    parser.add_argument('--seeds', type=int, nargs='+', default=list(range(200, 212)))
    parser.add_argument('--frames', type=int, default=24, help='of each street')
    parser.add_argument('--out', type=Path, default=Path('out/costmap'))
    options = parser.parse_args()
    figures = run_costmap(
        options.out,
        options.bundle,
        options.engine,
        options.seeds,
        options.frames,
        lambda done, total, note: print(f'{done}/{total} {note}', flush=True),
    )
    print(json.dumps(figures, indent=2))


if __name__ == '__main__':
    main()
