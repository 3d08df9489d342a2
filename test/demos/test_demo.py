# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from sg_depth_ros.bags import BagError, BagReader
from sg_depth_ros.bundle import Bundle
from sg_depth_ros.demos.demo import run_demo
from sg_depth_ros.evaluation.metrics import compute_depth_errors, mean_errors
from sg_depth_ros.replay.report import image_array, replayed_frames
from sg_depth_ros.synthetic import drive, street_camera


def test_demo_measures_what_the_node_published(
    tmp_path: Path, formula_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The record of the outputs is a scratch of the replay: keep it to compute the errors again.
    records = []

    def keep(bag, record, replayed):
        with BagReader(record) as reader:
            for item in reader.messages(['/depth/image_rect']):
                records.append((item.stamp_ns, image_array(item.message).copy()))
        return replayed_frames(bag, record, replayed)

    monkeypatch.setattr('sg_depth_ros.replay.report.replayed_frames', keep)
    (tmp_path / 'bag').mkdir()  # an earlier demo's
    (tmp_path / 'bag' / 'metadata.yaml').touch()
    (tmp_path / 'errors.json').write_text('of an earlier demo')
    summary, errors = run_demo(tmp_path, str(formula_bundle.path), 'onnxruntime', 4, seed=3)
    assert summary['frames_in'] == 4
    assert summary['header_errors'] == 0
    report = json.loads((tmp_path / 'errors.json').read_text())
    assert report['frames'] == summary['frames_out'] == len(records)
    assert report['errors'] == {name: round(value, 4) for name, value in errors.items()}
    with BagReader(tmp_path / 'bag') as bag:
        stamps = [item.stamp_ns for item in bag.messages(['/camera/image_raw'])]
    truths = [frame.depth for frame in drive(street_camera(640, 192), 4, 3, fps=10.0)]
    again = []
    for stamp, depth in records:
        # Nearest neighbours do for this check; the demo interpolates.
        large = depth.repeat(12, 0).repeat(20, 1)
        again.append(compute_depth_errors(truths[stamps.index(stamp)], large))
    assert errors['abs_rel'] == pytest.approx(mean_errors(again).abs_rel, rel=0.1)
    assert np.isfinite(errors['rmse'])


def test_a_bag_that_is_no_demo_s_stays(tmp_path: Path, formula_bundle: Bundle) -> None:
    own = tmp_path / 'bag' / 'bag_0.mcap'
    own.parent.mkdir()
    own.write_text('recorded on the road')
    with pytest.raises(BagError, match='bag is in the way and was not written by an earlier run'):
        run_demo(tmp_path, str(formula_bundle.path), 'onnxruntime', 2, seed=3)
    assert own.read_text() == 'recorded on the road'
