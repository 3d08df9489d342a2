# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from sg_depth_ros.bundle import Bundle, BundleError, load_bundle
from sg_depth_ros.engines import create_engine
from sg_depth_ros.engines.onnxruntime import OnnxRuntimeEngine
from sg_depth_ros.engines.protocol import RawPrediction

torch = pytest.importorskip('torch')
onnx = pytest.importorskip('onnx')

from sg_depth_ros import export  # noqa: E402
from sg_depth_ros.export import ExportError, export_checkpoint  # noqa: E402
from sg_depth_ros.networks.checkpoint import load_networks, save_networks  # noqa: E402


def test_the_bundle_answers_as_the_networks_do(
    network_bundle: Bundle, network_checkpoint: Path
) -> None:
    segmentation, depth, _ = load_networks(network_checkpoint)
    image = np.random.default_rng(3).integers(0, 256, (64, 128, 3), np.uint8)
    x = torch.from_numpy(np.moveaxis(image / np.float32(255), -1, 0))[None].float()
    assert depth is not None
    with torch.no_grad():
        features, logits = segmentation(x)
        expected = 1 / depth(x, features)[0][0, 0].numpy()
    engine = create_engine(network_bundle, 'onnxruntime', threads=1)
    raw = engine.infer(image)
    np.testing.assert_allclose(raw.depth_hw, expected, rtol=1e-4)
    assert np.mean(raw.labels_hw == logits[0].argmax(0).numpy()) >= 0.9999
    # The guidance matters: without edges in the features depth is another.
    with torch.no_grad():
        unguided = 1 / depth(x, {k: 0 * v for k, v in features.items()})[0][0, 0].numpy()
    assert not np.allclose(unguided, expected, rtol=1e-2)
    engine.close()


def test_the_manifest_records_the_checkpoint(network_bundle: Bundle) -> None:
    manifest = load_bundle(network_bundle.path).manifest
    assert (manifest.input.width, manifest.input.height) == (128, 64)
    assert manifest.depth.training_focal_length == 74  # 148 at a width of 256
    assert (manifest.depth.min, manifest.depth.max) == (0.1, 100.0)
    assert manifest.depth.scale == 'relative'
    assert manifest.name == 'small'
    assert manifest.provenance['data'] == 'none'
    assert manifest.licence == 'not stated'
    assert math.isclose(manifest.normalisation.mean[0], 0.485)
    assert len(manifest.labels) == 19
    assert 'data: none' in (network_bundle.path / 'MODEL_CARD.md').read_text()


def test_graphs_are_static_opset_18_and_clean(network_bundle: Bundle) -> None:
    for file in (network_bundle.segmentation_onnx, network_bundle.depth_onnx):
        model = onnx.load(file)
        assert [(o.domain, o.version) for o in model.opset_import] == [('', 18)]
        kinds = {node.op_type for node in model.graph.node}
        assert kinds.isdisjoint(
            {'Shape', 'Gather', 'Col2Im', 'Loop', 'If', 'Dropout', 'Identity'}
        ), kinds
        used = {name for node in model.graph.node for name in node.input}
        used |= {output.name for output in model.graph.output}
        names = [i.name for i in (*model.graph.input, *model.graph.initializer)]
        assert set(names) <= used
        # Of a split, pieces may be left over.
        assert all(used & set(node.output) for node in model.graph.node)
        assert b'site-packages' not in file.read_bytes()
        assert b'sg_depth_ros/' not in file.read_bytes()
    depth_inputs = [i.name for i in onnx.load(network_bundle.depth_onnx).graph.input]
    assert depth_inputs == ['image', 'features_4']


