# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
import struct
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from sg_depth_ros.bundle.labels import CITYSCAPES, ID
from sg_depth_ros.engines import StageSeconds
from sg_depth_ros.estimator import Prediction
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.images.video import VideoWriter
from sg_depth_ros.predict import predict_path

CAMERA = PinholeCamera(40, 20, 30.0, 30.0, 19.5, 9.5)


class Stub:
    """Depth is red / 8 for a focal length of 30, or as given; dark is sky, blue unknown."""

    bundle = SimpleNamespace(
        labels=CITYSCAPES,
        manifest=SimpleNamespace(
            depth=SimpleNamespace(scale='metric', training_focal_length=32.0),
            input=SimpleNamespace(width=64),
        ),
    )

    def predict(self, image, camera=None, size='network') -> Prediction:
        assert size == 'image'
        depth = image[..., 0].astype(np.float32) / 8 * (camera.fx / 30 if camera else 1)
        depth[image[..., 2] > 200] = np.nan
        labels = np.where(image.max(2) < 30, ID['sky'], ID['road']).astype(np.uint8)
        return Prediction(depth, labels, image, camera, StageSeconds(0, 0))


def picture(red: int) -> np.ndarray:
    rgb = np.zeros((20, 40, 3), np.uint8)
    rgb[5:, :, 0] = red
    rgb[15:, :, 2] = 255
    return rgb


def save(path: Path, rgb: np.ndarray) -> None:
    cv2.imwrite(str(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))


def test_one_image_as_png(tmp_path: Path) -> None:
    save(tmp_path / 'a.png', picture(80))
    steps = []
    report = predict_path(
        tmp_path / 'a.png', tmp_path / 'out', Stub(), progress=lambda *s: steps.append(s)
    )
    assert (report.written, report.skipped, steps) == (1, [], [(1, 1)])
    depth = cv2.imread(str(tmp_path / 'out/depth/a.png'), cv2.IMREAD_UNCHANGED)
    assert (depth.dtype, depth.shape) == (np.uint16, (20, 40))
    assert depth[10, 5] == 10 * 256
    assert depth[0, 0] == 0  # sky
    assert depth[19, 0] == 0  # unknown
    color = cv2.imread(str(tmp_path / 'out/color/a.png'))
    assert color.shape == (20, 40, 3)
    assert len({tuple(color[y, 0]) for y in (0, 10, 19)}) == 3


def test_sky_but_for_a_few_pixels_is_no_error(tmp_path: Path) -> None:
    rgb = np.zeros((20, 40, 3), np.uint8)
    rgb[1, 1, 0] = 80
    save(tmp_path / 'a.png', rgb)
    predict_path(tmp_path / 'a.png', tmp_path, Stub())
    depth = cv2.imread(str(tmp_path / 'depth/a.png'), cv2.IMREAD_UNCHANGED)
    assert depth.sum() == depth[1, 1] == 10 * 256


def test_npy_keeps_sky_and_unknown_apart_and_follows_the_focal_length(tmp_path: Path) -> None:
    save(tmp_path / 'a.png', picture(80))
    wide = PinholeCamera(80, 40, 120.0, 120.0, 39.5, 19.5)
    predict_path(tmp_path / 'a.png', tmp_path, Stub(), wide, 'npy')
    depth = np.load(tmp_path / 'depth' / 'a.npy')
    assert depth[10, 5] == 20  # the image is half the camera's size, so fx is 60
    assert np.isposinf(depth[0]).all()
    assert np.isnan(depth[19]).all()


def test_ply_holds_the_finite_points(tmp_path: Path) -> None:
    save(tmp_path / 'a.png', picture(80))
    with pytest.raises(ValueError, match=r'give --camera camera\.json'):
        predict_path(tmp_path / 'a.png', tmp_path / 'out', Stub(), output='ply')
    assert not (tmp_path / 'out').exists()
    predict_path(tmp_path / 'a.png', tmp_path / 'out', Stub(), CAMERA, 'ply')
    header, _, body = (tmp_path / 'out/depth/a.ply').read_bytes().partition(b'end_header\n')
    assert b'element vertex 400\n' in header
    layout = [(n, '<f4') for n in 'xyz'] + [(n, 'u1') for n in 'rgbl']
    points = np.frombuffer(body, layout)
    assert (points['z'] == 10).all()
    assert points['x'].max() == pytest.approx(19.5 / 30 * 10)
    assert set(points['l']) == {ID['road']}


def test_folder_names_counts_and_skips_what_is_broken(tmp_path: Path) -> None:
    source = tmp_path / 'in'
    source.mkdir()
    save(source / 'a.png', picture(80))
    save(source / 'b.jpg', picture(160))
    save(source / 'b.png', picture(160))
    (source / 'broken.jpg').write_bytes((source / 'b.jpg').read_bytes()[:150])
    (source / 'empty.png').write_bytes(b'')
    (source / 'notes.txt').write_text('not an image')
    save(source / 'other.png', np.full((30, 30, 3), 90, np.uint8))
    report = predict_path(source, tmp_path / 'out', Stub(), CAMERA)
    assert report.written == 3
    assert [text.split(':')[0] for text in report.skipped] == ['broken.jpg', 'empty.png', 'other']
    assert 'the image is 30x30, the camera 40x20' in report.skipped[2]
    names = sorted(path.name for path in (tmp_path / 'out' / 'depth').iterdir())
    assert names == ['a.png', 'b.jpg.png', 'b.png.png']


