# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
import os
import re
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from children import start_process

from sg_depth_ros.bundle import Bundle
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


def files(out: Path) -> set[str]:
    return {str(path.relative_to(out)) for path in out.rglob('*') if path.is_file()}


def test_nothing_of_an_earlier_run_stays_and_nothing_else_goes(tmp_path: Path) -> None:
    folder, out = tmp_path / 'in', tmp_path / 'out'
    folder.mkdir()
    for name in 'ab':
        save(folder / f'{name}.png', picture(80))
    (out / 'depth').mkdir(parents=True)
    (out / 'depth' / 'truth.npy').write_text("somebody else's")
    predict_path(folder, out, Stub())
    (folder / 'a.png').write_text('broken since then')
    report = predict_path(folder, out, Stub(), output='npy')
    assert report.written == 1
    results = {'depth/b.npy', 'color/b.png', 'depth/truth.npy'}
    assert files(out) == {*results, '.sg_depth_files'}
    # A list that names what lies elsewhere removes nothing there.
    (tmp_path / 'precious').touch()
    with (out / '.sg_depth_files').open('a') as file:
        file.write('../precious\n/etc/no_such_file\n')
    predict_path(folder / 'b.png', out, Stub())
    assert (tmp_path / 'precious').exists()
    assert files(out) == {'depth/b.png', 'color/b.png', 'depth/truth.npy', '.sg_depth_files'}


def test_a_shorter_video_leaves_no_frames_of_a_longer_one(tmp_path: Path) -> None:
    for name, frames in (('long', 5), ('short', 2)):
        with VideoWriter(tmp_path / f'{name}.mp4', 10) as video:
            for _ in range(frames):
                video.write(np.full((32, 48, 3), 100, np.uint8))
    out = tmp_path / 'out'
    for name, frames in (('long', 5), ('short', 2)):
        predict_path(tmp_path / f'{name}.mp4', out, Stub())
        assert len(list((out / 'depth').iterdir())) == frames
        assert len(list((out / 'color').iterdir())) == frames
    save(tmp_path / 'a.png', picture(80))
    predict_path(tmp_path / 'a.png', out, Stub())
    assert files(out) == {'depth/a.png', 'color/a.png', '.sg_depth_files'}


def test_the_images_themselves_are_never_overwritten(tmp_path: Path) -> None:
    save(tmp_path / 'a.png', picture(80))
    predict_path(tmp_path / 'a.png', tmp_path / 'out', Stub())
    colors = tmp_path / 'out' / 'color'
    before = (colors / 'a.png').read_bytes()
    for path in (colors, colors / 'a.png', tmp_path / 'out' / 'depth'):
        with pytest.raises(ValueError, match='lies where the results go'):
            predict_path(path, tmp_path / 'out', Stub())
    assert (colors / 'a.png').read_bytes() == before


def test_files_of_others_are_not_overwritten(tmp_path: Path) -> None:
    """A data set with true depth has the folders that results have."""
    images = tmp_path / 'data' / 'images'
    images.mkdir(parents=True)
    save(images / 'a.png', picture(80))
    foreign = [tmp_path / name for name in ('1/depth/a.png', '2/color/a.png', '3/depth.mp4')]
    for path in foreign:
        path.parent.mkdir(parents=True)
        path.write_text('truth')
    with VideoWriter(tmp_path / 'v.mp4', 10) as video:
        video.write(np.full((32, 48, 3), 100, np.uint8))
    for path, out in ((images, '1'), (images, '2'), (tmp_path / 'v.mp4', '3')):
        with pytest.raises(ValueError, match='is there already, and no earlier result'):
            predict_path(path, tmp_path / out, Stub())
    assert {path.read_text() for path in foreign} == {'truth'}


def test_an_interrupted_video_is_whole_as_far_as_it_goes(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / 'v.mp4', 10) as video:
        for _ in range(20):
            video.write(np.full((32, 48, 3), 100, np.uint8))

    def interrupt(done: int, total: int) -> None:
        if done == 12:
            raise KeyboardInterrupt

    out = tmp_path / 'out'
    with pytest.raises(KeyboardInterrupt, match=r'12 of 20 images are written to .*/out'):
        predict_path(tmp_path / 'v.mp4', out, Stub(), progress=interrupt)
    capture = cv2.VideoCapture(str(out / 'depth.mp4'))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 12
    assert len(list((out / 'depth').iterdir())) == 12


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_the_program_with_what_is_done(
    tmp_path: Path, formula_bundle: Bundle, number: int
) -> None:
    pytest.importorskip('typer')
    folder, out = tmp_path / 'in', tmp_path / 'out'
    folder.mkdir()
    for i in range(400):
        save(folder / f'{i:03d}.png', np.full((400, 800, 3), i % 200, np.uint8))
    program = 'from sg_depth_ros.cli.main import main; main()'
    process = start_process(
        [
            *(sys.executable, '-c', program, 'predict', str(folder), '--out', str(out)),
            *('--bundle', str(formula_bundle.path), '--engine', 'onnxruntime'),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while process.poll() is None and not (out / 'color' / '010.png').exists():
        time.sleep(0.01)
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 128 + number, error
    assert 'Traceback' not in error
    said = re.search(rf'interrupted: (\d+) of 400 images are written to {out}', error)
    done = [sorted(p.name for p in (out / name).iterdir()) for name in ('depth', 'color')]
    # The signal may come between the two files of an image.
    assert said and 10 < int(said[1]) < 400
    for names in done:
        assert len(names) - int(said[1]) in (0, 1)
        assert names == [f'{i:03d}.png' for i in range(len(names))]  # no half, no hidden files


def test_names_that_are_no_text_do_no_harm(tmp_path: Path, formula_bundle: Bundle) -> None:
    """Names are bytes, as archives of other systems leave them; this terminal knows ASCII."""
    pytest.importorskip('typer')
    folder, out = tmp_path / 'in', tmp_path / '\xf6'
    folder.mkdir()
    name = os.fsdecode(b'a\xff')
    save(tmp_path / 'a.png', picture(80))
    (tmp_path / 'a.png').rename(folder / f'{name}.png')
    (folder / f'{name}2.png').write_text('no image')
    program = 'from sg_depth_ros.cli.main import main; main()'
    command = [
        *(sys.executable, '-c', program, 'predict', str(folder), '--out', str(out)),
        *('--bundle', str(formula_bundle.path), '--engine', 'onnxruntime'),
    ]
    for _ in range(2):  # the second removes what the first has written
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env={**os.environ, 'PYTHONIOENCODING': 'ascii'},
        )
        assert done.returncode == 1 and 'Traceback' not in done.stderr
        assert '1 images written to' in done.stdout and '1 skipped:' in done.stdout
        assert (out / 'depth' / f'{name}.png').is_file()
