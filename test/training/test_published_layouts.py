# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Data sets in the layouts of their downloads: Cityscapes' snippets, DDAD, nuScenes, splits."""

import json

import cv2
import numpy as np
import pytest
from training_worlds import depth_settings, picture

from sg_depth_ros.training.data.cityscapes import CityscapesSource
from sg_depth_ros.training.data.ddad import DdadSource
from sg_depth_ros.training.data.drives import read_drives
from sg_depth_ros.training.data.kitti import KittiOdometrySource, KittiRawSource
from sg_depth_ros.training.data.nuscenes import NuScenesSource


def write_images(files, size=(64, 32)):
    for frame, file in enumerate(files):
        file.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(file), picture(frame, *size)[..., ::-1])


@pytest.fixture
def cityscapes(tmp_path):
    """Two snippets of Hamburg that follow each other and one of Ulm, at a 32nd of the size."""
    numbers = {'hamburg_000000': [*range(10, 70)], 'ulm_000003': [*range(4)]}
    for name, frames in numbers.items():
        city = name.split('_')[0]
        folder = tmp_path / 'leftImg8bit_sequence' / 'train' / city
        write_images(folder / f'{name}_{frame:06d}_leftImg8bit.png' for frame in frames)
        for kind in ('vehicle_sequence', 'timestamp_sequence', 'camera'):
            (tmp_path / kind / 'train' / city).mkdir(parents=True)
        for i, frame in enumerate(frames):
            stem = f'train/{city}/{name}_{frame:06d}'
            (tmp_path / f'vehicle_sequence/{stem}_vehicle.json').write_text('{"speed": 10.0}')
            stamp = 10**15 + i * 60_000_000
            (tmp_path / f'timestamp_sequence/{stem}_timestamp.txt').write_text(f'{stamp}\n')
    for city, stem, fx in (
        ('hamburg', 'hamburg_000000_000029', 2268.36),
        ('hamburg', 'hamburg_000000_000059', 2262.52),
        ('ulm', 'ulm_000003_000002', 2262.52),
    ):
        values = {'intrinsic': {'fx': fx, 'fy': 2225.5, 'u0': 1048.64, 'v0': 519.28}}
        file = tmp_path / f'camera/train/{city}/{stem}_camera.json'
        file.write_text(json.dumps(values))
    return tmp_path


def test_cityscapes_snippets_end_where_they_do(cityscapes):
    first, second, ulm = CityscapesSource(path=cityscapes).sequences()
    names = [sequence.name for sequence in (first, second, ulm)]
    assert names == ['hamburg_000000_000010', 'hamburg_000000_000040', 'ulm_000003_000000']
    assert [len(s.frames) for s in (first, second, ulm)] == [30, 30, 4]
    # Each has the camera of its labelled frame, at the size of the images.
    assert first.camera.fx == pytest.approx(2268.36 / 32)
    assert second.camera.fx == pytest.approx(2262.52 / 32)
    assert (first.camera.width, first.camera.height) == (64, 32)
    assert first.stamps[:3] == pytest.approx([0, 0.06, 0.12])
    assert first.moved == pytest.approx(np.full(29, 0.6))
    # Neighbours are never of another snippet, and the bonnet is not looked at.
    drives = read_drives([CityscapesSource(path=cityscapes, min_motion=0)])
    assert drives.counts == [28 + 28 + 2]
    assert drives.clips[0].box(first.frames[0]) == (0, 0, 64, 24)


def test_cityscapes_without_what_is_not_unpacked(cityscapes):
    for kind in ('vehicle_sequence', 'timestamp_sequence'):
        (cityscapes / kind).rename(cityscapes / f'no_{kind}')
    [ulm] = CityscapesSource(path=cityscapes, cities=('ulm',)).sequences()
    assert ulm.moved is None
    assert np.diff(ulm.stamps) == pytest.approx(np.full(3, 1 / 17))
    with pytest.raises(ValueError, match=r'has the cities hamburg, ulm, expected bonn; unpack'):
        CityscapesSource(path=cityscapes, cities=('bonn',)).sequences()
    (cityscapes / 'camera/train/ulm/ulm_000003_000002_camera.json').unlink()
    with pytest.raises(ValueError, match=r'no camera file of ulm_000003_000000; unpack camera_tr'):
        CityscapesSource(path=cityscapes, cities=('ulm',)).sequences()
    learned = CityscapesSource(path=cityscapes, cities=('ulm',), learn_intrinsics=True)
    assert learned.sequences()[0].camera is None
    broken = cityscapes / 'camera/train/hamburg/hamburg_000000_000029_camera.json'
    broken.write_text('{"intrinsic": {"fx": 1}}')
    with pytest.raises(ValueError, match='has no intrinsic fx, fy, u0, v0'):
        CityscapesSource(path=cityscapes).sequences()


