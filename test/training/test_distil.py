# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0

import json

import cv2
import numpy as np
import pytest
from test_triangulation import STREET
from test_vehicles import CAMERA as STREET_CAMERA
from test_vehicles import road
from training_worlds import depth_settings, write_drive
from typer.testing import CliRunner

from sg_depth_ros.cli.train import app
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.images.files import list_images, read_depth, read_rgb
from sg_depth_ros.images.resize import resize_image
from sg_depth_ros.training import distil
from sg_depth_ros.training.data.sources import FolderSource
from sg_depth_ros.training.data.vehicles import VehicleSettings
from sg_depth_ros.training.distil import DistilSettings, Teacher, write_teaching
from sg_depth_ros.training.predictor import CheckpointPredictor
from sg_depth_ros.training.run import train_depth


def test_the_command_writes_the_mean_of_its_teachers_to_train_by(
    checkpoint, segmentation_checkpoint, drive_folder, tmp_path
):
    config, out = tmp_path / 'distil.yaml', tmp_path / 'taught'
    config.write_text(
        f'teachers: [{{checkpoint: {checkpoint}}}, '
        f'{{checkpoint: {checkpoint}, size: [96, 64], mirror: true}}]\n'
        f'sources: [{{kind: folder, path: {drive_folder}}}]\n'
        'size: [64, 32]\nfocal_length: 5000\nvehicles: null\n'
    )
    result = CliRunner().invoke(app, ['distil', str(config), '--out', str(out), 'images=3'])
    assert result.exit_code == 0, result.output
    assert '3 images are in' in result.output
    images = list_images(out / 'images')
    # The first and the last frame of a drive are no targets.
    assert [stem.rsplit('_', 1)[1] for stem in images] == ['1', '3', '6']
    assert PinholeCamera.from_json(out / 'camera.json').matrix.tolist() == [
        [5000, 0, 31.5], [0, 5000, 15.5], [0, 0, 1]
    ]  # fmt: skip

    predict = CheckpointPredictor(checkpoint)
    for stem, path in images.items():
        original = read_rgb(drive_folder / 'images' / f'{int(stem.rsplit("_", 1)[1]):06d}.png')
        assert np.abs(read_rgb(path).astype(int) - original).mean() < 3
        first = np.log(predict(resize_image(original, 64, 32), camera(64, 32, 5000.0))[0])
        other = resize_image(original, 96, 64)
        mirrored = np.ascontiguousarray(other[:, ::-1])
        looks = [predict(image, camera(96, 64, 7500.0))[0] for image in (other, mirrored)]
        second = (np.log(looks[0]) + np.log(looks[1])[:, ::-1]) / 2
        second = cv2.resize(second, (64, 32), interpolation=cv2.INTER_LINEAR)
        second += np.median(first) - np.median(second)
        depth = read_depth(out / 'depth' / path.name)
        assert np.log(depth) == pytest.approx((first + second) / 2, abs=0.002)

    source = FolderSource(path=out, use_depth=True, stills=True)
    assert train_depth(
        depth_settings(segmentation_checkpoint, [source], focal_length=5000.0), tmp_path / 'run'
    ).exists()
    again = CliRunner().invoke(app, ['distil', str(config), '--out', str(out)])
    assert 'exists; give another folder' in str(again.exception)


def camera(width, height, focal_length):
    return PinholeCamera(
        width, height, focal_length, focal_length, width / 2 - 0.5, height / 2 - 0.5
    )


class Knowing:
    """Stands for networks that see the road of test_vehicles, with cars half as far again."""

    size = (320, 128)
    scale = 'relative'

    def __init__(self, checkpoint):
        self.scene = road(12.0, depth_of_car=18.0)

    def __call__(self, image, camera):
        assert image.shape == self.scene.image.shape
        return self.scene.depth, self.scene.labels


@pytest.fixture
def traffic(tmp_path, monkeypatch, checkpoint):
    """Settings of what is written of two images with a car."""
    monkeypatch.setattr(distil, 'CheckpointPredictor', Knowing)
    monkeypatch.setattr(distil.PinholeCamera, 'centred', lambda *_: STREET_CAMERA)
    folder = tmp_path / 'traffic'
    (folder / 'images').mkdir(parents=True)
    large = road(12.0).image.repeat(2, 0).repeat(2, 1)
    for name in 'abcd':
        cv2.imwrite(str(folder / 'images' / f'{name}.png'), large[..., ::-1])
    return DistilSettings(
        teachers=[Teacher(checkpoint=checkpoint)],
        sources=[FolderSource(path=folder, min_motion=0.0)],
        size=(320, 128),
        focal_length=200.0,
        vehicles=VehicleSettings(copies=2, most=1, distance=(6.0, 6.0), queue=0.0),
    )


