# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0

import cv2
import numpy as np
import pytest
from training_worlds import CAMERA, FPS, SPEED, picture, write_bag, write_drive

from sg_depth_ros.bundle.labels import ID
from sg_depth_ros.training.data.drives import read_drives
from sg_depth_ros.training.data.kitti import KittiOdometrySource, KittiRawSource
from sg_depth_ros.training.data.sources import (
    BagSource,
    FolderSource,
    StreetSource,
    VideoSource,
)
from sg_depth_ros.training.data.union import source_of_path

STEP = SPEED / FPS


def write_video(path, frames=5):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 10, (64, 32))
    for frame in range(frames):
        writer.write(picture(frame)[..., ::-1])
    writer.release()
    return path


def test_a_folder_has_intrinsics_poses_and_stamps(tmp_path):
    (sequence,) = FolderSource(path=write_drive(tmp_path / 'a', poses=True)).sequences()
    assert sequence.camera == CAMERA
    np.testing.assert_allclose(sequence.moved, STEP)
    assert sequence.distance(3, 1) == pytest.approx(2 * STEP)
    np.testing.assert_array_equal(sequence.frames[2], picture(2))
    (sequence,) = FolderSource(path=write_drive(tmp_path / 'b', speeds=True)).sequences()
    np.testing.assert_allclose(sequence.moved, STEP)
    np.testing.assert_allclose(sequence.stamps, np.arange(5) / FPS)
    unused = FolderSource(path=tmp_path / 'b', use_speed=False, learn_intrinsics=True)
    assert unused.sequences()[0].moved is None
    assert unused.sequences()[0].camera is None


def test_a_folder_complains_of_rows_that_do_not_fit(tmp_path):
    folder = write_drive(tmp_path / 'a', poses=True)
    (folder / 'poses.txt').write_text('1 0 0 0 0 1 0 0 0 0 1 0\n')
    with pytest.raises(ValueError, match='1 lines of 12 numbers, expected 5 of 12'):
        FolderSource(path=folder).sequences()
    (folder / 'poses.txt').unlink()
    (folder / 'timestamps.csv').write_text('stamp\n1\n2\n')
    with pytest.raises(ValueError, match='2 rows, expected 5'):
        FolderSource(path=folder).sequences()
    (folder / 'timestamps.csv').write_text('stamp\n1\n2\nx\n4\n5\n')
    with pytest.raises(ValueError, match='column stamp'):
        FolderSource(path=folder).sequences()


def test_stamps_and_speeds_may_lie_in_two_files(tmp_path):
    folder = write_drive(tmp_path / 'a')
    (folder / 'timestamps.csv').write_text('stamp\n0\n1\n2\n3\n4\n')
    (folder / 'speeds.csv').write_text('speed\n4\n4\n4\n4\n4\n')
    (sequence,) = FolderSource(path=folder).sequences()
    assert sequence.moved.tolist() == [4, 4, 4, 4]


def test_a_video_takes_the_files_beside_it(tmp_path):
    video = write_video(tmp_path / 'clip.avi')
    (sequence,) = VideoSource(path=video).sequences()
    assert sequence.camera is None
    assert len(sequence.frames) == 5
    CAMERA.to_json(tmp_path / 'camera.json')
    rows = ''.join(f'{i},{i / FPS},{SPEED}\n' for i in range(5))
    (tmp_path / 'timestamps.csv').write_text(f'index,stamp,speed\n{rows}')
    (tmp_path / 'labels').mkdir()
    cv2.imwrite(str(tmp_path / 'labels' / '000002.png'), np.full((32, 64), 7, np.uint8))
    (sequence,) = VideoSource(path=video, labels=tmp_path / 'labels').sequences()
    assert sequence.camera == CAMERA
    np.testing.assert_allclose(sequence.moved, STEP)
    assert (sequence.labels(2) == 7).all()
    assert (sequence.labels(1) == 255).all()
    with pytest.raises(ValueError, match='no such video'):
        VideoSource(path=tmp_path / 'none.mp4').sequences()
    (tmp_path / 'text.mp4').write_text('no video')
    with pytest.raises(ValueError, match='is no video that OpenCV can read'):
        VideoSource(path=tmp_path / 'text.mp4').sequences()


