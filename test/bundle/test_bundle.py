# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from formula import manifest_fields

from sg_depth_ros.bundle import (
    Bundle,
    BundleError,
    add_metric,
    load_bundle,
    require_free,
    storage,
    write_bundle,
)
from sg_depth_ros.bundle.external_data import external_files
from sg_depth_ros.bundle.labels import CITYSCAPES

METRIC = {
    'dataset': 'kitti_lidar',
    'protocol': 'garg, <= 80 m',
    'scaling': 'median',
    'values': {'abs_rel': 0.21},
}


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return write_bundle(tmp_path / 'b', manifest_fields(), b'segmentation', b'depth')


def rewrite(bundle: Bundle, change: Callable[[dict[str, Any]], object]) -> None:
    file = bundle.path / 'bundle.yaml'
    values = yaml.safe_load(file.read_text())
    change(values)
    file.write_text(yaml.safe_dump(values))


def test_what_is_written_is_read_back(bundle: Bundle) -> None:
    loaded = load_bundle(bundle.path)
    assert loaded == bundle
    assert loaded.labels == CITYSCAPES
    assert loaded.manifest.provenance == {'data': ['street'], 'steps': 3}
    assert loaded.segmentation_onnx.read_bytes() == b'segmentation'
    assert loaded.depth_onnx.read_bytes() == b'depth'
    assert loaded.manifest.files['depth.onnx'] == hashlib.sha256(b'depth').hexdigest()
    names = {'bundle.yaml', 'MODEL_CARD.md', 'segmentation.onnx', 'depth.onnx'}
    assert {p.name for p in bundle.path.iterdir()} == names


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda v: v.update(colour=1), 'unknown key colour; remove'),
        (lambda v: v['depth'].update(unit='m'), 'unknown key depth.unit; remove'),
        (lambda v: v.pop('licence'), 'key licence is missing; add'),
        (lambda v: v['labels'][3].pop('color'), 'key labels.3.color is missing; add'),
        (lambda v: v['depth'].update(scale='feet'), 'depth.scale is wrong: '),
        (lambda v: v['input'].update(width=0), 'input.width is wrong: '),
        (lambda v: v['labels'][0].update(roles=['lava']), 'labels.0.roles.0 is wrong: '),
        (lambda v: v['depth'].update(min=200.0), 'depth.min 200.0 is not below depth.max 100.0'),
        (
            lambda v: v['depth'].update(training_focal_length=float('inf')),
            'depth.training_focal_length is wrong: ',
        ),
        (lambda v: v.update(labels=[]), 'labels is empty, expected one entry for each class'),
        (lambda v: v['labels'][3].update(name=''), 'labels.3.name is wrong: '),
        (lambda v: v['labels'][3].update(id=5), 'labels has id 5 more than once'),
        (lambda v: v['labels'][0].update(color=[256, 0, 0]), 'road has color [256, 0, 0], exp'),
        (lambda v: v['labels'][0].update(color=[0, -1, 0]), 'road has color [0, -1, 0], exp'),
        (lambda v: v.update(format_version=2), 'format_version 2, this software reads up to 1'),
        (lambda v: v.update(format_version=0), 'format_version is wrong: '),
        (lambda v: v.update(format_version=2, novelty=1), 'update sg_depth_ros'),
        (lambda v: v['files'].pop('depth.onnx'), 'expected exactly segmentation.onnx and'),
        (lambda v: v['files'].update({'../x': 'y'}), 'expected exactly segmentation.onnx and'),
        (lambda v: v['files'].update({'depth.onnx': '0' * 64}), 'expects 000000000000...'),
    ],
)
def test_a_faulty_manifest_is_one_sentence_that_names_the_fault(
    bundle: Bundle, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    rewrite(bundle, change)
    with pytest.raises(BundleError) as caught:
        load_bundle(bundle.path)
    text = str(caught.value)
    assert message in text
    assert str(bundle.path) in text
    assert '\n' not in text


@pytest.mark.parametrize('text', ['[1, 2]', 'a: [', '', '\x00'])
def test_a_manifest_that_is_no_mapping_is_refused(bundle: Bundle, text: str) -> None:
    (bundle.path / 'bundle.yaml').write_text(text)
    with pytest.raises(BundleError, match='copy the bundle again'):
        load_bundle(bundle.path)


def test_a_changed_graph_is_refused(bundle: Bundle) -> None:
    bundle.depth_onnx.write_bytes(b'depht')
    with pytest.raises(BundleError, match=r'depth\.onnx has SHA-256 .* expects'):
        load_bundle(bundle.path)


def test_a_missing_graph_is_refused(bundle: Bundle) -> None:
    bundle.segmentation_onnx.unlink()
    with pytest.raises(BundleError, match=r'segmentation\.onnx is missing'):
        load_bundle(bundle.path)


def test_a_folder_without_manifest_is_no_bundle(bundle: Bundle) -> None:
    (bundle.path / 'bundle.yaml').unlink()
    with pytest.raises(BundleError, match=r'holds no bundle\.yaml'):
        load_bundle(bundle.path)


def test_a_bare_name_is_looked_up_in_the_share_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_bundle(tmp_path / 'models' / 'here', manifest_fields(), b's', b'd')
    monkeypatch.setattr(storage, 'share_directory', lambda: tmp_path)
    assert load_bundle('here').path == tmp_path / 'models' / 'here'
    with pytest.raises(BundleError, match=r'no bundle gone.*installed bundles \(here\)'):
        load_bundle('gone')
    with pytest.raises(BundleError, match='no bundle x/here'):
        load_bundle('x/here')


def test_a_path_comes_before_an_installed_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ('models/same', 'same'):
        write_bundle(tmp_path / folder, manifest_fields(), b's', b'd')
    monkeypatch.setattr(storage, 'share_directory', lambda: tmp_path)
    monkeypatch.chdir(tmp_path)
    assert load_bundle('same').path == Path('same')


def test_a_path_may_begin_in_the_home_folder(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('HOME', str(bundle.path.parent))
    assert load_bundle('~/b') == bundle
    with pytest.raises(BundleError, match='no bundle ~nobody_at_all/b'):
        load_bundle('~nobody_at_all/b')


def test_an_interrupted_write_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> str:
        raise OSError('disk full')

    monkeypatch.setattr(storage, 'render_card', fail)
    with pytest.raises(OSError, match='disk full'):
        write_bundle(tmp_path / 'b', manifest_fields(), b's', b'd')
    assert list(tmp_path.iterdir()) == []


def test_an_invalid_manifest_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match='unknown key colour'):
        write_bundle(tmp_path / 'b', manifest_fields(colour=1), b's', b'd')
    assert list(tmp_path.iterdir()) == []


def test_an_existing_bundle_is_not_overwritten(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match='exists already; remove it'):
        write_bundle(bundle.path, manifest_fields(), b'x', b'y')
    assert load_bundle(bundle.path) == bundle


def test_the_current_folder_is_no_new_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BundleError, match=r'\. is no name for a new bundle; give the folder'):
        require_free('.')


