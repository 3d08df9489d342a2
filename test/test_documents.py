# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
import os
from pathlib import Path

import pytest

from sg_depth_ros.documents import (
    MAX_BYTES,
    DocumentError,
    parse_json,
    parse_yaml,
    read_json,
    read_table,
    read_yaml,
)

LAUGHS = 'a: &a [x, x, x, x, x, x, x, x, x, x]\n' + ''.join(
    f'{name}: &{name} [{", ".join([f"*{before}"] * 10)}]\n'
    for before, name in zip('abcdefgh', 'bcdefghi', strict=True)
)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (LAUGHS, 'too much for this file'),
        ('[' * 800 + ']' * 800, 'deeper than 40 levels'),
        (''.join(' ' * i + 'a:\n' for i in range(800)), 'deeper than 40 levels'),
        ('&a [*a]', 'too much'),
        ('a: 1\nb: 2\na: 3', "the key 'a' is there twice"),
        ('a: ' + '9' * 5000 + '\nb: [', 'is not YAML'),
        ('a: 2024-99-99', 'month must be in 1'),
        ('a: !!python/object/apply:os.system [ls]', 'could not determine a constructor'),
        ('a: [', 'is not YAML'),
        ('\x00', 'is not YAML'),
    ],
)
def test_yaml_that_is_none_or_too_much_is_one_sentence(text: str, message: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_yaml(text, 'a.yaml')
    assert message in str(caught.value)
    assert 'a.yaml' in str(caught.value)
    assert '\n' not in str(caught.value)


def test_references_and_merged_keys_are_read() -> None:
    text = 'base: &b {k: 1, l: 2}\nx: {y: &c {<<: *b, m: 3}}\nz: {<<: *c, l: 4}\nlist: [*b, *b]'
    assert parse_yaml(text, '')['z'] == {'k': 1, 'l': 4, 'm': 3}
    assert parse_yaml(text, '')['list'] == [{'k': 1, 'l': 2}] * 2


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('[' * 100_000 + ']' * 100_000, 'nested too deeply'),
        ('{"a": 1, "a": 2}', "the key 'a' is there twice"),
        ('{"a": ', 'is not JSON'),
    ],
)
def test_json_that_is_none_or_too_much_is_one_sentence(text: str, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        parse_json(text, 'a.json')


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    mark = b'\xef\xbb\xbf'
    (tmp_path / 'a.yaml').write_bytes(mark + b'a: 1\r\n')
    (tmp_path / 'a.json').write_bytes(mark + b'{"a": 1}')
    (tmp_path / 'a.csv').write_bytes(mark + b'name,fx\r\nx,1.5\r\n')
    assert read_yaml(tmp_path / 'a.yaml') == read_json(tmp_path / 'a.json') == {'a': 1}
    assert read_table(tmp_path / 'a.csv') == (['name', 'fx'], [{'name': 'x', 'fx': '1.5'}])


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / 'latin').write_bytes('ä'.encode('latin-1'))
    (tmp_path / 'large').write_bytes(b'#' * (MAX_BYTES + 1))
    os.mkfifo(tmp_path / 'pipe')
    for name, message in (
        ('none', 'cannot be read'),
        ('latin', 'no UTF-8 text'),
        ('large', 'more than the'),
        ('pipe', 'is no file'),
        ('.', 'is no file'),
    ):
        with pytest.raises(DocumentError, match=message) as caught:
            read_yaml(tmp_path / name)
        assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'is empty'),
        ('a,b\n1\n', 'row 2 has 1 values'),
        ('a,b,a\n1,2,3\n', "the column 'a' is there twice"),
        ('a,b\n1,2,3\n', 'row 2 has 3 values'),
        ('a\n"' + 'x' * 200_000 + '"\n', 'is no CSV'),
    ],
)
def test_tables_that_are_none_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / 'a.csv').write_text(text)
    with pytest.raises(DocumentError, match=message):
        read_table(tmp_path / 'a.csv')