def test_a_bag_gives_camera_speed_and_order(tmp_path):
    source = BagSource(path=write_bag(tmp_path / 'bag', broken=(2,)), min_motion=0)
    (sequence,) = source.sequences()
    assert sequence.camera == CAMERA
    assert len(sequence.frames) == 5
    assert len(sequence.skipped) == 1
    # The distance over the broken image is that of two intervals.
    np.testing.assert_allclose(sequence.moved, [STEP, 2 * STEP, STEP, STEP], rtol=1e-5)
    np.testing.assert_array_equal(sequence.frames[2], picture(3))
    drives = read_drives([source])
    assert any('truncated' in note for note in drives.notes)


def test_a_bag_shows_gaps_and_standing(tmp_path):
    path = write_bag(tmp_path / 'bag', frames=12, lost=(5, 6, 7))
    drives = read_drives([BagSource(path=path)])
    assert drives.clips[0].selection.left_out == {'gap in time': 2, 'no neighbour': 2}
    standing = write_bag(tmp_path / 'standing', odometry=True)
    with pytest.raises(ValueError, match=r'none of its 6 frames.*4 standing still'):
        read_drives([BagSource(path=standing, min_distance=0.6)])


def test_a_bag_without_intrinsics_learns_them(tmp_path):
    path = write_bag(tmp_path / 'bag', odometry=False, info=False)
    drives = read_drives([BagSource(path=path, min_motion=0)])
    assert drives.cameras == [f'{tmp_path.name}/bag']
    assert drives.clips[0].camera == 0
    assert 'its intrinsics are unknown; a training learns them' in drives.notes[0]
    CAMERA.to_json(tmp_path / 'c.json')
    known = BagSource(path=path, min_motion=0, camera=tmp_path / 'c.json')
    assert read_drives([known]).cameras == []


def test_stamps_of_zero_are_replaced_by_times_of_recording(tmp_path):
    from sg_depth_ros.bags import BagWriter, compressed_image_message

    with BagWriter(tmp_path / 'bag') as bag:
        for frame in range(4):
            message = compressed_image_message(picture(frame), 0, 'camera')
            bag.write('/image/compressed', message, 10**18 + frame * 10**8)
    (sequence,) = BagSource(path=tmp_path / 'bag').sequences()
    np.testing.assert_allclose(np.diff(sequence.stamps), 0.1, atol=1e-6)


def write_kitti_raw(root, frames=6):
    date, drive = '2011_09_26', '2011_09_26_drive_0001_sync'
    folder = root / date / drive
    for name in ('image_02/data', 'oxts/data'):
        (folder / name).mkdir(parents=True)
    matrix = f'{CAMERA.fx} 0 {CAMERA.cx} 45 0 {CAMERA.fy} {CAMERA.cy} 0 0 0 1 0'
    size = f'{CAMERA.width} {CAMERA.height}'
    (root / date / 'calib_cam_to_cam.txt').write_text(f'S_rect_02: {size}\nP_rect_02: {matrix}\n')
    times = []
    for i in range(frames):
        cv2.imwrite(str(folder / f'image_02/data/{i:010d}.png'), picture(i)[..., ::-1])
        values = ['0'] * 8 + ['3.0', '4.0', '0.0'] + ['0'] * 19
        (folder / f'oxts/data/{i:010d}.txt').write_text(' '.join(values))
        times.append(f'2011-09-26 13:02:25.{100000000 * i:09d}')
    (folder / 'image_02/timestamps.txt').write_text('\n'.join(times) + '\n')
    return date, drive


