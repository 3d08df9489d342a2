# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tiny data sets in the published layouts that the configurations ask for."""

import cv2
import numpy as np
from training_worlds import CAMERA, picture, write_bag

DATE, DRIVE = '2011_09_26', '2011_09_26_drive_0001_sync'


def write_data(root):
    """Write all data sets; gives the environment variables that the configurations name."""
    write_kitti(root / 'kitti')
    write_cityscapes(root / 'cityscapes')
    return {
        'KITTI': root / 'kitti',
        'CITYSCAPES': root / 'cityscapes',
        'BAG': write_bag(root / 'bag', frames=8),
    }


def write_kitti(root, frames=8):
    """Write KITTI raw: a drive with images, OXTS at 5 m/s and LiDAR, and monodepth2's split."""
    folder = root / DATE / DRIVE
    for name in ('image_02/data', 'oxts/data', 'velodyne_points/data'):
        (folder / name).mkdir(parents=True)
    size = f'{CAMERA.width} {CAMERA.height}'
    matrix = f'{CAMERA.fx} 0 {CAMERA.cx} 0 0 {CAMERA.fy} {CAMERA.cy} 0 0 0 1 0'
    (root / DATE / 'calib_cam_to_cam.txt').write_text(
        f'R_rect_00: 1 0 0 0 1 0 0 0 1\nS_rect_02: {size}\nP_rect_02: {matrix}\n'
    )
    (root / DATE / 'calib_velo_to_cam.txt').write_text('R: 0 -1 0 0 0 -1 1 0 0\nT: 0 0 0\n')
    times = []
    for i in range(frames):
        cv2.imwrite(str(folder / f'image_02/data/{i:010d}.png'), picture(i)[..., ::-1])
        values = ['0'] * 8 + ['3.0', '4.0', '0.0'] + ['0'] * 19
        (folder / f'oxts/data/{i:010d}.txt').write_text(' '.join(values))
        _lidar().tofile(folder / f'velodyne_points/data/{i:010d}.bin')
        times.append(f'2011-09-26 13:02:25.{100000000 * i:09d}')
    (folder / 'image_02/timestamps.txt').write_text('\n'.join(times) + '\n')
    split = root / 'eigen_zhou'
    split.mkdir()
    for name, indices in (('train', range(1, frames - 1)), ('val', (0, 3, 6))):
        lines = [f'{DATE}/{DRIVE} {index} l\n' for index in indices]
        (split / f'{name}_files.txt').write_text(''.join(lines))


def _lidar():
    """A road 1.65 m under the LiDAR, 6 to 40 m ahead: x forward, y left, z up, reflectance."""
    x, y = np.meshgrid(np.linspace(6, 40, 60), np.linspace(-4, 4, 30))
    points = [x, y, np.full_like(x, -1.65), np.ones_like(x)]
    return np.stack([p.ravel() for p in points], 1).astype(np.float32)


def write_cityscapes(root):
    """Write Cityscapes as it is downloaded: two labelled images in each split, one sequence."""
    for i in range(6):
        stem = f'train/ulm/ulm_000000_{17 + i:06d}'
        image = root / 'leftImg8bit_sequence' / f'{stem}_leftImg8bit.png'
        image.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(image), picture(i)[..., ::-1])
        vehicle = root / 'vehicle_sequence' / f'{stem}_vehicle.json'
        vehicle.parent.mkdir(parents=True, exist_ok=True)
        vehicle.write_text('{"speed": 8.5}')
    camera = root / 'camera/train/ulm/ulm_000000_000019_camera.json'
    camera.parent.mkdir(parents=True)
    camera.write_text('{"intrinsic": {"fx": 1600, "fy": 1536, "u0": 1008, "v0": 496}}')
    for split in ('train', 'val'):
        for name in ('ulm_000000_000019', 'ulm_000001_000019'):
            image = root / 'leftImg8bit' / split / 'ulm' / f'{name}_leftImg8bit.png'
            labels = root / 'gtFine' / split / 'ulm' / f'{name}_gtFine_labelIds.png'
            for path, pixels in ((image, picture(3)), (labels, np.full((32, 64), 7, np.uint8))):
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), pixels)
