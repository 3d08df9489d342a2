# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs from source to files: figures, resuming, and the report in a browser."""

import json
import re
import shutil
import subprocess

import cv2
import numpy as np
import pytest
from evaluation_worlds import image_to_depth, write_folder

from sg_depth_ros.evaluation.baselines import Truth
from sg_depth_ros.evaluation.frames import EvaluationError, Output
from sg_depth_ros.evaluation.models import OnnxOptions
from sg_depth_ros.evaluation.protocols import make_protocol
from sg_depth_ros.evaluation.runner import RECORDS, run
from sg_depth_ros.evaluation.session import ModelFactory, ModelOptions, RunOptions, measure
from sg_depth_ros.evaluation.session import report as report_on
from sg_depth_ros.evaluation.sources.bag import BagSource
from sg_depth_ros.evaluation.sources.folder import FolderSource
from sg_depth_ros.evaluation.summary import ERRORS, broken_limits, parse_limits, summarise

PROTOCOL = make_protocol('dense', 'none')


def evaluate_folder(folder, out, first, compare=(), with_report=False, **options):
    protocol = PROTOCOL
    source = FolderSource(folder)
    model_options = ModelOptions('onnxruntime', 1, onnx=OnnxOptions(None, 'bytes'))
    models = ModelFactory(source, protocol, model_options).make_all(first, compare)
    run_options = RunOptions(out, **options)
    measured = measure(source, models, protocol, run_options)
    if with_report:
        pytest.importorskip('jinja2')
        pytest.importorskip('matplotlib', '3.7')
        report_on(measured, source, models[0], protocol, run_options)
    return measured.summary


class Factor:
    """Predicts the truth times a factor; counts its calls and can be told to stop."""

    name, identity, uses_image = 'factor', '1', False

    def __init__(self, factor=1.2, stop_after=None):
        self.factor, self.stop_after, self.calls = factor, stop_after, 0

    def predict(self, frame):
        if self.calls == self.stop_after:
            raise KeyboardInterrupt
        self.calls += 1
        return Output(self.factor * frame.truth, None, 0.01)


def test_truth_scores_zero_everywhere(folder, tmp_path):
    summary = evaluate_folder(folder, tmp_path / 'out', 'truth')
    model = summary['models']['truth']
    for metric in ('abs_rel', 'sq_rel', 'rmse', 'rmse_log', 'silog'):
        assert model['mean'][metric] == {'mean': 0, 'low': 0, 'high': 0}
    for metric in ('delta1', 'delta2', 'delta3', 'coverage'):
        assert model['mean'][metric]['mean'] == 1
    for part in (model['classes'], model['distances'], model['parts']):
        assert part and all(errors['abs_rel'] == 0 for errors in part.values())
    assert model['scale'] == {'median_ratio': 1, 'spread': 0, 'error': 0}
    assert summary['models']['row prior']['mean']['abs_rel']['mean'] > 0.01
    assert set(model['classes']) == {'road', 'car'}


def test_known_factor(folder, tmp_path):
    summary = evaluate_folder(folder, tmp_path / 'out', Factor(1.2))
    model = summary['models']['factor']
    assert model['mean']['abs_rel']['mean'] == pytest.approx(0.2, rel=1e-4)
    assert model['class_mean']['abs_rel'] == pytest.approx(0.2, rel=1e-4)
    assert model['scale']['median_ratio'] == pytest.approx(1 / 1.2, rel=1e-5)
    assert model['scale']['error'] == pytest.approx(0.2, rel=1e-4)
    assert model['latency']['p50_ms'] == pytest.approx(10)
    assert model['latency']['images_per_second'] == pytest.approx(100)