def test_kitti_raw_has_splits_calibration_and_speed(tmp_path):
    date, drive = write_kitti_raw(tmp_path)
    split = tmp_path / 'train_files.txt'
    split.write_text(f'{date}/{drive} 2 l\n{date}/{drive} 4 l\n{date}/{drive} 5 l\n')
    drives = read_drives([KittiRawSource(path=tmp_path, split=split)])
    clip = drives.clips[0]
    assert clip.sequence.camera == CAMERA
    np.testing.assert_allclose(clip.sequence.moved, 0.5, rtol=1e-6)
    assert clip.selection.targets.tolist() == [2, 4]
    whole = read_drives([KittiRawSource(path=tmp_path)])
    assert whole.clips[0].selection.targets.tolist() == [1, 2, 3, 4]
    with pytest.raises(ValueError, match='unpack KITTI raw'):
        KittiRawSource(path=tmp_path / date).sequences()


def test_kitti_raw_may_have_been_made_smaller(tmp_path):
    date, drive = write_kitti_raw(tmp_path)
    width, height = CAMERA.width // 2, CAMERA.height // 2
    for file in (tmp_path / date / drive / 'image_02/data').iterdir():
        cv2.imwrite(str(file), cv2.resize(cv2.imread(str(file)), (width, height)))
    (sequence,) = KittiRawSource(path=tmp_path).sequences()
    assert sequence.camera == CAMERA.resized(width, height)


def test_kitti_calibration_that_is_not_whole_is_named(tmp_path):
    date, _ = write_kitti_raw(tmp_path)
    (tmp_path / date / 'calib_cam_to_cam.txt').write_text('S_rect_02: 64 48\n')
    with pytest.raises(ValueError, match=r'calib_cam_to_cam\.txt has no P_rect_02 of 3 x 4'):
        KittiRawSource(path=tmp_path).sequences()


def test_kitti_odometry_has_poses_and_times(tmp_path):
    folder = tmp_path / 'sequences' / '03'
    (folder / 'image_2').mkdir(parents=True)
    for i in range(4):
        cv2.imwrite(str(folder / f'image_2/{i:06d}.png'), picture(i)[..., ::-1])
    matrix = f'{CAMERA.fx} 0 {CAMERA.cx} 0 0 {CAMERA.fy} {CAMERA.cy} 0 0 0 1 0'
    (folder / 'calib.txt').write_text(f'P0: {matrix}\nP2: {matrix}\n')
    (folder / 'times.txt').write_text('0\n0.1\n0.2\n0.3\n')
    (sequence,) = KittiOdometrySource(path=tmp_path).sequences()
    assert sequence.camera == CAMERA
    assert sequence.moved is None
    poses = np.tile(np.eye(4)[:3], (4, 1, 1))
    poses[:, 2, 3] = [0, 1, 3, 6]
    (tmp_path / 'poses').mkdir()
    np.savetxt(tmp_path / 'poses' / '03.txt', poses.reshape(4, 12))
    (sequence,) = KittiOdometrySource(path=tmp_path, drives=('03',)).sequences()
    np.testing.assert_allclose(sequence.moved, [1, 2, 3])
    with pytest.raises(ValueError, match='has the drives 03, expected 07'):
        KittiOdometrySource(path=tmp_path, drives=('07',)).sequences()


def test_the_street_is_rendered_once_and_has_exact_depth(tmp_path):
    source = StreetSource(cache=tmp_path, clips=1, frames=3, size=(64, 32))
    (clip,) = source.folders()
    before = (clip / 'camera.json').stat().st_mtime_ns
    (sequence,) = source.sequences()
    assert (clip / 'camera.json').stat().st_mtime_ns == before
    depth, labels = sequence.depth(1), sequence.labels(1)
    assert depth.shape == labels.shape == (32, 64)
    assert np.isinf(depth[labels == ID['sky']]).all()
    assert np.nanmin(depth) > 0
    blind = source.model_copy(update={'use_depth': False})
    assert blind.sequences()[0].depth is None


