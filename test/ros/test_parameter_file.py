# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from sg_depth_ros.documents import DocumentError
from sg_depth_ros.ros.parameter_file import is_meant, sections


def test_sections_are_found_at_any_depth(tmp_path):
    file = tmp_path / 'parameters.yaml'
    file.write_text(
        '/**: {ros__parameters: {engine: auto}}\n'
        'front: {sg_depth: {ros__parameters: {threads: 1}}, other: {ros__parameters: {}}}\n'
        'nothing: 3\n'
    )
    assert sections(file) == ['/**', '/front/sg_depth', '/front/other']
    file.write_text('')
    assert sections(file) == []
    file.write_text('a: [')
    with pytest.raises(DocumentError, match='is not YAML'):
        sections(file)


@pytest.mark.parametrize(
    ('section', 'meant', 'not_meant'),
    [
        ('/**', ['/sg_depth', '/a/b/sg_depth'], []),
        ('/sg_depth', ['/sg_depth'], ['/front/sg_depth', '/sg_depth/a']),
        ('/**/sg_depth', ['/sg_depth', '/a/b/sg_depth'], ['/sg_depth2', '/sg_depth/b']),
        ('/*/sg_depth', ['/front/sg_depth'], ['/sg_depth', '/a/b/sg_depth']),
        ('/front/**', ['/front/sg_depth', '/front/a/sg_depth'], ['/left/sg_depth']),
    ],
)
def test_wildcards_mean_what_rcl_takes_them_for(section, meant, not_meant):
    assert all(is_meant(section, node) for node in meant)
    assert not any(is_meant(section, node) for node in not_meant)
