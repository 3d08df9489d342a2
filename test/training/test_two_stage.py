# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0

import csv
import json
from threading import Timer

import cv2
import numpy as np
import pytest
from training_worlds import depth_settings
from typer.testing import CliRunner

from sg_depth_ros.bundle.labels import ID
from sg_depth_ros.cli.filter import filter_data
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.training import run, two_stage
from sg_depth_ros.training.data.sources import FolderSource
from sg_depth_ros.training.depth_settings import FilterSettings
from sg_depth_ros.training.frame_list import read_frame_list, write_frame_list
from sg_depth_ros.training.run import train_depth
from sg_depth_ros.training.two_stage import INFINITE, KEPT, NO_GROUND, filter_frames, judge

CAMERA = PinholeCamera(160, 64, 120.0, 120.0, 79.5, 28.0)
HEIGHT = 1.65


def scene(car_depth, noise=0.0, scale=1.0, seed=0, distance=12.0):
    """Give depth and labels of a road with a car ``distance`` m away that is seen elsewhere."""
    rays = CAMERA.rays()
    down = rays[..., 1]
    depth = np.where(down > 0, HEIGHT / np.maximum(down, 1e-6), 80.0)
    depth = np.minimum(depth, 80.0)
    labels = np.where(down > 0, ID['road'], ID['building']).astype(np.uint8)
    labels[:10] = ID['sky']
    depth[:10] = 100.0
    rows, columns = slice(24, int(28 + 120 * HEIGHT / distance)), slice(60, 96)
    depth[rows, columns], labels[rows, columns] = car_depth, ID['car']
    rng = np.random.default_rng(seed)
    depth *= np.exp(noise * rng.standard_normal(depth.shape))
    return (scale * depth).astype(np.float32), labels


@pytest.mark.parametrize(('metres', 'first_row'), [(0.5, 34), (3.3, 36)])
@pytest.mark.parametrize('scale', [1.0, 0.03])
def test_a_car_seen_infinitely_far_is_found_at_any_scale(scale, metres, first_row):
    settings = FilterSettings(metres=metres)
    for seed in range(5):
        good = judge(*scene(12.0, 0.03, scale, seed), CAMERA, settings, metric=scale == 1)
        assert good.reason == KEPT
        hole = judge(*scene(90.0, 0.03, scale, seed), CAMERA, settings, metric=scale == 1)
        assert hole.reason == INFINITE
        # The pixels are the car's, under the horizon.
        assert hole.below[first_row:43, 62:94].mean() > 0.9
        assert not hole.below[:, :60].any()
        assert hole.plane.height == pytest.approx(scale * HEIGHT, rel=0.03)


@pytest.mark.parametrize('scale', [1.0, 0.03])
def test_the_authors_rule_asks_no_labels(scale):
    settings = FilterSettings(rule='all', metres=0.5, pixels=10)
    nothing = np.full((64, 160), ID['sky'], np.uint8)
    good = judge(scene(12.0, 0.02, scale)[0], nothing, CAMERA, settings, metric=scale == 1)
    assert good.reason == KEPT
    assert good.plane.height == pytest.approx(scale * HEIGHT, rel=0.03)
    hole = judge(scene(90.0, 0.02, scale)[0], nothing, CAMERA, settings, metric=scale == 1)
    assert hole.reason == INFINITE and hole.below[34:43, 62:94].mean() > 0.9
    # By ground alone, where nothing is labelled so, there is nothing to judge by.
    ours = judge(scene(90.0)[0], nothing, CAMERA, FilterSettings(), metric=True)
    assert ours.reason == NO_GROUND
    # Pixels far away count too, which ours leaves out.
    far = judge(*scene(400.0, distance=60.0), CAMERA, settings, metric=True)
    near = judge(*scene(400.0, distance=60.0), CAMERA, FilterSettings(metres=0.5), metric=True)
    assert far.pixels > near.pixels


