# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The LiDAR against the camera's depth, and what folders and bags hold."""

import csv

import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from sg_depth_ros.bundle.labels import ID
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.synthetic import (
    LidarOptions,
    StreetOptions,
    drive,
    simulate_lidar,
    street_camera,
    write_bag,
    write_folder,
)

CAMERA = street_camera(208, 64)


def frames(count=3, seed=2, camera=CAMERA, **options):
    return list(drive(camera, count, seed, StreetOptions(areas={'urban': 1}, **options)))


def test_lidar_points_lie_on_the_depth_image():
    # Without parallax between the two, every return lies on what the camera sees.
    frame = frames(1, camera=street_camera(), tree_density=0)[0]
    points, lidar_to_camera = simulate_lidar(frame, LidarOptions(place=(0.0, 0.0, 0.0)))
    assert points.shape[1] == 4
    assert points.dtype == np.float32
    assert len(points) > 5000
    seen = points[:, :3] @ lidar_to_camera[:3, :3].T + lidar_to_camera[:3, 3]
    uv, z = frame.camera.project(seen)
    u, v = np.round(uv).astype(int).T
    around = cv2.dilate(frame.depth, np.ones((3, 3))), cv2.erode(frame.depth, np.ones((3, 3)))
    inside = (z < around[0][v, u] * 1.001) & (z > around[1][v, u] * 0.999)
    assert inside.mean() > 0.985
    smooth = around[0][v, u] < around[1][v, u] * 1.02
    ratio = z[smooth] / frame.depth[v, u][smooth]
    # What is thinner than a pixel may be hit between the pixels.
    assert (np.abs(ratio - 1) < 0.02).mean() > 0.998
    assert smooth.mean() > 0.3


def test_lidar_on_flat_ground_has_the_ranges_of_its_rings():
    empty = StreetOptions(
        areas={'urban': 1}, traffic_density=0, parked_density=0, building_density=0,
        tree_density=0, furniture_density=0, hills=0, curvature=0, shake=0, camera_pitch=(0, 0),
        camera_roll=(0, 0), camera_height=(1.65, 1.65), follow_probability=0, lead_probability=0,
    )  # fmt: skip
    frame = next(drive(CAMERA, 1, 3, empty))
    options = LidarOptions(rings=9, elevation=(-20, -4), camera_only=False, azimuth_step=2.0)
    points, _ = simulate_lidar(frame, options)
    elevation = np.degrees(np.arctan2(points[:, 2], np.hypot(points[:, 0], points[:, 1])))
    rings = np.linspace(-20, -4, 9)
    assert np.abs(elevation[:, None] - rings).min(1).max() < 1e-3
    azimuth = np.degrees(np.arctan2(points[:, 1], points[:, 0]))
    assert azimuth.min() < -175 and azimuth.max() > 175
    height = 1.65 + 0.08
    ahead = (np.abs(points[:, 1]) < 0.5) & (points[:, 0] > 0)
    slant = np.linalg.norm(points[ahead, :3], axis=1)
    np.testing.assert_allclose(slant, height / np.sin(-np.radians(elevation[ahead])), rtol=1e-4)


def test_noise_and_drop_out_do_what_they_say():
    frame = frames(1)[0]
    clean, _ = simulate_lidar(frame)
    noisy, _ = simulate_lidar(frame, LidarOptions(noise=0.05), seed=4)
    difference = np.linalg.norm(noisy[:, :3], axis=1) - np.linalg.norm(clean[:, :3], axis=1)
    assert difference.std() == pytest.approx(0.05, rel=0.1)
    fewer, _ = simulate_lidar(frame, LidarOptions(drop_out=0.3), seed=4)
    assert len(fewer) / len(clean) == pytest.approx(0.7, abs=0.05)
    assert (clean[:, 3] >= 0).all() and (clean[:, 3] <= 1).all()
    uv, z = frame.camera.project(
        clean[:, :3] @ LidarOptions().lidar_to_camera[:3, :3].T + LidarOptions().place
    )
    assert (z > 0).all()
    assert ((uv > -0.51) & (uv < (CAMERA.width - 0.49, CAMERA.height - 0.49))).all()


