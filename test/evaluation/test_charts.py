# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
import html

import pytest

from sg_depth_ros.evaluation.charts import make_charts

pytest.importorskip('matplotlib', '3.7')


def charts(distances, stamps=(0.0, 0.1, 0.2)):
    """Draw the charts of models with the AbsRel 0.1 in the distance bins given by model."""
    models = {
        name: {'classes': {}, 'distances': {key: {'abs_rel': 0.1} for key in keys}}
        for name, keys in distances.items()
    }
    scores = {name: {'all': {'abs_rel': 0.1, 'median_ratio': 1.0}} for name in models}
    records = [{'stamp': stamp, 'models': scores} for stamp in stamps]
    return make_charts({'models': models}, records)


def test_every_model_is_drawn():
    names = [f'model {number}' for number in range(13)]
    for text in charts({name: ['0-10'] for name in names}).values():
        assert all(f'>{name}<' in text for name in names)


def test_bins_are_in_order_where_a_model_lacks_the_first():
    text = charts({'a': ['10-20', '60-80'], 'b': ['0-10', '10-20']})['Error over distance']
    assert text.index('>0-10<') < text.index('>10-20<') < text.index('>60-80<')


def test_frames_are_numbered_where_time_begins_anew():
    """Each street of several begins at 0 s: drawn over time its curve would run back."""
    assert '>time, s<' in charts({'a': ['0-10']})['Error over time']
    for stamps in ((0.0, 0.1, 0.0, 0.1), (None, None)):
        assert '>frame<' in charts({'a': ['0-10']}, stamps)['Error over time']


def test_names_are_shown_as_they_are():
    """Neither taken for formulas, of which half is an error, nor hidden for their first sign."""
    names = [r'$\frac{1$', 'costs $5 or $6', '_mine', 'a<b>&"c"']
    for text in charts({name: ['0-10'] for name in names}).values():
        shown = ''.join(text.split())
        for name in names:
            assert html.escape(name, quote=False).replace(' ', '') in shown
