# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write drives as folders of images with truth, and as rosbag2 recordings."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.files import atomic_path
from sg_depth_ros.images.files import depth_to_png
from sg_depth_ros.synthetic.drive import StreetFrame
from sg_depth_ros.synthetic.lidar import LidarOptions, simulate_lidar

CAMERA_FRAME = 'camera_optical'
LIDAR_FRAME = 'velodyne'
BASE_FRAME = 'base_footprint'
_START_NS = 1_700_000_000_000_000_000
"""A stamp of zero would mean 'unknown' to ROS, so drives begin on a fixed day."""


def write_folder(
    path: str | Path, frames: Iterable[StreetFrame], images: Literal['png', 'jpg'] = 'png'
) -> int:
    """Write a drive as a new folder and give the number of frames.

    images/NNNNNN.png, depth/NNNNNN.png (16 bit, metres * 256, 0 = sky or beyond 255 m),
    labels/NNNNNN.png (train ids), camera.json, poses.txt (camera to world, 3x4 row major, metres),
    speeds.csv (frame, stamp in s, speed in m/s).

    :raises FileExistsError: if ``path`` exists.
    """
    path = Path(path)
    if path.exists():
        raise FileExistsError(f'{path} exists already; choose another path or remove it')
    count, poses, speeds = 0, [], []
    with atomic_path(path) as folder:
        for name in ('images', 'depth', 'labels'):
            (folder / name).mkdir(parents=True)
        for frame in frames:
            name = f'{count:06d}'
            if not count:
                frame.camera.to_json(folder / 'camera.json')
            _write(folder / 'images' / f'{name}.{images}', frame.image[..., ::-1])
            _write(folder / 'depth' / f'{name}.png', depth_to_png(frame.depth))
            _write(folder / 'labels' / f'{name}.png', frame.labels)
            poses.append(frame.camera_to_world[:3].reshape(-1))
            speeds.append((count, f'{frame.stamp:.6f}', f'{frame.speed:.6f}'))
            count += 1
        np.savetxt(folder / 'poses.txt', np.reshape(poses, (-1, 12)), '%.9e')
        with (folder / 'speeds.csv').open('w', newline='') as file:
            writer = csv.writer(file)
            writer.writerow(('frame', 'stamp', 'speed'))
            writer.writerows(speeds)
    return count


def _write(path: Path, image: NDArray[np.generic]) -> None:
    if not cv2.imwrite(str(path), np.ascontiguousarray(image)):
        raise OSError(f'{path} could not be written; check the space on the disk')


def write_bag(
    path: str | Path,
    frames: Iterable[StreetFrame],
    storage: Literal['mcap', 'sqlite3'] = 'mcap',
    compressed: bool = False,
    lidar: LidarOptions | None = None,
) -> int:
    """Write a drive as a new rosbag2 recording and give the number of frames.

    Topics: /camera/image_raw (rgb8) or /camera/image_raw/compressed (JPEG), /camera/camera_info,
    /velodyne_points, /odom (pose and speed of base_footprint), /tf_static (camera_optical ->
    velodyne, and base_footprint -> camera_optical as mounted).

    :raises BagError: if ``path`` exists.
    """
    from sg_depth_ros.bags import (
        BagWriter,
        camera_info_message,
        compressed_image_message,
        image_message,
        odometry_message,
        point_cloud_message,
        static_transform_message,
    )

    lidar = lidar or LidarOptions(noise=0.02)
    count = 0
    with BagWriter(path, storage) as bag:
        for frame in frames:
            stamp = _START_NS + round(frame.stamp * 1e9)
            if not count:
                for matrix, parent, child in (
                    (lidar.lidar_to_camera, CAMERA_FRAME, LIDAR_FRAME),
                    (frame.camera_to_base, BASE_FRAME, CAMERA_FRAME),
                ):
                    message = static_transform_message(matrix, parent, child, stamp)
                    bag.write('/tf_static', message, stamp)
            if compressed:
                image = compressed_image_message(frame.image, stamp, CAMERA_FRAME)
                bag.write('/camera/image_raw/compressed', image, stamp)
            else:
                bag.write(
                    '/camera/image_raw', image_message(frame.image, stamp, CAMERA_FRAME), stamp
                )
            info = camera_info_message(frame.camera, stamp, CAMERA_FRAME)
            bag.write('/camera/camera_info', info, stamp)
            points, _ = simulate_lidar(frame, lidar, seed=count)
            bag.write('/velodyne_points', point_cloud_message(points, stamp, LIDAR_FRAME), stamp)
            base_to_world = frame.camera_to_world @ np.linalg.inv(frame.camera_to_base)
            odometry = odometry_message(base_to_world, frame.speed, stamp, 'odom', BASE_FRAME)
            bag.write('/odom', odometry, stamp)
            count += 1
    return count