@pytest.fixture
def ddad(tmp_path):
    """One scene of five frames by two cameras, whose list is not in the order of time."""
    scene = tmp_path / '000000'
    data = []
    for camera in ('CAMERA_01', 'CAMERA_05'):
        for frame in (3, 0, 1, 2, 4):
            file = f'rgb/{camera}/{frame:04d}.png'
            pose = {'translation': {'x': 2.0 * frame, 'y': 0.0, 'z': 1.5}, 'rotation': {'qw': 1}}
            image = {'filename': file, 'width': 64, 'height': 32, 'pose': pose}
            stamp = f'2019-07-01T10:00:0{frame}.1Z'
            data.append({'id': {'name': camera, 'timestamp': stamp}, 'datum': {'image': image}})
            write_images([scene / file])
    lidar = {'name': 'LIDAR', 'timestamp': '2019-07-01T10:00:00.1Z'}
    data.append({'id': lidar, 'datum': {'point_cloud': {'filename': 'x.npz'}}})
    content = {'name': 'a', 'samples': [{'calibration_key': 'key'}], 'data': data}
    (scene / 'scene_a.json').write_text(json.dumps(content))
    (scene / 'calibration').mkdir()
    intrinsics = [{'fx': f, 'fy': f, 'cx': 31.0, 'cy': 15.0, 'skew': 0.0} for f in (70.0, 40.0)]
    calibration = {'names': ['CAMERA_01', 'CAMERA_05'], 'intrinsics': intrinsics}
    (scene / 'calibration' / 'key.json').write_text(json.dumps(calibration))
    splits = {'0': {'filenames': ['000000/scene_a.json']}, '1': {'filenames': []}}
    (tmp_path / 'ddad.json').write_text(json.dumps({'scene_splits': splits}))
    return tmp_path / 'ddad.json'


def test_ddad(ddad):
    [front] = DdadSource(path=ddad).sequences()
    assert front.name == '000000/CAMERA_01'
    assert [file.stem for file in front.frames.paths] == ['0000', '0001', '0002', '0003', '0004']
    assert front.stamps == pytest.approx(np.arange(5))
    assert front.moved == pytest.approx(np.full(4, 2.0))
    assert front.camera.fx == 70
    [back] = DdadSource(path=ddad, camera='CAMERA_05', use_speed=False).sequences()
    assert back.camera.fx == 40 and back.moved is None
    assert read_drives([DdadSource(path=ddad)]).counts == [3]
    with pytest.raises(ValueError, match=r'no scene of DDAD .*there are no images of CAMERA_09'):
        DdadSource(path=ddad, camera='CAMERA_09').sequences()
    with pytest.raises(ValueError, match='lists no scenes of the split test'):
        DdadSource(path=ddad, split='test').sequences()
    with pytest.raises(ValueError, match='is missing; unpack DDAD there'):
        DdadSource(path=ddad.with_name('x.json')).sequences()


@pytest.fixture
def nuscenes(tmp_path):
    """One scene: key frames and sweeps of the front camera, and one image of another."""
    rows = {
        'scene': [{'token': 's', 'name': 'scene-0061'}],
        'sample': [{'token': 'm', 'scene_token': 's'}],
        'sensor': [{'token': 'f', 'channel': 'CAM_FRONT'}, {'token': 'b', 'channel': 'CAM_BACK'}],
        'calibrated_sensor': [
            {
                'token': f'c{s}', 'sensor_token': s,
                'camera_intrinsic': [[fx, 0, 31], [0, fx, 15], [0, 0, 1]],
            }
            for s, fx in (('f', 50.6), ('b', 32.0))
        ],
        'ego_pose': [{'token': f'e{i}', 'translation': [1.5 * i, 0, 0]} for i in range(4)],
        'sample_data': [],
    }  # fmt: skip
    for i in (2, 0, 3, 1):
        folder = 'sweeps' if i % 2 else 'samples'
        file = f'{folder}/CAM_FRONT/{i}.png'
        rows['sample_data'].append(
            {
                'token': f'd{i}', 'sample_token': 'm', 'ego_pose_token': f'e{i}', 'width': 64,
                'height': 32, 'calibrated_sensor_token': 'cf', 'filename': file,
                'timestamp': 1532402927612460 + 83_000 * i, 'is_key_frame': i % 2 == 0,
            }
        )  # fmt: skip
        write_images([tmp_path / file])
    rows['sample_data'].append({**rows['sample_data'][0], 'token': 'x',
                                'calibrated_sensor_token': 'cb'})  # fmt: skip
    (tmp_path / 'v1.0-mini').mkdir()
    for name, table in rows.items():
        (tmp_path / 'v1.0-mini' / f'{name}.json').write_text(json.dumps(table))
    return tmp_path