def test_a_folder_reads_back_equal(tmp_path):
    drive_frames = frames()
    assert write_folder(tmp_path / 'street', iter(drive_frames)) == 3
    folder = tmp_path / 'street'
    assert PinholeCamera.from_json(folder / 'camera.json') == CAMERA
    poses = np.loadtxt(folder / 'poses.txt').reshape(-1, 3, 4)
    with (folder / 'speeds.csv').open() as file:
        speeds = list(csv.DictReader(file))
    for index, frame in enumerate(drive_frames):
        name = f'{index:06d}.png'
        image = cv2.imread(str(folder / 'images' / name))[..., ::-1]
        np.testing.assert_array_equal(image, frame.image)
        depth = cv2.imread(str(folder / 'depth' / name), cv2.IMREAD_UNCHANGED)
        assert depth.dtype == np.uint16
        known = frame.depth < 255
        np.testing.assert_allclose(depth[known] / 256, frame.depth[known], atol=1 / 500)
        assert not depth[~(frame.depth < 256)].any()
        labels = cv2.imread(str(folder / 'labels' / name), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(labels, frame.labels)
        np.testing.assert_allclose(poses[index], frame.camera_to_world[:3], atol=1e-6)
        assert float(speeds[index]['speed']) == pytest.approx(frame.speed, abs=1e-6)
        assert float(speeds[index]['stamp']) == pytest.approx(frame.stamp, abs=1e-6)
    with pytest.raises(FileExistsError, match='exists already'):
        write_folder(folder, iter(drive_frames))


def test_a_drive_that_breaks_leaves_no_folder(tmp_path):
    def broken():
        yield frames(1)[0]
        raise RuntimeError('stop')

    with pytest.raises(RuntimeError, match='stop'):
        write_folder(tmp_path / 'street', broken())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(('storage', 'compressed'), [('mcap', False), ('sqlite3', True)])
def test_a_bag_reads_back_with_rosbags(tmp_path, storage, compressed):
    drive_frames = frames()
    path = tmp_path / 'bag'
    assert write_bag(path, iter(drive_frames), storage, compressed) == 3
    image_topic = '/camera/image_raw' + ('/compressed' if compressed else '')
    messages = {}
    with AnyReader([path]) as reader:
        for connection, stamp, data in reader.messages():
            message = reader.deserialize(data, connection.msgtype)
            messages.setdefault(connection.topic, []).append((stamp, message))
    assert set(messages) == {
        image_topic, '/camera/camera_info', '/tf_static', '/velodyne_points', '/odom',
    }  # fmt: skip
    for index, frame in enumerate(drive_frames):
        stamp, image = messages[image_topic][index]
        assert stamp == image.header.stamp.sec * 10**9 + image.header.stamp.nanosec
        assert image.header.frame_id == 'camera_optical'
        if compressed:
            rgb = cv2.imdecode(image.data, cv2.IMREAD_COLOR)[..., ::-1]
            assert np.abs(rgb.astype(int) - frame.image).mean() < 6
        else:
            assert image.encoding == 'rgb8'
            np.testing.assert_array_equal(image.data.reshape(frame.image.shape), frame.image)
        info = messages['/camera/camera_info'][index][1]
        np.testing.assert_allclose(info.k.reshape(3, 3), CAMERA.matrix)
        odometry = messages['/odom'][index][1]
        assert odometry.twist.twist.linear.x == pytest.approx(frame.speed)
        assert odometry.child_frame_id == 'base_footprint'
        cloud = messages['/velodyne_points'][index][1]
        assert cloud.header.frame_id == 'velodyne'
        assert cloud.width == len(cloud.data) // 16 > 300
    transforms = {
        (t.header.frame_id, t.child_frame_id): t.transform
        for _, message in messages['/tf_static']
        for t in message.transforms
    }
    assert set(transforms) == {
        ('camera_optical', 'velodyne'),
        ('base_footprint', 'camera_optical'),
    }
    mount = transforms['base_footprint', 'camera_optical'].translation
    assert mount.z == pytest.approx(drive_frames[0].camera_to_base[2, 3])
    mount = transforms['camera_optical', 'velodyne'].translation
    assert (mount.x, mount.y, mount.z) == LidarOptions().place


def test_the_base_lies_on_the_road_under_the_camera():
    for frame in frames(2, shake=0, hills=0, camera_pitch=(0, 0), camera_roll=(0, 0)):
        base_to_world = frame.camera_to_world @ np.linalg.inv(frame.camera_to_base)
        assert base_to_world[2, 3] == pytest.approx(0, abs=1e-9)
        assert base_to_world[2, 2] == pytest.approx(1)
        assert (frame.labels == ID['road']).any()
