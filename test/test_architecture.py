# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""That docs/architecture.md shows the house as it is."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / 'sg_depth_ros'
PAGE = (ROOT / 'docs' / 'architecture.md').read_text(encoding='utf-8')


def rooms():
    """Folders of the package, and the modules at its top, as the page writes them."""
    folders = {f'{path.relative_to(PACKAGE)}/' for path in PACKAGE.rglob('*') if path.is_dir()}
    modules = {path.name for path in PACKAGE.glob('*.py')} - {'__init__.py'}
    return {name for name in folders if '__pycache__' not in name} | modules


def imported_rooms():
    """Which room imports which, wherever in a file."""
    arrows = set()
    for path in PACKAGE.rglob('*.py'):
        room = path.relative_to(PACKAGE).with_suffix('').parts[0]
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f'{node.module}.{alias.name}' for alias in node.names)]
            for name in names:
                parts = name.split('.')
                if parts[0] == PACKAGE.name and len(parts) > 1 and room != '__init__':
                    arrows.add((room, parts[1]))
    return arrows


def test_every_room_has_its_line():
    listed = set(re.findall(r'^\| `([\w/.]+)` \|', PAGE, re.MULTILINE))
    assert listed == rooms()


def test_the_diagram_draws_only_arrows_that_are_there():
    diagram = re.search(r'```mermaid\n(.*?)```', PAGE, re.DOTALL).group(1)
    arrows = set()
    for line in diagram.splitlines():
        if '-->' in line:
            start, _, ends = line.partition('-->')
            arrows |= {(start.strip(), end.strip()) for end in ends.split('&')}
    assert arrows <= imported_rooms()
    assert {room for arrow in arrows for room in arrow} == {
        name.removesuffix('/').removesuffix('.py')
        for name in rooms()
        if '/' not in name.rstrip('/')
    }


@pytest.mark.parametrize('file', sorted(set(re.findall(r'`([\w/]+\.py)`', PAGE))))
def test_every_file_that_is_named_exists_with_its_functions(file):
    text = (PACKAGE / file).read_text()
    assert text
    # Names that follow the file in its cell, up to the next file.
    for cell in re.findall(rf'`{re.escape(file)}` ((?:`[\w]+`(?:, | of )?)+)', PAGE):
        for name in re.findall(r'`(\w+)`', cell):
            assert re.search(rf'\b(def|class) {name}\b', text), f'{name} is not in {file}'
