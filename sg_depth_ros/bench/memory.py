# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Peak memory of one bundle in one engine, in a process of its own.

A process that holds several engines cannot tell whose memory is whose.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from sg_depth_ros.bundle import Bundle, load_bundle
from sg_depth_ros.engines import Precision, create_engine

FRAMES = 3
_STATUS = Path('/proc/self/status')


def peak_memory_mib(
    bundle: Bundle, engine: str, threads: int, precision: Precision | None = None
) -> float | None:
    """Measure the most memory that a process of Python, engine and networks holds at a time.

    In MiB of the host; None where the system does not tell, as only Linux does.
    """
    if not _STATUS.is_file():
        return None
    command = [sys.executable, '-m', __name__, str(bundle.path.resolve()), engine, str(threads)]
    command += [precision] if precision else []
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return round(int(done.stdout.split()[-1]) / 1024, 1)


def main(path: str, kind: str, threads: str, precision: Precision | None = None) -> None:
    """Run a few frames and tell the parent the peak in KiB."""
    bundle = load_bundle(path)
    engine = create_engine(bundle, kind, int(threads), precision)
    spec = bundle.manifest.input
    for _ in range(FRAMES):
        engine.infer(np.zeros((spec.height, spec.width, 3), np.uint8))
    # Not getrusage, whose peak begins with that of the process that started this one.
    lines = _STATUS.read_text().splitlines()
    peak = next(line.split()[1] for line in lines if line.startswith('VmHWM'))
    sys.stdout.write(f'{peak}\n')


if __name__ == '__main__':
    main(*sys.argv[1:])  # type: ignore[arg-type]
