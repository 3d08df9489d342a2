# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from evaluation_worlds import CAMERA, LIDAR_IN_CAMERA, lidar_points, road, write_bag

from sg_depth_ros.bags import BagReader, BagWriter
from sg_depth_ros.evaluation.frames import EvaluationError
from sg_depth_ros.evaluation.metrics import compute_depth_errors
from sg_depth_ros.evaluation.sources.bag import BagSource
from sg_depth_ros.evaluation.sources.folder import FolderSource
from sg_depth_ros.evaluation.sources.kitti import (
    KittiSource,
    raw_lidar_depth,
    read_calibration,
    read_split,
)
from sg_depth_ros.images.files import ImageFileError

DATA = Path(os.environ.get('SG_DEPTH_DATA', '../shared/data'))


def test_folder(folder):
    source = FolderSource(folder)
    assert source.names() == ['000', '001', '002', '003']
    frame = next(iter(source.frames({'002', '003'})))
    image, depth = road(2)
    assert np.array_equal(frame.image, image)
    assert frame.truth == pytest.approx(depth, abs=1 / 512)
    assert frame.camera == CAMERA
    assert frame.labels is not None and (frame.labels == 13).any()
    assert dict(source.truths())['001'] == pytest.approx(road(1)[1], abs=1 / 512)


def test_folder_zero_is_no_truth(folder):
    cv2.imwrite(str(folder / 'depth/000.png'), np.eye(64, 96, dtype=np.uint16) * 512)
    frame = next(iter(FolderSource(folder).frames({'000'})))
    assert np.nansum(frame.truth) == 64 * 2
    assert np.isnan(frame.truth).sum() == 64 * 95


def test_folder_complains_clearly(folder):
    with pytest.raises(EvaluationError, match='16-bit PNG'):
        FolderSource(folder / 'images')
    (folder / 'depth/003.png').unlink()
    assert '1 images have no depth' in FolderSource(folder).notes[0]
    (folder / 'intrinsics.csv').write_text('name,fx,fy,cx,cy\n000,80,80,1,1\n')
    with pytest.raises(EvaluationError, match='no row for 001'):
        FolderSource(folder)
    (folder / 'intrinsics.csv').write_text('name,fx,fy,cx,cy\n' + '000,80,80,1,1\n' * 2)
    with pytest.raises(EvaluationError, match=r"intrinsics\.csv: '000' is there twice"):
        FolderSource(folder)
    (folder / 'intrinsics.csv').unlink()
    assert 'no correction for focal length' in FolderSource(folder).notes[1]
    cv2.imwrite(str(folder / 'depth/000.png'), np.zeros((64, 96), np.uint8))
    with pytest.raises(ImageFileError, match='16-bit gray PNG'):
        list(FolderSource(folder).frames({'000'}))


def test_folder_scales_its_camera_to_images_that_were_resized(folder):
    (folder / 'intrinsics.csv').unlink()
    CAMERA.resized(192, 128).to_json(folder / 'camera.json')
    frame = next(iter(FolderSource(folder).frames({'002'})))
    assert frame.camera == CAMERA
    CAMERA.resized(192, 64).to_json(folder / 'camera.json')
    with pytest.raises(EvaluationError, match='002: the image is 96x64, the camera 192x64'):
        list(FolderSource(folder).frames({'002'}))


def test_bag_gives_the_truth_of_the_world(bag):
    source = BagSource(bag)
    frames = list(source.frames(source.names()))
    assert [frame.stamp for frame in frames] == pytest.approx(1e9 + 0.1 * np.arange(4))
    for index, frame in enumerate(frames):
        image, depth = road(index)
        assert np.array_equal(frame.image, image)
        hit = ~np.isnan(frame.truth)
        assert hit.sum() == 32 * 48
        assert frame.truth[hit] == pytest.approx(depth[hit], rel=1e-5)
    truths = dict(source.truths())
    for frame in frames:
        assert np.array_equal(truths[frame.name], frame.truth, equal_nan=True)


def test_bag_gives_only_the_frames_asked_for(bag):
    source = BagSource(bag)
    wanted = [source.names()[3], source.names()[1]]
    assert [frame.name for frame in source.frames(wanted)] == wanted[::-1]


def test_bag_and_folder_agree(bag, folder):
    """The same prediction against the dense truth at the LiDAR's pixels and against the bag."""
    source = BagSource(bag)
    from_bag = list(source.frames(source.names()))
    from_folder = list(FolderSource(folder).frames(FolderSource(folder).names()))
    for a, b in zip(from_bag, from_folder, strict=True):
        prediction = np.full(a.truth.shape, 9, np.float32)
        hit = ~np.isnan(a.truth)
        errors = [compute_depth_errors(x.truth, prediction, hit).abs_rel for x in (a, b)]
        assert errors[0] == pytest.approx(errors[1], rel=1e-3)


