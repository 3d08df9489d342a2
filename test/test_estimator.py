# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from formula import HEIGHT, WIDTH, formula
from numpy.typing import NDArray

from sg_depth_ros.bundle import Bundle
from sg_depth_ros.estimator import Estimator
from sg_depth_ros.geometry.camera import PinholeCamera

TRAINING_FOCAL = 20.0
CAMERA = PinholeCamera(2 * WIDTH, 3 * HEIGHT, 50.0, 50.0, 30.0, 22.0)


@pytest.fixture
def estimator(formula_bundle: Bundle) -> Iterator[Estimator]:
    pytest.importorskip('onnxruntime')
    made = Estimator.load(formula_bundle.path, 'onnxruntime', threads=1)
    yield made
    made.close()


@pytest.fixture
def big(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The frame as CAMERA sees it: its mean over areas is the frame again."""
    return frame.repeat(3, 0).repeat(2, 1)


def test_without_camera_depth_is_the_networks(
    estimator: Estimator, frame: NDArray[np.uint8]
) -> None:
    prediction = estimator.predict(frame)
    depth, labels = formula(frame)
    np.testing.assert_allclose(prediction.depth, depth, rtol=1e-6)
    np.testing.assert_array_equal(prediction.labels, labels)
    assert prediction.depth.dtype == np.float32
    assert prediction.camera is None
    assert min(prediction.seconds) > 0
    with pytest.raises(ValueError, match='points need a camera'):
        prediction.points()


def test_depth_follows_the_focal_length_at_network_size(
    estimator: Estimator, frame: NDArray[np.uint8], big: NDArray[np.uint8]
) -> None:
    prediction = estimator.predict(big, CAMERA)
    # 50 pixels at twice the network's width are 25 at its width.
    np.testing.assert_allclose(
        prediction.depth, formula(frame)[0] * (25.0 / TRAINING_FOCAL), rtol=1e-6
    )
    np.testing.assert_array_equal(prediction.image, frame)
    assert prediction.camera == CAMERA.resized(WIDTH, HEIGHT)


def test_the_same_scene_has_the_same_depth_at_every_image_size(
    estimator: Estimator, big: NDArray[np.uint8]
) -> None:
    first = estimator.predict(big, CAMERA)
    twice = big.repeat(2, 0).repeat(2, 1)
    second = estimator.predict(twice, CAMERA.resized(4 * WIDTH, 6 * HEIGHT))
    np.testing.assert_allclose(first.depth, second.depth, rtol=1e-6)


def test_at_image_size_all_belongs_to_the_image_and_its_camera(
    estimator: Estimator, big: NDArray[np.uint8]
) -> None:
    prediction = estimator.predict(big, CAMERA, size='image')
    assert prediction.depth.shape == prediction.labels.shape == big.shape[:2]
    assert prediction.image is big
    assert prediction.camera == CAMERA
    small = estimator.predict(big, CAMERA)
    np.testing.assert_array_equal(prediction.labels, small.labels.repeat(3, 0).repeat(2, 1))
    assert np.median(prediction.depth) == pytest.approx(np.median(small.depth), rel=0.05)


@pytest.mark.parametrize('size', ['network', 'image'])
def test_points_project_back_onto_their_pixels(
    estimator: Estimator, big: NDArray[np.uint8], size: Any
) -> None:
    prediction = estimator.predict(big, CAMERA, size)
    points = prediction.points()
    assert points.dtype == np.float32
    assert prediction.camera is not None
    uv, z = prediction.camera.project(points.reshape(-1, 3))
    rows, columns = prediction.depth.shape
    v, u = np.mgrid[:rows, :columns]
    np.testing.assert_allclose(uv, np.stack([u, v], -1).reshape(-1, 2), atol=1e-3)
    np.testing.assert_allclose(z, prediction.depth.ravel(), rtol=1e-6)


@pytest.mark.parametrize('size', ['network', 'image'])
def test_a_prediction_outlives_the_next_frame(
    estimator: Estimator, frame: NDArray[np.uint8], size: Any
) -> None:
    first = estimator.predict(frame, size=size)
    depth, labels = first.depth.copy(), first.labels.copy()
    estimator.predict(np.zeros_like(frame), size=size)
    np.testing.assert_array_equal(first.depth, depth)
    np.testing.assert_array_equal(first.labels, labels)


@pytest.mark.parametrize('repeat', [1, 2])
def test_views_of_other_memory_layouts_are_taken(
    estimator: Estimator, frame: NDArray[np.uint8], repeat: int
) -> None:
    bgr = np.ascontiguousarray(frame[..., ::-1]).repeat(repeat, 0).repeat(repeat, 1)
    prediction = estimator.predict(bgr[..., ::-1])
    np.testing.assert_allclose(prediction.depth, formula(frame)[0], rtol=1e-6)


@pytest.mark.parametrize(
    ('image', 'found'),
    [
        (np.zeros((4, 4), np.uint8), r'uint8 \[4, 4\]'),
        (np.zeros((4, 4, 4), np.uint8), r'uint8 \[4, 4, 4\]'),
        (np.zeros((4, 4, 3), np.float32), r'float32 \[4, 4, 3\]'),
        (np.zeros((0, 4, 3), np.uint8), r'uint8 \[0, 4, 3\]'),
        ([[0]], 'list'),
    ],
)
def test_what_is_no_rgb_image_is_refused(estimator: Estimator, image: Any, found: str) -> None:
    with pytest.raises(ValueError, match=f'{found}.*expected RGB uint8'):
        estimator.predict(image)


def test_a_camera_of_another_size_is_refused(
    estimator: Estimator, frame: NDArray[np.uint8]
) -> None:
    with pytest.raises(ValueError, match='image of 32x16 does not belong to a camera of 64x48'):
        estimator.predict(frame, CAMERA)
    with pytest.raises(ValueError, match="'full', expected 'image' or 'network'"):
        estimator.predict(frame, size='full')  # type: ignore[arg-type]


def test_running_a_bundle_imports_neither_torch_nor_ros(formula_bundle: Bundle) -> None:
    program = (
        'import sys, numpy as np\n'
        'from sg_depth_ros.estimator import Estimator\n'
        'from sg_depth_ros.engines import ENGINES, create_engine\n'
        f'estimator = Estimator.load({str(formula_bundle.path)!r}, threads=1)\n'
        f'estimator.predict(np.zeros(({HEIGHT}, {WIDTH}, 3), np.uint8), size="image")\n'
        'create_engine(estimator.bundle, "onnxruntime", 1)\n'
        'bad = [m for m in ("torch", "rclpy", "onnx", "timm", "matplotlib") if m in sys.modules]\n'
        'sys.exit(", ".join(bad) or 0)\n'
    )
    done = subprocess.run(
        [sys.executable, '-c', program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