def test_the_settings_are_the_limits():
    depth, labels = scene(90.0)
    pixels = judge(depth, labels, CAMERA, FilterSettings(), metric=True).pixels
    assert pixels > 100
    at = FilterSettings(pixels=pixels)
    assert judge(depth, labels, CAMERA, at, metric=True).reason == KEPT
    under = FilterSettings(pixels=pixels - 1)
    assert judge(depth, labels, CAMERA, under, metric=True).reason == INFINITE
    # Dips of a little less than the metres that are asked for, and of a little more.
    for metres, dip, reason in (
        (0.5, 0.4, KEPT), (0.5, 0.8, INFINITE), (3.3, 3.0, KEPT), (3.3, 3.6, INFINITE)
    ):  # fmt: skip
        lower, labels = scene(12.0)
        rows = slice(45, 60)
        lower[rows, 100:150] *= (HEIGHT + dip) / HEIGHT
        verdict = judge(lower, labels, CAMERA, FilterSettings(metres=metres), metric=True)
        assert verdict.reason == reason
    near = FilterSettings(max_distance=10.0)
    assert judge(*scene(90.0), CAMERA, near, metric=True).pixels < pixels


def test_what_is_called_ground_above_the_horizon_does_not_tilt_it():
    depth, labels = scene(12.0, 0.02)
    # Woods that climb by 20 degrees, of more pixels than the road that is seen as such.
    rays, slope = CAMERA.rays(), np.radians(20)
    up = rays[..., 1] <= 0
    depth[up] = 2 / (np.sin(slope) + np.cos(slope) * rays[up][:, 1])
    labels[up] = ID['terrain']
    labels[28:44] = ID['building']
    verdict = judge(depth, labels, CAMERA, FilterSettings(), metric=True)
    assert verdict.plane.height == pytest.approx(HEIGHT, rel=0.03)
    assert verdict.reason == KEPT


def test_a_plane_through_little_of_the_ground_judges_nothing():
    depth, labels = scene(90.0)
    # Under the horizon, nearly everything but the car is called ground and is a heap.
    heap = (CAMERA.rays()[..., 1] > 0) & (labels != ID['car'])
    heap[:, ::4] = False
    depth[heap] *= np.random.default_rng(0).uniform(0.2, 0.9, heap.sum())
    verdict = judge(depth, labels, CAMERA, FilterSettings(), metric=True)
    assert (verdict.reason, verdict.pixels) == (NO_GROUND, 0)
    anyhow = judge(depth, labels, CAMERA, FilterSettings(min_inliers=0.0), metric=True)
    assert anyhow.reason == INFINITE
    assert anyhow.plane.inliers < 1 / 3


def test_an_image_without_ground_is_kept():
    depth, labels = scene(90.0)
    labels[labels == ID['road']] = ID['building']
    verdict = judge(depth, labels, CAMERA, FilterSettings(), metric=True)
    assert (verdict.reason, verdict.pixels) == (NO_GROUND, 0)


def test_frame_lists_are_checked(tmp_path):
    write_frame_list(tmp_path / 'a.txt', ['x/y:3', 'x:y:10'])
    assert read_frame_list(tmp_path / 'a.txt') == {'x/y:3', 'x:y:10'}
    (tmp_path / 'b.txt').write_text('x/y\n')
    with pytest.raises(ValueError, match="line 1: found 'x/y'"):
        read_frame_list(tmp_path / 'b.txt')
    with pytest.raises(ValueError, match='write it with'):
        read_frame_list(tmp_path / 'c.txt')
    write_frame_list(tmp_path / 'd.txt', [])
    with pytest.raises(ValueError, match='keeps no frame'):
        read_frame_list(tmp_path / 'd.txt')