def test_bag_takes_sweeps_within_half_a_turn(tmp_path):
    source = BagSource(write_bag(tmp_path / 'late', lidar_offset_s=0.03))
    assert len(source.names()) == 4
    depths = [float(frame.truth[41, 30]) for frame in source.frames(source.names())]
    assert depths == pytest.approx([8, 8.5, 9, 9.5])


@pytest.mark.parametrize(
    ('broken', 'match'),
    [
        (
            {'tf': False},
            "no static transform joins 'camera_optical' and 'lidar'.*record /tf_static",
        ),
        ({'lidar_offset_s': 60.0}, 'no image has a LiDAR sweep.*one clock'),
        ({'info': False}, 'no valid camera_info'),
        ({'transform': np.eye(4)}, 'no optical frame'),
        ({'empty_sweeps': range(4)}, 'no sweep has 50 points'),
    ],
)
def test_bag_says_what_is_missing(tmp_path, broken, match):
    with pytest.raises(EvaluationError, match=match):
        BagSource(write_bag(tmp_path / 'broken', **broken))


def test_bag_images_without_a_frame_have_that_of_their_camera_info(tmp_path):
    source = BagSource(write_bag(tmp_path / 'nameless', image_frame=''))
    assert next(source.frames(source.names())).truth[-1, 0] > 0


def test_bag_may_begin_with_an_empty_sweep(tmp_path):
    source = BagSource(write_bag(tmp_path / 'cold', empty_sweeps=[0]))
    seen = [bool((frame.truth > 0).any()) for frame in source.frames(source.names())]
    assert seen == [False, True, True, True]


def test_bag_of_a_lens_that_distorts_is_noted(tmp_path):
    raw = BagSource(write_bag(tmp_path / 'raw', camera='/camera/image_raw', distortion=-0.3))
    assert 'lens distortion' in raw.notes[0]
    assert not BagSource(write_bag(tmp_path / 'rectified', distortion=-0.3)).notes
    assert not BagSource(write_bag(tmp_path / 'pinhole', camera='/camera/image_raw')).notes


def test_bag_topics(bag, tmp_path):
    with pytest.raises(EvaluationError, match='/points'):
        BagSource(bag, lidar_topic='/velodyne_points')
    with pytest.raises(EvaluationError, match='does not exist'):
        BagSource(tmp_path / 'nothing')


def write_kitti(root):
    """Write one drive of two frames as KITTI raw does; R_rect and the two extrinsics matter."""
    date, drive = '2011_09_26', '2011_09_26_drive_0002_sync'
    folder = root / date / drive
    (folder / 'image_02/data').mkdir(parents=True)
    (folder / 'velodyne_points/data').mkdir(parents=True)
    (root / date / 'calib_cam_to_cam.txt').write_text(
        'calib_time: 09-Jan-2012 13:57:47\n'
        'R_rect_00: 1 0 0 0 1 0 0 0 1\n'
        f'S_rect_02: {CAMERA.width} {CAMERA.height}\n'
        f'P_rect_02: {CAMERA.fx} 0 {CAMERA.cx} 4.0 0 {CAMERA.fy} {CAMERA.cy} 0 0 0 1 0\n'
    )
    rotation = ' '.join(str(v) for v in LIDAR_IN_CAMERA[:3, :3].ravel())
    translation = ' '.join(str(v) for v in LIDAR_IN_CAMERA[:3, 3])
    (root / date / 'calib_velo_to_cam.txt').write_text(f'R: {rotation}\nT: {translation}\n')
    for index in (5, 6):
        image, depth = road(index)
        cv2.imwrite(str(folder / f'image_02/data/{index:010d}.png'), image[..., ::-1])
        lidar_points(depth).tofile(folder / f'velodyne_points/data/{index:010d}.bin')
    split = root / 'splits/eigen/test_files.txt'
    split.parent.mkdir(parents=True)
    split.write_text(f'{date}/{drive} 5 l\n{date}/{drive} 0000000006 l\n')
    return split


def kitti_by_loop(points, matrix, height, width):
    """Make the raw truth point by point, as Eigen's MATLAB code counts."""
    image = {}
    for x, y, z, _ in points.astype(float).tolist():
        if x < 0:
            continue
        u, v, w = (sum(m * p for m, p in zip(row, (x, y, z, 1), strict=True)) for row in matrix)
        column, row = round(u / w) - 1, round(v / w) - 1
        if 0 <= column < width and 0 <= row < height:
            image[row, column] = min(image.get((row, column), 1e9), x)
    return image