def test_bundle_beside_foreign_network_and_baselines(folder, bundle, tmp_path):
    foreign = image_to_depth(tmp_path / 'red.onnx')
    summary = evaluate_folder(folder, tmp_path / 'out', str(bundle), [str(foreign)])
    assert list(summary['models']) == ['red', 'red (2)', 'row prior', 'constant']
    # Both read the depth from the image: only its rounding to 1/4 m is left.
    for name in ('red', 'red (2)'):
        assert 0 < summary['models'][name]['mean']['abs_rel']['mean'] < 0.02
    against_foreign, against_prior, _ = summary['differences']
    assert against_foreign['abs_rel'] == {'mean': 0, 'low': 0, 'high': 0}
    assert against_prior['abs_rel']['high'] < 0
    written = json.loads((tmp_path / 'out/metrics.json').read_text())
    assert written['protocol']['name'] == 'dense, none scaling'
    assert written['labels'] == ['truth']


def test_bag_and_folder_score_alike(folder, bag, tmp_path):
    """The same frames through both ways: equal but for the thinned pixels of the LiDAR."""
    source = BagSource(bag)
    from_bag = measure(source, [Factor(1.1)], PROTOCOL, RunOptions(tmp_path / 'bag')).summary
    from_folder = evaluate_folder(folder, tmp_path / 'folder', Factor(1.1))
    values = [s['models']['factor']['mean']['abs_rel']['mean'] for s in (from_bag, from_folder)]
    assert values[0] == pytest.approx(values[1], rel=1e-3)


def test_interrupted_run_is_taken_up_again(folder, tmp_path):
    source, out = FolderSource(folder), tmp_path / 'out'
    names = source.names()
    whole = run(source, names, [Factor()], PROTOCOL, tmp_path / 'whole')
    with pytest.raises(KeyboardInterrupt):
        run(source, names, [Factor(stop_after=2)], PROTOCOL, out)
    # A kill in the middle of a write leaves half a line.
    with (out / RECORDS).open('a') as file:
        file.write('{"name": "002", "mod')
    again, progress = Factor(), []
    records = run(
        source,
        names,
        [again],
        PROTOCOL,
        out,
        resume=True,
        on_progress=lambda done, total: progress.append((done, total)),
    )
    assert again.calls == 2
    assert progress == [(2, 4), (3, 4), (4, 4)]
    assert records == whole
    assert len((out / RECORDS).read_text().splitlines()) == 5


def test_resuming_another_run_is_refused(folder, tmp_path):
    source = FolderSource(folder)
    run(source, source.names(), [Factor()], PROTOCOL, tmp_path)
    other = Factor()
    other.identity = '2'
    with pytest.raises(EvaluationError, match='--resume'):
        run(source, source.names(), [other], PROTOCOL, tmp_path, resume=True)
    # Without --resume it begins anew.
    run(source, source.names(), [other], PROTOCOL, tmp_path)
    assert other.calls == 4


def test_frames_without_truth_are_counted(folder, tmp_path):
    cv2.imwrite(str(folder / 'depth/001.png'), np.zeros((64, 96), np.uint16))
    summary = evaluate_folder(folder, tmp_path / 'out', Factor())
    assert summary['frames'] == 3
    assert summary['notes'] == ['1 frames gave nothing to compare']
    cv2.imwrite(str(folder / 'depth/000.png'), np.zeros((64, 96), np.uint16))
    with pytest.raises(EvaluationError, match='no frame of folder world has truth'):
        measure(FolderSource(folder), [Truth()], PROTOCOL, RunOptions(tmp_path / 'o', limit=2))


class Silent(Truth):
    """Answers some frames only, as a node does that has no scale yet."""

    def __init__(self, *answered):
        self.answered = answered

    def predict(self, frame):
        truth = super().predict(frame)
        return truth if frame.name in self.answered else Output(np.full((1, 1), np.nan))