def test_vehicles_are_corrected_and_set_nearer(traffic, tmp_path):
    out = tmp_path / 'out'
    assert write_teaching(traffic, out) == (6, 0, 2)
    assert (out / 'examples.png').exists()
    stems = sorted(list_images(out / 'images'))
    assert [stem.split('traffic_')[1] for stem in stems] == ['1', '1_1', '1_2', '2', '2_1', '2_2']
    assert json.loads((out / 'scale.json').read_text()) == {'scale': 'relative'}
    car = road(12.0).labels == 13
    depths = [read_depth(out / 'depth' / f'{stem}.png') for stem in stems]
    assert depths[0][car] == pytest.approx(12.0, rel=0.05)
    for depth in depths[1:3]:
        near = np.abs(depth - 6.0) < 0.01
        # Twice as near is four times as large, where the image's edge does not cut it.
        assert 2 < (near & (depth != depths[0])).sum() / car.sum() < 4.5
    assert (depths[1] != depths[2]).any()


def test_what_the_vehicle_hides_is_unknown_and_stays_in_front(traffic, tmp_path):
    mask = np.full((256, 640), 255, np.uint8)
    mask[160:] = 0
    cv2.imwrite(str(tmp_path / 'hood.png'), mask)
    (source,) = traffic.sources
    masked = source.model_copy(update={'mask': tmp_path / 'hood.png'})
    write_teaching(traffic.model_copy(update={'sources': [masked]}), tmp_path / 'out')
    images = list_images(tmp_path / 'out/images')
    original = read_rgb(next(iter(images.values())))
    for stem, path in images.items():
        depth = read_depth(tmp_path / 'out/depth' / f'{stem}.png')
        assert np.isnan(depth[80:]).all() and np.isfinite(depth[70:80]).any()
        # Blurred by a pixel or two at the edge alone.
        assert (read_rgb(path)[84:] == original[84:]).all()


def test_without_traffic_it_says_what_to_do(traffic, tmp_path, monkeypatch):
    monkeypatch.setattr(Knowing, '__init__', lambda self, _: setattr(self, 'scene', road()))
    with pytest.raises(ValueError, match='road was found in 2 images'):
        write_teaching(traffic, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()
    alone = traffic.model_copy(update={'vehicles': None})
    assert write_teaching(alone, tmp_path / 'out') == (2, 0, 0)


def test_images_are_shared_by_weight(traffic, segmentation_checkpoint, tmp_path):
    other = FolderSource(path=write_drive(tmp_path / 'other', frames=12), weight=3.0)
    settings = traffic.model_copy(
        update={'sources': [*traffic.sources, other], 'images': 4, 'vehicles': None}
    )
    write_teaching(settings, tmp_path / 'out')
    stems = sorted(list_images(tmp_path / 'out' / 'images'))
    assert [stem.rsplit('_', 2)[1:] for stem in stems] == [
        ['other', '1'], ['other', '10'], ['other', '5'], ['traffic', '1']
    ]  # fmt: skip


class Flattening:
    """Stands for networks that see the street with all that is far too near."""

    size = (640, 192)
    scale = 'metric'

    def __init__(self, checkpoint):
        frame = list(STREET.drive(0))[1]
        self.true = frame.depth[::2, ::2].astype(np.float32)
        self.flat = (8 * (np.minimum(self.true, 100) / 8) ** 0.8).astype(np.float32)
        self.labels = frame.labels[::2, ::2].copy()

    def __call__(self, image, camera):
        return self.flat, self.labels


def test_what_stands_still_is_corrected_by_parallax(tmp_path, monkeypatch, checkpoint):
    monkeypatch.setattr(distil, 'CheckpointPredictor', Flattening)
    street = STREET.model_copy(update={'cache': tmp_path / 'street'})
    settings = DistilSettings(
        teachers=[Teacher(checkpoint=checkpoint)],
        sources=[street],
        images=1,
        focal_length=371.2,
        vehicles=None,
    )
    assert write_teaching(settings, tmp_path / 'bent') == (1, 1, 0)
    flat = settings.model_copy(update={'triangulate': False})
    assert write_teaching(flat, tmp_path / 'flat') == (1, 0, 0)
    true = Flattening(checkpoint).true
    known = true < 80

    def error(folder):
        (path,) = list_images(tmp_path / folder / 'depth').values()
        ratio = np.log(read_depth(path)[known] / true[known])
        return np.abs(ratio - np.median(ratio)).mean()

    assert error('flat') > 0.09
    assert error('bent') < 0.04