def test_kitti_raw(tmp_path):
    source = KittiSource(tmp_path, write_kitti(tmp_path))
    assert source.names()[0] == '2011_09_26_drive_0002_sync/0000000005l'
    frames = list(source.frames(source.names()))
    assert len(frames) == 2 and frames[0].camera == CAMERA
    projection = np.hstack([CAMERA.matrix, [[4.0], [0], [0]]]) @ LIDAR_IN_CAMERA
    expected = kitti_by_loop(lidar_points(road(5)[1]), projection, 64, 96)
    truth = frames[0].truth
    assert (~np.isnan(truth)).sum() == len(expected) > 1000
    for (row, column), depth in expected.items():
        assert truth[row, column] == pytest.approx(depth, rel=1e-5)
    assert np.array_equal(dict(source.truths())[frames[0].name], truth, equal_nan=True)


def test_kitti_takes_the_depth_maps_of_packnet_sfm_where_there_is_no_scan(tmp_path):
    source = KittiSource(tmp_path, write_kitti(tmp_path))
    assert source.notes == []
    expected = dict(source.truths())
    for scan in sorted(tmp_path.glob('*/*/velodyne_points/data/*.bin')):
        made = scan.parents[2] / 'proj_depth' / 'velodyne' / 'image_02' / f'{scan.stem}.npz'
        made.parent.mkdir(parents=True, exist_ok=True)
        truth = expected[f'{scan.parents[2].name}/{scan.stem}l']
        np.savez_compressed(made, velodyne_depth=np.nan_to_num(truth))
        scan.unlink()
    source = KittiSource(tmp_path, tmp_path / 'splits/eigen/test_files.txt')
    assert source.notes == ["2 frames have packnet-sfm's depth maps for truth, not the raw LiDAR"]
    for name, truth in source.truths():
        assert np.array_equal(truth, expected[name], equal_nan=True)
    made.unlink()
    with pytest.raises(EvaluationError, match=r'bin is missing, and so is .*npz; unpack'):
        list(source.truths())


def test_kitti_scales_its_camera_to_images_that_were_resized(tmp_path):
    source = KittiSource(tmp_path, write_kitti(tmp_path))
    for file in tmp_path.glob('*/*/image_02/data/*.png'):
        cv2.imwrite(str(file), np.zeros((32, 48, 3), np.uint8))
    frame = next(iter(source.frames(source.names())))
    assert frame.camera == CAMERA.resized(48, 32)
    assert frame.truth.shape == (64, 96)


def test_kitti_names_the_file_that_is_not_whole(tmp_path):
    source = KittiSource(tmp_path, write_kitti(tmp_path))
    calibration = tmp_path / '2011_09_26/calib_cam_to_cam.txt'
    whole = calibration.read_text()
    for left, missing in (('R_rect_00: 1 0 0 0 1 0 0 0 1\n', 'P_rect_02'), ('', 'R_rect_00')):
        calibration.write_text(left)
        read_calibration.cache_clear()
        with pytest.raises(EvaluationError, match=f'calib_cam_to_cam.txt has no {missing}'):
            next(source.truths())
    calibration.write_text(whole)
    read_calibration.cache_clear()
    [scan, _] = sorted(tmp_path.glob('*/*/velodyne_points/data/*.bin'))
    scan.write_bytes(scan.read_bytes()[:-4])
    with pytest.raises(EvaluationError, match=r'0000000005\.bin ends within a point'):
        next(source.truths())


def test_kitti_truth_is_moved_by_one_and_measured_from_the_lidar():
    points = np.array([[10, 0, 0, 1], [12, 0, 0, 1], [-5, 0, 0, 1]], np.float32)
    matrix = np.array([[0, -80, 0, 0], [0, 0, -80, 0], [1, 0, 0, -0.2]])
    matrix[0] += 40.2 * matrix[2]
    matrix[1] += 20.0 * matrix[2]
    truth = raw_lidar_depth(points, matrix, 30, 60)
    assert truth[19, 39] == 10
    assert np.isnan(truth).sum() == 30 * 60 - 1


def test_kitti_improved_leaves_out_what_has_no_truth(tmp_path):
    split = write_kitti(tmp_path)
    with pytest.raises(EvaluationError, match='annotated depth'):
        KittiSource(tmp_path, split, improved=True)
    target = tmp_path / 'val/2011_09_26_drive_0002_sync/proj_depth/groundtruth/image_02'
    target.mkdir(parents=True)
    cv2.imwrite(str(target / '0000000006.png'), np.full((64, 96), 2560, np.uint16))
    source = KittiSource(tmp_path, split, improved=True)
    assert len(source.names()) == 1 and '1 of 2 frames' in source.notes[0]
    assert (next(iter(source.frames(source.names()))).truth == 10).all()