def test_nuscenes(nuscenes):
    source = NuScenesSource(path=nuscenes, version='v1.0-mini')
    [front] = source.sequences()
    assert front.name == 'scene-0061/CAM_FRONT'
    assert [file.stem for file in front.frames.paths] == ['0', '1', '2', '3']
    assert front.stamps == pytest.approx(0.083 * np.arange(4))
    assert front.moved == pytest.approx(np.full(3, 1.5))
    assert (front.camera.fx, front.camera.width) == (50.6, 64)
    assert read_drives([source]).counts == [2]
    with pytest.raises(ValueError, match='no frames of CAM_FRONT for scene-0001'):
        source.model_copy(update={'scenes': ('scene-0001',)}).sequences()
    with pytest.raises(ValueError, match=r'v1.0-trainval/scene.json is missing; unpack the metad'):
        NuScenesSource(path=nuscenes).sequences()
    (nuscenes / 'v1.0-mini' / 'sensor.json').write_text('[{}]')
    with pytest.raises(ValueError, match=r'sensor.json is no table of nuScenes'):
        source.sequences()


DRIVE = '2011_09_26_drive_0001_sync'


@pytest.mark.parametrize(
    'lines',
    [
        f'2011_09_26/{DRIVE} 1 l\n2011_09_26/{DRIVE} 2 r',
        f'2011_09_26/{DRIVE}/image_02/data/0000000001.png\n'
        f'2011_09_26/{DRIVE}/image_03/data/0000000002.png',
        f'2011_09_26/{DRIVE}/image_02/data/0000000001.jpg {DRIVE}/proj_depth/groundtruth/image_02/'
        f'0000000001.png 721.5377\n/2011_09_26/{DRIVE}/image_03/data/0000000002.jpg None 721.5377',
        f'{DRIVE}_02 0000000001\n{DRIVE}_03 0000000002',
    ],
    ids=['monodepth2', 'packnet-sfm', 'bts', 'sfmlearner'],
)
def test_splits_of_kitti_raw_in_every_way_they_are_published(tmp_path, lines):
    date = tmp_path / '2011_09_26'
    for number in ('02', '03'):
        folder = date / DRIVE / f'image_{number}' / 'data'
        write_images(folder / f'{index:010d}.png' for index in range(4))
    text = ''.join(
        f'S_rect_{n}: 64 32\nP_rect_{n}: 50 0 31 0 0 50 15 0 0 0 1 0\n' for n in ('02', '03')
    )
    (date / 'calib_cam_to_cam.txt').write_text(text)
    split = tmp_path / 'split.txt'
    split.write_text(f'{lines}\n\n')
    left, right = KittiRawSource(path=tmp_path, split=split).sequences()
    assert (left.name, right.name) == (f'{DRIVE}/l', f'{DRIVE}/r')
    assert left.listed.tolist() == [False, True, False, False]
    assert right.listed.tolist() == [False, False, True, False]


def test_the_split_of_kitti_odometry(tmp_path):
    for drive in ('00', '08'):
        folder = tmp_path / 'sequences' / drive
        for number in ('2', '3'):
            write_images(folder / f'image_{number}' / f'{i:06d}.png' for i in range(4))
        (folder / 'calib.txt').write_text(
            ''.join(f'P{n}: {50 + n} 0 31 0 0 50 15 0 0 0 1 0\n' for n in (2, 3))
        )
    split = tmp_path / 'split.txt'
    split.write_text('8 1 l\n8 2 l\n0 1 r\n')
    eight, zero = KittiOdometrySource(path=tmp_path, split=split).sequences()
    assert (eight.name, zero.name) == ('odometry/08', 'odometry/00/r')
    assert (eight.camera.fx, zero.camera.fx) == (52, 53)
    assert eight.listed.tolist() == [False, True, True, False]
    assert [s.listed for s in KittiOdometrySource(path=tmp_path).sequences()] == [None, None]
    split.write_text('9 1 l\n')
    with pytest.raises(ValueError, match='has the drives 00, 08, expected 09; unpack'):
        KittiOdometrySource(path=tmp_path, split=split).sequences()
    split.write_text('9 1 x\n')
    with pytest.raises(ValueError, match=r"line 1: found '9 1 x', expected DRIVE INDEX l\|r"):
        KittiOdometrySource(path=tmp_path, split=split).sequences()


def test_a_training_takes_them_by_kind(tmp_path):
    sources = [
        {'kind': 'cityscapes', 'path': '/cs', 'split': 'val'},
        {'kind': 'ddad', 'path': '/ddad.json'},
        {'kind': 'nuscenes', 'path': '/nu', 'camera': 'CAM_BACK'},
    ]
    settings = depth_settings(tmp_path / 'networks.pt', sources)
    settings = type(settings).model_validate({**settings.model_dump(), 'sources': sources})
    kinds = [type(source) for source in settings.sources]
    assert kinds == [CityscapesSource, DdadSource, NuScenesSource]