def test_the_filter_writes_lists_reasons_and_pictures(
    checkpoint, drive_folder, tmp_path, monkeypatch
):
    """Every second prediction has a hole, by a network that is replaced by a formula."""
    calls = iter(range(100))

    def predict(self, image, camera):
        depth, labels = scene(90.0 if next(calls) % 2 else 12.0)
        return depth[::2, ::2][:, 8:72].copy(), labels[::2, ::2][:, 8:72].copy()

    monkeypatch.setattr(two_stage.CheckpointPredictor, '__call__', predict)
    half = PinholeCamera(64, 32, 60.0, 60.0, 31.5, 13.75)
    monkeypatch.setattr(
        two_stage.TripletDataset,
        'target',
        lambda self, index, learned: (np.zeros((32, 64, 3), np.uint8), half),
    )
    kept, report = tmp_path / 'kept.txt', tmp_path / 'report'
    counts = filter_frames(
        checkpoint, [FolderSource(path=drive_folder)], FilterSettings(), kept, report
    )
    assert counts == {KEPT: 3, INFINITE: 3}
    name = '/'.join(drive_folder.parts[-2:])
    assert read_frame_list(kept) == {f'{name}:{i}' for i in (1, 3, 5)}
    assert read_frame_list(report / 'dropped.txt') == {f'{name}:{i}' for i in (2, 4, 6)}
    with (report / 'frames.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert [row['verdict'] for row in rows] == [KEPT, INFINITE] * 3
    assert int(rows[1]['pixels_below']) > 10
    summary = json.loads((report / 'summary.json').read_text())
    assert summary['dropped_share'] == 0.5
    assert summary['settings']['metres'] == 3.3
    assert len(list((report / 'dropped').glob('*.jpg'))) == 3
    assert len(list((report / 'kept').glob('*.jpg'))) == 3


def test_two_stages_are_one_command(segmentation_checkpoint, drive_folder, tmp_path, monkeypatch):
    settings = depth_settings(
        segmentation_checkpoint, [FolderSource(path=drive_folder)], steps=1, two_stage=True
    )
    judged = []

    def judge_some(depth, labels, camera, settings, *, metric):
        judged.append(metric)
        reason = INFINITE if len(judged) in (2, 3) else KEPT
        return two_stage.Verdict(reason, np.zeros(depth.shape, bool))

    monkeypatch.setattr(two_stage, 'judge', judge_some)
    final = train_depth(settings, tmp_path)
    assert final == tmp_path / 'stage_2' / 'networks.pt' and final.exists()
    assert judged == [True] * 6
    data = json.loads((tmp_path / 'stage_2' / 'data.json').read_text())['sequences'][0]
    assert (data['samples'], data['left_out']['filtered']) == (4, 2)
    # Run again, it neither filters nor trains again.
    train_depth(settings, tmp_path)
    assert len(judged) == 6


def test_other_processes_wait_for_the_filter(
    segmentation_checkpoint, drive_folder, tmp_path, monkeypatch
):
    settings = depth_settings(
        segmentation_checkpoint, [FolderSource(path=drive_folder)], steps=1, two_stage=True
    )
    name = '/'.join(drive_folder.parts[-2:])

    def filter_elsewhere(settings, checkpoint, kept):
        Timer(0.5, write_frame_list, (kept, [f'{name}:3'])).start()

    monkeypatch.setattr(run, '_filter_once', filter_elsewhere)
    assert train_depth(settings, tmp_path).exists()


def test_what_the_vehicle_hides_is_not_judged(checkpoint, drive_folder, tmp_path, monkeypatch):
    seen = []

    def judge_nothing(depth, labels, camera, settings, *, metric):
        seen.append(np.isfinite(depth))
        return two_stage.Verdict(KEPT, np.zeros(depth.shape, bool))

    monkeypatch.setattr(two_stage, 'judge', judge_nothing)
    mask = np.full((32, 64), 255, np.uint8)
    mask[24:] = 0
    cv2.imwrite(str(tmp_path / 'hood.png'), mask)
    source = FolderSource(path=drive_folder, mask=tmp_path / 'hood.png')
    filter_frames(checkpoint, [source], FilterSettings(), tmp_path / 'k.txt', tmp_path / 'r')
    assert len(seen) == 6
    assert all((found == (mask > 0)).all() for found in seen)


def test_the_command_filters_a_folder(checkpoint, drive_folder, tmp_path):
    import typer

    app = typer.Typer()
    app.command()(filter_data)
    arguments = [
        '--checkpoint', checkpoint, '--data', drive_folder, '--out', tmp_path / 'kept.txt',
        '--report', tmp_path / 'report', '--metres', '7',
    ]  # fmt: skip
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    assert len(read_frame_list(tmp_path / 'kept.txt')) == 6
    summary = json.loads((tmp_path / 'report' / 'summary.json').read_text())
    assert summary['settings']['metres'] == 7