def test_kitti_complains_clearly(tmp_path):
    split = write_kitti(tmp_path)
    split.write_text('drive_0002_sync 5 l\n')
    with pytest.raises(EvaluationError, match='line 1'):
        read_split(split)
    split.write_text('2011_09_26/2011_09_26_drive_0002_sync 7 l\n')
    with pytest.raises(EvaluationError, match='no image 0000000007'):
        KittiSource(tmp_path, split)


@pytest.mark.skipif(not (DATA / 'bags/kitti_lidar').is_dir(), reason=f'no real data in {DATA}')
def test_real_bag_projects_like_the_real_folder():
    """drive_NNNN of the folder is frame NNNN of the bag: depths agree, pixels within rounding."""
    bag, folder = BagSource(DATA / 'bags/kitti_lidar'), FolderSource(DATA / 'kitti_lidar')
    names = bag.names()
    for index in (0, 18):
        projected = next(iter(bag.frames({names[index]}))).truth
        given = next(iter(folder.frames({f'drive_{index:04d}'}))).truth
        counts = [(~np.isnan(truth)).sum() for truth in (projected, given)]
        assert counts[0] == pytest.approx(counts[1], rel=0.01)
        # Each return has its equal within one pixel.
        rows, columns = np.nonzero(~np.isnan(given))
        window = np.stack(
            [np.roll(projected, (dy, dx), (0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        )[:, rows, columns]
        near = np.abs(window - given[rows, columns]) < 0.01
        assert near.any(0).mean() > 0.95


def changed(bag, path, topic, change):
    """Copy a bag, with every message of one topic changed."""
    with BagReader(bag) as source, BagWriter(path) as out:
        for item in source.messages(source.topics):
            message = change(item.message) if item.topic == topic else item.message
            out.write(item.topic, message, item.recorded_ns)
    return path


def test_bag_draws_no_truth_at_a_size_that_the_images_do_not_have(bag, tmp_path, monkeypatch):
    """It would take gigabytes for each sweep, before an image tells that it is wrong."""
    with BagReader(bag) as reader:
        topic = reader.camera_info_topic()
    tall = changed(bag, tmp_path / 'tall', topic, lambda m: dataclasses.replace(m, height=400))
    monkeypatch.setattr('sg_depth_ros.evaluation.sources.bag.project_points', None)
    with pytest.raises(EvaluationError, match='its camera_info is for 96x400'):
        BagSource(tall)


def test_bag_names_the_sweep_whose_fields_are_none(bag, tmp_path):
    def change(cloud):
        fields = [dataclasses.replace(cloud.fields[0], datatype=255), *cloud.fields[1:]]
        return dataclasses.replace(cloud, fields=fields)

    with BagReader(bag) as reader:
        [topic] = reader.topics_of('sensor_msgs/msg/PointCloud2')
    broken = changed(bag, tmp_path / 'broken', topic, change)
    with pytest.raises(EvaluationError, match=f'^{topic} at .*datatype 255, expected 1 to 8'):
        BagSource(broken)


def test_bag_of_a_fisheye_without_coefficients_is_noted(tmp_path):
    bag = write_bag(tmp_path / 'raw', camera='/camera/image_raw')
    with BagReader(bag) as reader:
        topic = reader.camera_info_topic()
    bent = changed(
        bag,
        tmp_path / 'bent',
        topic,
        lambda m: dataclasses.replace(m, distortion_model='equidistant', d=np.zeros(4)),
    )
    notes = BagSource(bent).notes
    assert any('does not look rectified' in note for note in notes)


def test_folder_reads_what_spreadsheets_save(folder):
    table = folder / 'intrinsics.csv'
    if not table.is_file():
        names = FolderSource(folder).names()
        rows = [f'{name},{CAMERA.fx},{CAMERA.fy},{CAMERA.cx},{CAMERA.cy}' for name in names]
        table.write_text('\n'.join(['name,fx,fy,cx,cy', *rows]))
    table.write_bytes(b'\xef\xbb\xbf' + table.read_bytes().replace(b'\n', b'\r\n'))
    source = FolderSource(folder)
    assert next(iter(source.frames(source.names()))).camera == CAMERA
    table.write_text('name,fx,fy,cx\n')
    with pytest.raises(EvaluationError, match=r'intrinsics\.csv: there is no column cy'):
        FolderSource(folder)
