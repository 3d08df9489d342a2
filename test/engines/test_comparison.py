# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Engines against ONNX Runtime: real ones that agree, and damaged ones that must be found."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from sg_depth_ros.bundle import Bundle
from sg_depth_ros.engines import Engine, EngineError, RawPrediction, create_engine
from sg_depth_ros.engines.check_images import street_images
from sg_depth_ros.engines.comparison import LIMITS, ComparisonError, compare, require_agreement

pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')


class Damaged:
    """An engine whose answers are changed."""

    name, version, device = 'damaged', '1', 'CPU'

    def __init__(self, engine: Engine, depth: object = None, labels: object = None) -> None:
        self._engine, self._depth, self._labels = engine, depth, labels

    def infer(self, image_hw3: NDArray[np.uint8]) -> RawPrediction:
        raw = self._engine.infer(image_hw3)
        depth, labels = raw.depth_hw.copy(), raw.labels_hw.copy()
        if callable(self._depth):
            depth = self._depth(depth)
        if callable(self._labels):
            labels = self._labels(labels)
        return RawPrediction(depth, labels, raw.seconds)

    def close(self) -> None:
        self._engine.close()


@pytest.fixture(scope='module')
def reference(network_bundle: Bundle) -> Iterator[Engine]:
    engine = create_engine(network_bundle, 'onnxruntime', threads=1)
    yield engine
    engine.close()


@pytest.fixture(scope='module')
def images(network_bundle: Bundle) -> list[NDArray[np.uint8]]:
    spec = network_bundle.manifest.input
    return list(street_images(spec.width, spec.height, 2))


def test_another_run_time_agrees_within_the_limits_of_fp32(
    network_bundle: Bundle, reference: Engine, images: list[NDArray[np.uint8]]
) -> None:
    pytest.importorskip('openvino', reason='openvino is not installed')
    engine = create_engine(network_bundle, 'openvino', threads=1)
    comparison = require_agreement(engine, reference, images, 'fp32')
    engine.close()
    assert comparison.images == 2
    assert comparison.p99_error < 1e-3
    assert comparison.scale_drift < 1e-4


def hole(depth: NDArray[np.float32]) -> NDArray[np.float32]:
    depth[: len(depth) // 8] *= 3
    return depth


def unknown(depth: NDArray[np.float32]) -> NDArray[np.float32]:
    depth[0, 0] = np.nan
    return depth


@pytest.mark.parametrize('precision', LIMITS)
@pytest.mark.parametrize(
    ('damage', 'over'),
    [
        ({'depth': lambda d: d * 1.05}, {'median error', 'scale drift'}),
        ({'depth': hole}, {'p99 error'}),
        ({'depth': unknown}, {'median error', 'p99 error', 'scale drift'}),
        ({'depth': lambda d: d[::-1]}, {'median error', 'p99 error'}),
        ({'labels': lambda x: np.roll(x, 40, axis=1)}, {'label disagreement'}),
    ],
    ids=['scale', 'hole', 'nan', 'upside down', 'labels'],
)
def test_a_damaged_engine_is_found_whatever_the_precision(
    reference: Engine,
    images: list[NDArray[np.uint8]],
    precision: str,
    damage: dict[str, object],
    over: set[str],
) -> None:
    with pytest.raises(ComparisonError, match='answers otherwise than ONNX Runtime') as caught:
        require_agreement(Damaged(reference, **damage), reference, images, precision)
    rows = caught.value.comparison.rows
    assert over <= {what for what, _, _, good in rows if not good}
    assert isinstance(caught.value, EngineError)
    assert '(over ' in str(caught.value)


def test_the_figures_are_those_of_the_definition() -> None:
    class Constant:
        name, version, device = 'constant', '1', 'CPU'

        def __init__(self, depth: list[float], labels: list[int]) -> None:
            self.depth, self.labels = np.float32([depth]), np.uint8([labels])

        def infer(self, image_hw3: NDArray[np.uint8]) -> RawPrediction:
            return RawPrediction(self.depth, self.labels, (0, 0))

    one, other = Constant([1, 2, 4, 5], [1, 2, 3, 4]), Constant([1.1, 2, 4, 5], [1, 2, 3, 9])
    found = compare(other, one, [np.zeros((1, 4, 3), np.uint8)], 'fp32')
    assert found.median_error == 0
    assert found.p99_error == pytest.approx(0.1 * 0.97, rel=1e-4)  # between 0 and 0.1
    assert found.label_disagreement == 0.25
    assert found.scale_drift == 0
    assert not found.passed


def test_no_images_are_no_agreement(reference: Engine) -> None:
    with pytest.raises(ValueError, match='at least one'):
        compare(reference, reference, [], 'fp32')


def test_street_images_differ_from_each_other_and_come_again() -> None:
    first, second = street_images(64, 32, 2)
    assert first.shape == (32, 64, 3)
    assert np.abs(first.astype(int) - second).mean() > 5
    np.testing.assert_array_equal(first, next(street_images(64, 32, 1)))