def test_the_digest_follows_the_graphs_and_nothing_else(tmp_path: Path) -> None:
    def digest(folder: str, depth: bytes, **fields: Any) -> str:
        return write_bundle(tmp_path / folder, manifest_fields(**fields), b's', depth).digest

    assert digest('a', b'd') == digest('b', b'd', name='other')
    assert digest('c', b'e') != digest('d', b'd')


def test_new_metrics_reach_manifest_and_card(bundle: Bundle) -> None:
    assert 'None yet' in (bundle.path / 'MODEL_CARD.md').read_text()
    add_metric(bundle.path, METRIC)
    add_metric(bundle.path, {**METRIC, 'scaling': 'none'})
    updated = add_metric(bundle.path, {**METRIC, 'values': {'abs_rel': 0.22}})
    assert load_bundle(bundle.path) == updated
    assert [m.values for m in updated.manifest.metrics] == [{'abs_rel': 0.21}, {'abs_rel': 0.22}]
    assert updated.digest == bundle.digest
    card = (bundle.path / 'MODEL_CARD.md').read_text()
    assert '| dataset | protocol | scaling | abs_rel |' in card
    assert '| kitti_lidar | garg, <= 80 m | median | 0.22 |' in card
    assert 'Where it fails' not in card
    with pytest.raises(BundleError, match=r'unknown key metrics\.2\.note'):
        add_metric(bundle.path, {**METRIC, 'dataset': 'other', 'note': ''})


def test_a_date_by_hand_is_kept(bundle: Bundle) -> None:
    """YAML reads it as one."""
    rewrite(bundle, lambda v: v['provenance'].update(recorded=datetime.date(2026, 3, 1)))
    assert load_bundle(add_metric(bundle.path, METRIC).path).manifest.provenance['recorded'] == (
        '2026-03-01'
    )


def test_the_card_shows_failures(bundle: Bundle) -> None:
    add_metric(bundle.path, METRIC, b'picture')
    assert (bundle.path / 'failures.jpg').read_bytes() == b'picture'
    # What is measured later leaves the pictures in the card.
    add_metric(bundle.path, {**METRIC, 'scaling': 'none'})
    assert '](failures.jpg)' in (bundle.path / 'MODEL_CARD.md').read_text()
    assert load_bundle(bundle.path).digest == bundle.digest


