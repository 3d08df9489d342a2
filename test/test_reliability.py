# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``docs/reliability.md`` names tests as proofs: each of them has to be there."""

import ast
import re
from pathlib import Path

TEST = Path(__file__).parent
ROWS = [
    line.strip('|').split(' | ')
    for line in (TEST.parent / 'docs' / 'reliability.md').read_text().splitlines()
    if line.startswith('| ')
]
PROVEN = [cells for cells in ROWS if '.py' in cells[-1]]


def test_every_fault_has_a_test_that_exists() -> None:
    assert len(PROVEN) > 60
    for cells in PROVEN:
        named = re.findall(r'`([\w/]+\.py)::(\w+)`', cells[-1])
        assert named, cells
        assert len(named) == cells[-1].count('`') // 2, cells
        for file, name in named:
            tree = ast.parse((TEST / file).read_text())
            assert name in {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}, name


def test_every_fault_stands_there_once() -> None:
    faults = [cells[0] for cells in PROVEN]
    assert len(set(faults)) == len(faults)