def test_processes_that_render_the_same_street_at_once_do_not_disturb_each_other(
    tmp_path, monkeypatch
):
    source = StreetSource(cache=tmp_path, clips=2, frames=1, size=(64, 32))
    render, begun = StreetSource.drive, []

    def render_while_another_does(self, index):
        begun.append(index)
        frames = list(render(self, index))
        if len(begun) == 1:
            source.folders()
        return frames

    monkeypatch.setattr(StreetSource, 'drive', render_while_another_does)
    clips = source.folders()
    # The other one has rendered both; this one the first as well, which it had begun.
    assert len(begun) == 3
    assert [len(list((clip / 'images').iterdir())) for clip in clips] == [1, 1]
    assert len(list(clips[0].parent.iterdir())) == 2
    monkeypatch.setattr('sg_depth_ros.training.data.sources.write_folder', _fails)
    with pytest.raises(OSError, match='full'):
        source.model_copy(update={'seed': 1}).folders()


def _fails(*_):
    raise OSError('the disk is full')


def test_intrinsics_and_masks_of_another_size_are_refused(tmp_path):
    folder = write_drive(tmp_path / 'a', poses=True)
    mask = tmp_path / 'mask.png'
    cv2.imwrite(str(mask), np.zeros((10, 10), np.uint8))
    with pytest.raises(ValueError, match='64x32, its mask is 10x10'):
        read_drives([FolderSource(path=folder, mask=mask)])
    with pytest.raises(ValueError, match='cannot be read as a mask'):
        read_drives([FolderSource(path=folder, mask=tmp_path / 'none.png')])
    CAMERA.resized(128, 64).to_json(folder / 'camera.json')
    with pytest.raises(ValueError, match='64x32, the intrinsics belong to 128x64'):
        read_drives([FolderSource(path=folder)])


def test_sequences_of_one_frame_are_named_and_refused_alone(tmp_path):
    good = FolderSource(path=write_drive(tmp_path / 'good', poses=True))
    single = FolderSource(path=write_drive(tmp_path / 'single', frames=1))
    with pytest.raises(ValueError, match=r'single: none of its 1 frames.*1 no neighbour'):
        read_drives([good, single])
    with pytest.raises(ValueError, match='two sources are called'):
        read_drives([good, good])
    with pytest.raises(ValueError, match='no sources'):
        read_drives([])


def test_a_list_of_kept_frames_limits_the_targets(drive_folder):
    name = '/'.join(drive_folder.parts[-2:])
    drives = read_drives([FolderSource(path=drive_folder)], {f'{name}:2', f'{name}:5', 'x:1'})
    assert drives.clips[0].selection.targets.tolist() == [2, 5]
    assert drives.clips[0].selection.left_out['filtered'] == 4


def test_a_path_is_taken_for_what_it_is(tmp_path):
    write_kitti_raw(tmp_path / 'kitti')
    bag = write_bag(tmp_path / 'bag', frames=2)
    folder = write_drive(tmp_path / 'folder')
    video = write_video(tmp_path / 'clip.avi')
    kinds = [source_of_path(p).kind for p in (bag, folder, folder / 'images', video)]
    assert kinds == ['bag', 'folder', 'folder', 'video']
    assert source_of_path(tmp_path / 'kitti').kind == 'kitti_raw'
    with pytest.raises(ValueError, match='does not exist'):
        source_of_path(tmp_path / 'nothing')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError, match='neither a bag nor images'):
        source_of_path(tmp_path / 'empty')


def test_a_real_bag_and_real_poses(real_data):
    (bag,) = BagSource(path=real_data / 'bags' / 'kitti_city').sequences()
    assert len(bag.frames) == 91
    assert bag.camera is not None
    assert bag.camera.fx == pytest.approx(721.5377)
    np.testing.assert_allclose(np.diff(bag.stamps), 0.1, atol=0.02)
    folder = FolderSource(path=real_data / 'sequences' / 'kitti_vo_a_gray', images='frames')
    drives = read_drives([folder])
    assert drives.counts == [49]
    assert 0.1 < drives.clips[0].sequence.moved.mean() < 3
