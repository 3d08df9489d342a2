# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The door for Python: what ``import sg_depth_ros`` gives, and costs."""

import importlib.metadata
import subprocess
import sys

import numpy as np
import pytest

import sg_depth_ros
from sg_depth_ros import Estimator, PinholeCamera, load_bundle


def test_importing_the_package_imports_nothing_else():
    program = (
        'import sys; before = set(sys.modules); import sg_depth_ros; sg_depth_ros.__version__; '
        'print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before}))'
    )
    shown = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    # Nothing from elsewhere: a few milliseconds.
    assert set(shown.stdout.split()) <= {'sg_depth_ros', *sys.stdlib_module_names}, shown.stderr
    assert 'cv2' not in shown.stdout


def test_every_public_name_is_there_and_others_are_not():
    for name in sg_depth_ros.__all__:
        assert getattr(sg_depth_ros, name)
        assert name in dir(sg_depth_ros)
    with pytest.raises(AttributeError, match="no attribute 'Estimater'"):
        _ = sg_depth_ros.Estimater


def test_the_installed_version_is_that_of_the_code():
    try:
        installed = importlib.metadata.version('sg_depth_ros')
    except importlib.metadata.PackageNotFoundError:
        pytest.skip('not installed')
    assert installed == sg_depth_ros.__version__


def test_three_lines_from_an_image_to_named_labels(formula_bundle, frame):
    pytest.importorskip('onnxruntime')
    estimator = Estimator.load(formula_bundle.path, 'onnxruntime')
    height, width = frame.shape[:2]
    prediction = estimator.predict(frame, PinholeCamera.centred(width, height, 20.0))
    names = {estimator.bundle.label_names[i] for i in np.unique(prediction.labels).tolist()}
    assert names <= {label.name for label in load_bundle(formula_bundle.path).labels}
    shown = repr(prediction)
    assert shown.startswith(f'Prediction({width}x{height}, depth ')
    assert shown.endswith('engine onnxruntime)')
    assert '\n' not in shown
    estimator.close()
