# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""That README.md says of the node and the programs what the code says."""

import ast
import re
from pathlib import Path

import pytest

pytest.importorskip('typer', reason='typer is not installed')

import yaml

from sg_depth_ros.cli.main import COMMANDS, load_command

ROOT = Path(__file__).parents[1]
README = (ROOT / 'README.md').read_text()


def table(heading):
    """Rows of the first table after a heading, as lists of cells without back-ticks."""
    section = README.partition(f'# {heading}\n')[2]
    rows = re.search(r'^\|.*\n\|---.*\n((?:\|.*\n)+)', section, re.MULTILINE).group(1)
    return [
        [cell.strip().replace('`', '') for cell in row.strip('|').split('|')]
        for row in rows.splitlines()
    ]


def commands():
    """Every ``sg_depth ...`` that the text shows, as lists of words."""
    lines = re.findall(r'^    (?:\S*/)?sg_depth (.*)$', README, re.MULTILINE)
    return [line.partition('#')[0].split() for line in lines] + [
        text.split() for text in re.findall(r'`sg_depth ([^`]*)`', README)
    ]


def test_parameters_and_their_defaults_are_those_of_the_configuration():
    """Which another test holds against the node's own."""
    values = yaml.safe_load((ROOT / 'config' / 'node.yaml').read_text())['/**']['ros__parameters']
    documented = {name: yaml.safe_load(default) for name, default, _ in table('Parameters')}
    assert documented == values
    assert list(documented) == list(values)


def test_topics_are_those_of_the_node():
    pytest.importorskip('rclpy', reason='ROS 2 is not installed')
    from sg_depth_ros.ros.outputs import ALL_TOPICS

    documented = {
        name: kind.partition('/')[2]
        for name, kind, _, text in table('Topics')
        if 'out' in text[:4]
    }
    expected = {name: message.__name__ for name, message in ALL_TOPICS.items()}
    # A topic only where its type is installed.
    expected.setdefault('semantic/label_info', 'LabelInfo')
    assert documented == {**expected, '/diagnostics': 'DiagnosticArray'}


def test_extras_are_those_of_the_package():
    setup = ast.parse((ROOT / 'setup.py').read_text())
    extras = next(
        node.value
        for node in setup.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == 'EXTRAS'
    )
    documented = {name for names, _ in table('Install') for name in names.split(', ')}
    assert documented == {key.value for key in extras.keys}


def test_commands_exist_with_their_options():
    shown = commands()
    assert {words[0] for words in shown} >= {'replay', 'predict', 'info', 'export', 'evaluate'}
    for words in shown:
        command = load_command(words.pop(0))
        if words and words[0] in getattr(command, 'commands', {}):
            command = command.commands[words.pop(0)]
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith('--')} <= options, words


def test_every_command_is_named():
    for name in COMMANDS:
        assert re.search(rf'\b{name}\b', README), name


def test_launch_arguments_exist():
    declared = set()
    for path in (ROOT / 'launch').glob('*.launch.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == 'ARGUMENTS':
                declared |= {key.value for key in node.value.keys}
    launched = re.findall(r'launch\.py((?: \w+:=\S+)+)|`(\w+):=\S+`', README)
    used = {name for text in launched for name in re.findall(r'(\w+):=', ' '.join(text) + ':=')}
    assert {'image', 'rviz', 'bag'} <= used <= declared


def test_links_lead_to_files():
    for target in re.findall(r'\]\(([^)#]+)\)', README):
        assert (ROOT / target).exists(), target


def test_modules_and_settings_that_it_names_exist():
    for module, name in re.findall(r'from (sg_depth_ros[\w.]*) import (\w+)', README):
        assert hasattr(__import__(module, fromlist=[name]), name)