def test_colours_are_the_same_for_all_frames(tmp_path: Path) -> None:
    source = tmp_path / 'in'
    source.mkdir()
    near, both = picture(80), picture(80)
    both[5:10, :, 0] = 240
    save(source / 'a.png', near)
    save(source / 'b.png', both)
    predict_path(source, tmp_path / 'out', Stub())
    first, second = (cv2.imread(str(tmp_path / f'out/color/{n}.png')) for n in 'ab')
    assert first[12, 0].tolist() == second[12, 0].tolist()
    assert second[7, 0].tolist() != second[12, 0].tolist()


def test_video(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / 'v.mp4', 10) as writer:
        for red in (80, 160, 240):
            writer.write(picture(red))
    if not (tmp_path / 'v.mp4').exists():
        pytest.skip('this OpenCV has no MPEG-4 encoder')
    report = predict_path(tmp_path / 'v.mp4', tmp_path / 'out', Stub())
    assert report.written == 3
    names = sorted(path.name for path in (tmp_path / 'out' / 'color').iterdir())
    assert names == ['000000.png', '000001.png', '000002.png']
    assert (tmp_path / 'out' / 'depth.mp4').stat().st_size > 1000


def test_photographs_and_videos_are_taken_upright(tmp_path: Path) -> None:
    """By one rule: as every viewer shows them, and as their intrinsics are meant."""
    save(tmp_path / 'a.jpg', picture(160))
    data = (tmp_path / 'a.jpg').read_bytes()
    tiff = b'Exif\0\0II*\0' + struct.pack('<IHHHIHHI', 8, 1, 0x0112, 3, 1, 6, 0, 0)
    segment = b'\xff\xe1' + struct.pack('>H', len(tiff) + 2) + tiff
    (tmp_path / 'a.jpg').write_bytes(data[:2] + segment + data[2:])
    predict_path(tmp_path / 'a.jpg', tmp_path / 'out', Stub(), output='npy')
    depth = np.load(tmp_path / 'out/depth/a.npy')
    assert depth.shape == (40, 20)
    assert np.isposinf(depth[:, -4:]).all()  # sky was above, which a turn clockwise puts right
    report = predict_path(tmp_path / 'a.jpg', tmp_path / 'out', Stub(), CAMERA.resized(20, 40))
    assert report.written == 1


def test_without_a_camera_the_focal_length_is_named(tmp_path: Path) -> None:
    save(tmp_path / 'a.png', picture(80))
    report = predict_path(tmp_path / 'a.png', tmp_path / 'out', Stub())
    assert report.notes == [
        'no --camera: depth is that of a camera whose focal length is 0.5 times the width of the '
        'image; with another it is wrong by a factor'
    ]
    assert predict_path(tmp_path / 'a.png', tmp_path / 'out', Stub(), CAMERA).notes == []


def test_companions_are_no_images_and_other_formats_are_named(tmp_path: Path) -> None:
    source = tmp_path / 'in'
    source.mkdir()
    save(source / 'a.png', picture(80))
    (source / '._a.png').write_bytes(b'\0\5\x16\7')
    (source / '._b.tif').write_bytes(b'\0\5\x16\7')
    save(source / 'c.bmp', picture(80))
    report = predict_path(source, tmp_path / 'out', Stub())
    assert report.written == 1
    assert report.skipped == ['c.bmp: only JPEG and PNG are read; convert it to PNG']
    with pytest.raises(ValueError, match='only JPEG and PNG are read'):
        predict_path(source / 'c.bmp', tmp_path / 'out', Stub())


def test_a_video_that_ends_too_early_is_told(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(
        'sg_depth_ros.images.video.cv2.CAP_PROP_FRAME_COUNT', cv2.CAP_PROP_FRAME_WIDTH
    )  # 40 frames are promised
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VideoWriter, '_require_whole', lambda self: None)
        with VideoWriter(tmp_path / 'v.mp4', 10) as writer:
            for red in (80, 160, 240):
                writer.write(picture(red))
    report = predict_path(tmp_path / 'v.mp4', tmp_path / 'out', Stub(), CAMERA)
    assert report.written == 3
    [reason] = report.skipped
    assert 'v.mp4 is cut off or damaged: 3 frames of about 40' in reason


def test_errors_say_what_to_give(tmp_path: Path) -> None:
    (tmp_path / 'a.txt').write_text('')
    (tmp_path / 'b.png').write_bytes(b'\x89PNG')
    (tmp_path / 'folder').mkdir()
    for name, text in (
        ('none', 'does not exist'),
        ('a.txt', 'neither an image'),
        ('folder', 'holds no images'),
        ('b.png', r'has no image that can be used: b\.png'),
    ):
        with pytest.raises(ValueError, match=text):
            predict_path(tmp_path / name, tmp_path / 'out', Stub())