def test_frames_without_an_answer_cost_coverage(folder, tmp_path):
    summary = evaluate_folder(folder, tmp_path / 'out', Silent('003'), with_report=True)
    model = summary['models']['truth']
    assert summary['frames'] == 4
    assert model['mean']['coverage']['mean'] == 0.25
    assert model['mean']['abs_rel'] == {'mean': 0, 'low': 0, 'high': 0}
    assert 'truth has no depth in 3 frames' in summary['notes'][0]
    assert (summary['best'], summary['worst']) == (['003'], [])
    assert broken_limits(summary, parse_limits(['coverage=0.9']))
    with pytest.raises(EvaluationError, match='truth gives no depth where truth is, in all 4'):
        evaluate_folder(folder, tmp_path / 'out', Silent())


def test_limits(folder, tmp_path):
    summary = evaluate_folder(folder, tmp_path / 'out', Factor(1.2))
    assert broken_limits(summary, parse_limits(['abs_rel=0.21', 'delta1=0.99'])) == []
    broken = broken_limits(summary, parse_limits(['abs_rel=0.19', 'rmse=100', 'coverage=1.1']))
    assert [sentence.split()[2] for sentence in broken] == ['abs_rel', 'coverage']
    for bad in ('abs_rel', 'absrel=0.2', 'abs_rel=low', 'abs_rel=nan'):
        with pytest.raises(EvaluationError, match='METRIC=NUMBER'):
            parse_limits([bad])


@pytest.fixture(scope='module')
def report(tmp_path_factory):
    path = tmp_path_factory.mktemp('report')
    evaluate_folder(write_folder(path / 'world'), path / 'out', Factor(1.3), with_report=True)
    return path / 'out/report.html'


def test_report_holds_all_it_shows(report):
    text = report.read_text()
    references = re.findall(r'(?:src|href)="([^"]{0,40})', text)
    assert references and all(r.startswith(('data:image/jpeg', '#')) for r in references)
    assert not re.findall(r'url\((?!#)', text)
    assert '<script' not in text
    assert text.count('dense, none scaling') >= 4
    assert len(re.findall('<img ', text)) == 4 * 4
    assert 'AbsRel' in text and '0.300' in text and 'row prior' in text


def test_report_without_images_holds_no_pixels(folder, tmp_path):
    evaluate_folder(folder, tmp_path, Factor(), with_report=True, images=False)
    text = (tmp_path / 'report.html').read_text()
    assert 'data:image' not in text and '<svg' in text


def test_report_in_a_browser(report, tmp_path):
    browser = shutil.which('chromium') or shutil.which('google-chrome')
    if browser is None:
        pytest.skip('no chromium or google-chrome is installed')
    picture = tmp_path / 'report.png'
    command = [
        browser,
        '--headless=new',
        '--no-sandbox',
        '--disable-gpu',
        '--hide-scrollbars',
        f'--user-data-dir={tmp_path / "profile"}',
        '--window-size=1280,1600',
        f'--screenshot={picture}',
        report.as_uri(),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    pixels = cv2.imread(str(picture)).astype(int)
    assert pixels.shape == (1600, 1280, 3)
    # Title and tables above, coloured curves below, and a page that is mostly ground.
    assert pixels[:400].std() > 5
    assert (np.ptp(pixels[700:], axis=2) > 60).sum() > 2000
    assert np.mean(np.abs(pixels - pixels[0, 0]).sum(2) < 12) > 0.5


def test_the_worst_frames_shown_are_no_neighbours():
    """A drive gets worse frame by frame: its last three would be one picture three times."""

    def record(index):
        errors = {name: index / 100 for name in (*ERRORS, 'coverage', 'median_ratio', 'scale')}
        scores = {'all': {**errors, 'coverage': 1.0, 'pixels': 10}, 'seconds': None}
        parts = {'classes': {}, 'distances': {}, 'parts': {}}
        return {'name': str(index), 'labels': None, 'models': {'a': {**scores, **parts}}}

    settings = {'models': {'a': 'x'}, 'dataset': 'drive', 'frames': 100}
    summary = summarise([record(index) for index in range(100)], settings, PROTOCOL)
    assert summary['worst'] == ['99', '94', '89']
    assert summary['best'] == ['0', '5', '10']
