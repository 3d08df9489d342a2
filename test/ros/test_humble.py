# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""That the node and the replay use of rclpy only what Humble has, which has no wheels."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / 'sg_depth_ros'
FILES = sorted(path for room in ('ros', 'replay') for path in (ROOT / room).rglob('*.py'))
ROWS = [
    row
    for row in (Path(__file__).parent / 'humble_rclpy.txt').read_text().splitlines()
    if not row.startswith('#')
]
LATER = {row[1:] for row in ROWS if row.startswith('-')}
HUMBLE = {name: words for name, *words in map(str.split, ROWS) if not name.startswith('-')}
MODULES = {name.rpartition('.')[0] for name in HUMBLE if name.rpartition('.')[2]}
KEYWORDS = {}
"""Which a method may have, by its name alone: what object it is of, the text does not tell."""
for _name, _words in HUMBLE.items():
    if _words:
        KEYWORDS.setdefault(_name.rpartition('.')[2], set()).update(_words)
NOT_RCLPY_ALONE = {
    'destroy',
    'info',
    'warning',
    'error',
    'debug',
    'fatal',
    'log',
    'get',
    'publish',
}
"""Names that other libraries have too, or whose parameters are free."""


def fallbacks(tree):
    """Give the imports of ``try`` whose ImportError is handled by another import."""
    return {
        id(node)
        for attempt in ast.walk(tree)
        if isinstance(attempt, ast.Try)
        and any(getattr(handler.type, 'id', '') == 'ImportError' for handler in attempt.handlers)
        for node in attempt.body
    }


def problems(text):
    """Give what a module uses of rclpy that Humble lacks."""
    tree = ast.parse(text)
    tried, called = fallbacks(tree), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or '').startswith('rclpy'):
            if id(node) not in tried:
                names = (f'{node.module}.{alias.name}' for alias in node.names)
                yield from (name for name in names if name not in HUMBLE)
        elif isinstance(node, ast.Attribute):
            path = ast.unparse(node)
            known = path in HUMBLE or path in MODULES
            if path.startswith('rclpy.') and path.count('.') == 1 and not known:
                yield path
            if node.attr in LATER:
                yield f'.{node.attr}'
        if isinstance(node, ast.Call):
            called.add(id(node.func))
            name = getattr(node.func, 'attr', getattr(node.func, 'id', ''))
            allowed = KEYWORDS.get(name, set()) - NOT_RCLPY_ALONE
            if name in NOT_RCLPY_ALONE or not allowed or '**' in allowed:
                continue
            given = {keyword.arg for keyword in node.keywords if keyword.arg}
            yield from (f'{name}({keyword}=)' for keyword in sorted(given - allowed))


@pytest.mark.parametrize('path', FILES, ids=lambda path: f'{path.parent.name}/{path.name}')
def test_all_that_is_used_of_rclpy_is_there_in_humble(path):
    assert list(problems(path.read_text())) == []


@pytest.mark.parametrize(
    ('text', 'found'),
    [
        ('from rclpy.event_handler import PublisherEventCallbacks', 1),
        ('from rclpy.node import Node, Gone', 1),
        ('import rclpy\nrclpy.get_global_things()', 1),
        ('node.add_post_set_parameters_callback(check)', 1),
        ('node.create_timer(1.0, tick, autostart=False)', 1),
        ('node.create_subscription(A, "a", f, 1, content_filter_options=x)', 1),
        ('node.create_timer(1.0, tick, clock=steady)', 0),
        (
            'try:\n    from rclpy.event_handler import A\n'
            'except ImportError:\n    from rclpy.qos_event import QoSEventHandler',
            0,
        ),
    ],
)
def test_what_humble_lacks_is_seen(text, found):
    assert len(list(problems(text))) == found