@pytest.fixture
def quick_export(network_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the exporter out and take the graphs that it made before."""
    graphs = {
        'SegmentationGraph': network_bundle.segmentation_onnx.read_bytes(),
        'DepthGraph': network_bundle.depth_onnx.read_bytes(),
    }
    monkeypatch.setattr(
        export, '_export_graph', lambda graph, *_: graphs[type(graph).__name__], raising=True
    )


@pytest.mark.usefixtures('quick_export')
@pytest.mark.parametrize(('precision', 'change'), [('fp32', 1e-3), ('fp16', 0.2)])
def test_graphs_that_answer_otherwise_are_an_error_and_leave_nothing(
    network_checkpoint: Path, tmp_path: Path, precision: str, change: float
) -> None:
    segmentation, depth, meta = load_networks(network_checkpoint)
    assert depth is not None
    with torch.no_grad():
        depth.heads['1'].bias += change
    save_networks(tmp_path / 'other.pt', segmentation, depth, meta)
    out = tmp_path / 'models' / 'b'
    with pytest.raises(ExportError, match='noise image ONNX Runtime and torch differ by'):
        export_checkpoint(tmp_path / 'other.pt', out, size=(128, 64), precision=precision)
    assert list((tmp_path / 'models').iterdir()) == []


@pytest.mark.usefixtures('quick_export')
@pytest.mark.parametrize(('own', 'refused'), [(1e-4, False), (5e-6, True)])
def test_rounding_that_the_network_amplifies_itself_is_no_wrong_operator(
    network_checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    own: float,
    refused: bool,
) -> None:
    """A network is pretended whose depth errs by ``own`` in torch's float32."""
    answers, infer = export._answers, OnnxRuntimeEngine.infer

    def rounded(seg: torch.nn.Module, depth: torch.nn.Module, image: np.ndarray) -> tuple:  # type: ignore[name-defined, type-arg]
        labels, exact = answers(seg, depth, image)
        return labels, exact * (1 + own if exact.dtype == np.float32 else 1)

    def other(self: OnnxRuntimeEngine, image: np.ndarray) -> RawPrediction:
        raw = infer(self, image)
        raw.depth_hw[:] *= np.float32(1 - 4e-4)
        return raw

    monkeypatch.setattr(export, '_answers', rounded)
    monkeypatch.setattr(OnnxRuntimeEngine, 'infer', other)
    if refused:
        with pytest.raises(ExportError, match=r'differ by 4.1e-04 .* expected below 1.0e-04'):
            export_checkpoint(network_checkpoint, tmp_path / 'b', size=(128, 64))
    else:
        export_checkpoint(network_checkpoint, tmp_path / 'b', size=(128, 64))


@pytest.mark.usefixtures('quick_export')
def test_half_precision_may_be_amplified_at_a_few_pixels(
    network_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    infer = OnnxRuntimeEngine.infer

    def excited(self: OnnxRuntimeEngine, image: np.ndarray) -> RawPrediction:
        raw = infer(self, image)
        raw.depth_hw[:8, :8] *= 2
        return raw

    monkeypatch.setattr(OnnxRuntimeEngine, 'infer', excited)
    export_checkpoint(network_checkpoint, tmp_path / 'b', size=(128, 64), precision='fp16')
    with pytest.raises(ExportError, match='differ by'):
        export_checkpoint(network_checkpoint, tmp_path / 'c', size=(128, 64))


@pytest.mark.usefixtures('quick_export')
def test_labels_that_differ_are_an_error(network_checkpoint: Path, tmp_path: Path) -> None:
    segmentation, depth, meta = load_networks(network_checkpoint)
    with torch.no_grad():
        segmentation.classifier.bias[3] += 1
    save_networks(tmp_path / 'other.pt', segmentation, depth, meta)
    with pytest.raises(ExportError, match='of labels, expected'):
        export_checkpoint(tmp_path / 'other.pt', tmp_path / 'b', size=(128, 64))


@pytest.mark.usefixtures('quick_export')
def test_name_metrics_and_labels_can_be_given(network_checkpoint: Path, tmp_path: Path) -> None:
    segmentation, depth, meta = load_networks(network_checkpoint)
    colors = [{'id': i, 'name': f'c{i}', 'color': [i, 0, 0], 'roles': []} for i in range(19)]
    save_networks(
        tmp_path / 'n.pt', segmentation, depth, {**meta, 'labels': colors, 'licence': 'MIT'}
    )
    metric = {'dataset': 'd', 'protocol': 'p', 'scaling': 's', 'values': {'rmse': np.float64(4)}}
    bundle = export_checkpoint(
        tmp_path / 'n.pt',
        tmp_path / 'b',
        size=(128, 64),
        name='n',
        licence='CC0-1.0',
        metrics=[metric],
        weights=tmp_path / 'half.pt',
    )
    assert bundle.labels[5].name == 'c5'
    assert (bundle.manifest.name, bundle.manifest.licence) == ('n', 'CC0-1.0')
    assert bundle.manifest.metrics[0].values == {'rmse': 4.0}
    _, depth, meta = load_networks(tmp_path / 'half.pt')
    assert depth is not None and meta['licence'] == 'CC0-1.0'
    of_training = export_checkpoint(tmp_path / 'n.pt', tmp_path / 'c', size=(128, 64))
    assert of_training.manifest.licence == 'MIT'
    with pytest.raises(BundleError, match='exists already'):
        export_checkpoint(tmp_path / 'n.pt', tmp_path / 'b', size=(128, 64))


def test_what_cannot_be_exported_is_said_before_the_work(
    network_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, '_export_graph', lambda *_: pytest.fail('exported'))
    segmentation, depth, meta = load_networks(network_checkpoint)
    out = tmp_path / 'b'
    with pytest.raises(ExportError, match=r'100x64 .* multiples of 32'):
        export_checkpoint(network_checkpoint, out, size=(100, 64))
    save_networks(tmp_path / 's.pt', segmentation, None, meta)
    with pytest.raises(ExportError, match='segmentation network alone'):
        export_checkpoint(tmp_path / 's.pt', out)
    save_networks(tmp_path / 'm.pt', segmentation, depth, {'scale': 'metric'})
    with pytest.raises(ExportError, match='does not record input_width, input_height'):
        export_checkpoint(tmp_path / 'm.pt', out)
    save_networks(tmp_path / 'l.pt', segmentation, depth, {**meta, 'labels': [{'id': 0}]})
    with pytest.raises(ExportError, match='19 classes and 1 labels'):
        export_checkpoint(tmp_path / 'l.pt', out)
    out.mkdir()
    (out / 'x').touch()
    with pytest.raises(BundleError, match='exists already'):
        export_checkpoint(network_checkpoint, out)


def test_reflection_padding_is_refused() -> None:
    class Reflecting(torch.nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[name-defined]
            return torch.nn.functional.pad(x, [1, 1, 1, 1], mode='reflect')

    with pytest.raises(ExportError, match='pads by reflection'):
        export._export_graph(Reflecting(), (torch.zeros(1, 1, 8, 8),), ['x'], ['y'])
