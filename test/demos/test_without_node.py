# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo where ROS 2 cannot be imported, as the program that a user runs."""

import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')

from formula import formula

from sg_depth_ros.demos.truth import measure, write_errors
from sg_depth_ros.demos.without_node import run_without_node
from sg_depth_ros.synthetic import drive, street_camera

WITHOUT_ROS = """
import sys
sys.modules['rclpy'] = None
from sg_depth_ros.cli.main import main
main()
"""


def test_errors_are_those_of_each_image_alone(tmp_path, formula_bundle):
    """Against the formula, computed apart from the estimator; the sky of it counts as far."""
    out = tmp_path / 'demo'
    out.mkdir()
    (out / 'node.log').write_text('of an earlier demo')
    summary, errors = run_without_node(out, str(formula_bundle.path), 'onnxruntime', 3, seed=3)
    manifest = formula_bundle.manifest
    camera = street_camera(640, 192)
    factor = camera.resized(manifest.input.width, manifest.input.height).fx
    factor /= manifest.depth.training_focal_length
    sky = [label.id for label in formula_bundle.labels if 'sky' in label.roles]
    expected = []
    for frame in drive(camera, 3, 3, fps=10.0):
        size = (manifest.input.width, manifest.input.height)
        depth, labels = formula(cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA))
        depth = np.where(np.isin(labels, sky), np.inf, depth * factor).astype(np.float32)
        expected.append(measure(frame.depth, depth))
    (tmp_path / 'again').mkdir()
    again = write_errors(tmp_path / 'again', expected)
    assert errors['abs_rel'] == pytest.approx(again['abs_rel'], rel=0.02)
    assert summary['frames'] == 3
    report = json.loads((out / 'errors.json').read_text())
    assert report['errors'] == {name: round(value, 4) for name, value in errors.items()}
    assert json.loads((out / 'summary.json').read_text()) == summary
    assert {path.name for path in out.iterdir()} == {
        *('bag', 'cloud.ply', 'depth.mp4', 'depth.png', 'errors.json', 'summary.json')
    }


def test_the_program_says_what_it_left_out(tmp_path, formula_bundle):
    pytest.importorskip('typer', reason='typer is not installed')
    result = subprocess.run(
        [
            *(sys.executable, '-c', WITHOUT_ROS, 'demo', '--out', str(tmp_path / 'demo')),
            *('--bundle', str(formula_bundle.path), '--frames', '2', '--engine', 'onnxruntime'),
        ],
        env={**os.environ, 'COLUMNS': '2000'},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    assert 'There is no ROS 2 here, so the estimator worked alone: rclpy cannot' in result.stdout
    assert 'left out, for want of ROS 2: the node with its lifecycle' in result.stdout
    assert (tmp_path / 'demo' / 'errors.json').is_file()
    assert not (tmp_path / 'demo' / 'node.log').exists()