@pytest.mark.parametrize(
    ('scale', 'unit', 'limit'),
    [('relative', 'relative units', 'not in metres'), ('metric', 'metres', 'check them')],
)
def test_the_card_says_what_the_scale_is(
    tmp_path: Path, scale: str, unit: str, limit: str
) -> None:
    depth = {**manifest_fields()['depth'], 'scale': scale}
    write_bundle(tmp_path / 'b', manifest_fields(depth=depth), b's', b'd')
    card = (tmp_path / 'b' / 'MODEL_CARD.md').read_text()
    assert f'in\n{unit}, between 0.1 and 100' in card
    assert limit in card
    assert 'data: street' in card


@pytest.mark.parametrize(
    ('change', 'key'),
    [
        (lambda v: v.update(format_version=True), 'format_version'),
        (lambda v: v['input'].update(width=True), 'input.width'),
        (lambda v: v['labels'][1].update(id=True), 'labels.1.id'),
        (lambda v: v['labels'][0].update(color=[True, 0, 0]), 'labels.0.color.0'),
        (lambda v: v['depth'].update(min=True), 'depth.min'),
    ],
)
def test_true_is_no_number(
    bundle: Bundle, change: Callable[[dict[str, Any]], object], key: str
) -> None:
    rewrite(bundle, change)
    with pytest.raises(BundleError, match=f'{key} is wrong: found true or false'):
        load_bundle(bundle.path)


def test_depth_without_end_is_refused(bundle: Bundle) -> None:
    rewrite(bundle, lambda v: v['depth'].update(max=float('inf')))
    with pytest.raises(BundleError, match=r'depth\.max is wrong'):
        load_bundle(bundle.path)


def test_a_provenance_that_stands_for_billions_of_values_is_refused(bundle: Bundle) -> None:
    file = bundle.path / 'bundle.yaml'
    text = file.read_text()
    names = 'abcdefghi'
    laughs = 'provenance:\n  a: &a [x, x, x, x, x, x, x, x, x]\n' + ''.join(
        f'  {name}: &{name} [{", ".join([f"*{before}"] * 9)}]\n'
        for before, name in pairwise(names)
    )
    start = text.index('provenance:')
    rest = text[start:].splitlines(keepends=True)[1:]
    end = next(i for i, line in enumerate(rest) if not line.startswith(' '))
    file.write_text(text[:start] + laughs + ''.join(rest[end:]))
    with pytest.raises(BundleError, match='too much for this file'):
        load_bundle(bundle.path)


def external_graph(name: bytes) -> bytes:
    onnx = pytest.importorskip('onnx')
    tensor = onnx.numpy_helper.from_array(np.ones(300, np.float32), 'w')
    onnx.external_data_helper.set_external_data(tensor, location=name.decode())
    tensor.ClearField('raw_data')
    nodes = [onnx.helper.make_node('Identity', ['w'], ['y'])]
    out = onnx.helper.make_tensor_value_info('y', onnx.TensorProto.FLOAT, [300])
    graph = onnx.helper.make_graph(nodes, 'g', [], [out], [tensor])
    return onnx.helper.make_model(graph).SerializeToString()


def test_weights_in_other_files_are_refused(bundle: Bundle, tmp_path: Path) -> None:
    graph = external_graph(b'../../weights.bin')
    with pytest.raises(BundleError, match=r'depth\.onnx keeps weights in another file \(\.\./'):
        write_bundle(tmp_path / 'new', manifest_fields(), b's', graph)
    assert not (tmp_path / 'new').exists()
    bundle.depth_onnx.write_bytes(graph)
    digest = hashlib.sha256(graph).hexdigest()
    rewrite(bundle, lambda v: v['files'].update({'depth.onnx': digest}))
    with pytest.raises(BundleError, match='keeps weights in another file'):
        load_bundle(bundle.path)


def test_weights_are_looked_for_wherever_a_graph_can_have_them() -> None:
    onnx = pytest.importorskip('onnx')
    model = onnx.load_from_string(external_graph(b'w.bin'))
    tensor = model.graph.initializer[0]
    inner = onnx.helper.make_graph([], 'inner', [], [], [tensor])
    places = {
        'constant': onnx.helper.make_node('Constant', [], ['c'], value=tensor),
        'branch': onnx.helper.make_node('If', ['y'], ['z'], then_branch=inner, else_branch=inner),
    }
    for node in places.values():
        other = onnx.helper.make_model(onnx.helper.make_graph([node], 'g', [], []))
        assert set(external_files(other.SerializeToString())) == {'w.bin'}
    function = onnx.helper.make_function(
        'd', 'F', [], ['c'], [places['constant']], [onnx.helper.make_opsetid('', 18)]
    )
    empty = onnx.helper.make_graph([], 'g', [], [])
    other = onnx.helper.make_model(empty, functions=[function])
    assert external_files(other.SerializeToString()) == ['w.bin']
    assert external_files(b'no graph') == []
