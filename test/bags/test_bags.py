# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
import os
from pathlib import Path

import numpy as np
import pytest

from sg_depth_ros.bags import (
    BagError,
    BagReader,
    BagWriter,
    StaticTransforms,
    camera_info_message,
    compressed_image_message,
    image_message,
    is_rectified_topic,
    odometry_message,
    point_cloud_array,
    point_cloud_message,
    static_transform_message,
)
from sg_depth_ros.bags.messages import header, make, typestore
from sg_depth_ros.bags.transforms import quaternion_from_rotation, rotation_from_quaternion
from sg_depth_ros.geometry.camera import PinholeCamera

DATA = Path(os.environ.get('SG_DEPTH_DATA', '../shared/data'))
CAMERA = PinholeCamera(20, 12, 30.0, 31.0, 9.5, 5.5)
START = 1_700_000_000_000_000_007


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (12, 20, 3), dtype=np.uint8)


def turned(angle: float) -> np.ndarray:
    transform = np.eye(4)
    transform[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    transform[:3, 3] = 1.0, -2.0, 0.5
    return transform


def write_bag(path: Path, storage: str = 'mcap', frames: int = 3) -> Path:
    with BagWriter(path, storage) as bag:
        bag.write('/tf_static', static_transform_message(turned(0.3), 'base', 'eye', START), START)
        for i in range(frames):
            stamp = START + i * 100_000_000
            bag.write('/eye/image_raw', image_message(picture(i), stamp, 'eye'), stamp + 5)
            bag.write('/eye/camera_info', camera_info_message(CAMERA, stamp, 'eye'), stamp + 5)
            cloud = np.full((4, 4), i, np.float32)
            bag.write('/points', point_cloud_message(cloud, stamp, 'lidar'), stamp + 5)
            bag.write('/odom', odometry_message(turned(0.1), 4.5, stamp), stamp + 5)
    return path


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_what_is_written_is_read(tmp_path: Path, storage: str) -> None:
    path = write_bag(tmp_path / 'drive', storage)
    assert sorted(p.suffix for p in path.iterdir()) == sorted(
        ['.yaml', '.mcap' if storage == 'mcap' else '.db3']
    )
    assert [p.name for p in tmp_path.iterdir()] == ['drive']
    with BagReader(path) as bag:
        assert bag.duration == pytest.approx(0.2)
        assert bag.topics['/points'].msgcount == 3
        images = list(bag.images())
        assert [i.stamp_ns for i in images] == [START + i * 100_000_000 for i in range(3)]
        assert all(i.frame_id == 'eye' for i in images)
        for i, image in enumerate(images):
            np.testing.assert_array_equal(image.rgb, picture(i))
        assert bag.camera_info() == CAMERA == bag.camera_info('/eye/camera_info')
        np.testing.assert_allclose(
            bag.static_transforms().lookup('base', 'eye'), turned(0.3), atol=1e-12
        )
        clouds = [point_cloud_array(item.message) for item in bag.messages(['/points'])]
        assert [c['intensity'].tolist() for c in clouds] == [[i] * 4 for i in range(3)]
        odometry = next(bag.messages(['/odom']))
        assert (odometry.stamp_ns, odometry.recorded_ns) == (START, START + 5)
        assert odometry.message.twist.twist.linear.x == 4.5
        assert bag.skipped == []


@pytest.mark.parametrize(('storage', 'suffix'), [('mcap', '.mcap'), ('sqlite3', '.db3')])
def test_single_file_and_folder_without_metadata(
    tmp_path: Path, storage: str, suffix: str
) -> None:
    path = write_bag(tmp_path / 'drive', storage)
    (path / 'metadata.yaml').unlink()
    for source in (path, path / f'drive{suffix}'):
        with BagReader(source) as bag:
            assert len(list(bag.images())) == 3


def test_topics_in_one_stream_keep_the_order_of_recording(tmp_path: Path) -> None:
    with BagReader(write_bag(tmp_path / 'drive')) as bag:
        topics = [m.topic for m in bag.messages(['/points', '/eye/image_raw'])]
    assert topics == ['/eye/image_raw', '/points'] * 3


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_empty_bag(tmp_path: Path, storage: str) -> None:
    with BagWriter(tmp_path / 'empty', storage):
        pass
    with BagReader(tmp_path / 'empty') as bag:
        assert bag.topics == {}
        assert bag.duration == 0
        assert bag.static_transforms().frames == []
        with pytest.raises(BagError, match='holds no images; its topics: none'):
            next(bag.images())


def test_truncated_images_are_named_counted_and_skipped(tmp_path: Path) -> None:
    with BagWriter(tmp_path / 'broken') as bag:
        for i in range(4):
            message = compressed_image_message(picture(i), START + i, 'eye', 'png')
            if i == 1:
                message.data = message.data[:40]
            if i == 2:
                message.data = message.data[:0]
            bag.write('/eye/image_raw/compressed', message, START + i)
        raw = image_message(picture(0), START, 'eye')
        raw.data = raw.data[:-5]
        bag.write('/other/image', raw, START)
    with BagReader(tmp_path / 'broken') as bag:
        good = list(bag.images('/eye/image_raw/compressed'))
        assert [image.stamp_ns - START for image in good] == [0, 3]
        np.testing.assert_array_equal(good[1].rgb, picture(3))
        assert len(bag.skipped) == 2
        assert all(text.startswith('/eye/image_raw/compressed at 17') for text in bag.skipped)
        assert list(bag.images('/other/image')) == []
        assert len(bag.skipped) == 3


def test_message_cut_short_is_skipped(tmp_path: Path) -> None:
    with BagWriter(tmp_path / 'cut') as bag:
        bag.write('/eye/image', image_message(picture(0), START, 'eye'), START)
        bag.write_raw('/eye/image', 'sensor_msgs/msg/Image', b'\0\1\0\0\1', START)
        bag.write('/eye/image', image_message(picture(1), START, 'eye'), START)
    with BagReader(tmp_path / 'cut') as bag:
        assert len(list(bag.images())) == 2
        assert len(bag.skipped) == 1


@pytest.mark.parametrize(
    ('storage', 'part'), [('mcap', slice(-500, -400)), ('sqlite3', slice(100_000, 110_000))]
)
def test_damaged_files_are_refused_wherever_it_shows(
    tmp_path: Path, storage: str, part: slice
) -> None:
    """The summary of an mcap is read on opening, the pages of a large image only with it."""
    with BagWriter(tmp_path / 'drive', storage) as bag:
        bag.write('/image', image_message(np.zeros((200, 999, 3), np.uint8), START, ''), START)
    file = next(file for file in (tmp_path / 'drive').iterdir() if file.suffix != '.yaml')
    data = bytearray(file.read_bytes())
    data[part] = b'\xff' * len(data[part])
    file.write_bytes(data)
    error = pytest.raises(BagError, match='drive cannot be read')
    with error, BagReader(tmp_path / 'drive') as reader:
        list(reader.images())


def test_file_that_was_compressed_and_cut_off_is_refused(tmp_path: Path) -> None:
    path = write_bag(tmp_path / 'drive')
    text = (path / 'metadata.yaml').read_text()
    text = text.replace("compression_format: ''", 'compression_format: zstd')
    text = text.replace("compression_mode: ''", 'compression_mode: file')
    (path / 'metadata.yaml').write_text(text.replace('drive.mcap', 'drive.mcap.zstd'))
    (path / 'drive.mcap').unlink()
    (path / 'drive.mcap.zstd').write_bytes(b'\x28\xb5\x2f\xfd')
    with pytest.raises(BagError, match=r'cannot be read .*ended before'), BagReader(path):
        pass


def test_choice_of_the_image_topic(tmp_path: Path) -> None:
    with BagWriter(tmp_path / 'two') as bag:
        for topic in ('/a/image', '/a/image/compressed', '/b/image'):
            kind = compressed_image_message if topic.endswith('compressed') else image_message
            bag.write(topic, kind(picture(0), START, 'eye'), START)
        bag.write('/b/camera_info', camera_info_message(CAMERA, START, 'eye'), START)
    with BagReader(tmp_path / 'two') as bag:
        with pytest.raises(BagError, match=r'several image topics.*/a/image, .*/b/image'):
            bag.choose_image_topic()
        with pytest.raises(BagError, match=r"no images on '/c'; its image topics: /a/image"):
            bag.choose_image_topic('/c')
        assert bag.choose_image_topic('/b/image') == '/b/image'
        assert bag.camera_info('/b/image') == CAMERA
        with pytest.raises(BagError, match='has no topic /nothing; its topics: /a/image'):
            next(bag.messages(['/nothing']))
    with BagWriter(tmp_path / 'one') as bag:
        bag.write('/a/image', image_message(picture(0), START, 'eye'), START)
        bag.write('/a/image/compressed', compressed_image_message(picture(0), 1, ''), START)
    with BagReader(tmp_path / 'one') as bag:
        assert bag.choose_image_topic() == '/a/image'
        assert bag.camera_info() is None


def test_camera_info_skips_zeros_and_takes_the_projection_of_rectified_images(
    tmp_path: Path,
) -> None:
    zero = camera_info_message(CAMERA, START, 'eye')
    zero.k, zero.p = np.zeros(9), np.zeros(12)
    rectified = camera_info_message(CAMERA, START, 'eye')
    rectified.p[0] = 28.0
    for name, infos, expected in (
        ('zeros', [zero], None),
        ('later', [zero, camera_info_message(CAMERA, START, 'eye')], CAMERA),
        ('raw', [rectified], CAMERA),
        ('image_rect', [rectified], PinholeCamera(20, 12, 28.0, 31.0, 9.5, 5.5)),
    ):
        with BagWriter(tmp_path / name) as bag:
            for info in infos:
                bag.write('/camera_info', info, START)
            bag.write(f'/{name}', image_message(picture(0), START, 'eye'), START)
        with BagReader(tmp_path / name) as bag:
            assert bag.camera_info() == expected


def test_camera_info_is_of_the_region_of_interest_and_binned(tmp_path: Path) -> None:
    """A point seen at one place of the full image is seen there in the part, too."""
    info = camera_info_message(CAMERA, START, 'eye')
    info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height = 4, 2, 13, 9
    info.binning_x, info.binning_y = 2, 3
    with BagWriter(tmp_path / 'part') as bag:
        bag.write('/camera_info', info, START)
        bag.write('/image', image_message(picture(0)[2:11:3, 4:16:2], START, 'eye'), START)
    with BagReader(tmp_path / 'part') as bag:
        camera = bag.camera_info()
        assert camera is not None
        assert (camera.height, camera.width) == next(bag.images()).rgb.shape[:2] == (3, 6)
    point = np.array([[0.1, 0.1, 2.0]])
    u, v = CAMERA.project(point)[0][0]
    # Pixel n of a binned row covers pixels 2n and 2n + 1.
    expected = ((u - 4) - 0.5) / 2, ((v - 2) - 1) / 3
    np.testing.assert_allclose(camera.project(point)[0][0], expected)


def test_the_only_camera_info_is_not_that_of_another_camera(tmp_path: Path) -> None:
    with BagWriter(tmp_path / 'stereo') as bag:
        for eye in ('left', 'right'):
            bag.write(f'/{eye}/image', image_message(picture(0), START, eye), START)
        bag.write('/left/camera_info', camera_info_message(CAMERA, START, 'left'), START)
        bag.write('/left/rect/image', image_message(picture(0), START, '/left'), START)
    with BagReader(tmp_path / 'stereo') as bag:
        assert bag.camera_info('/left/image') == CAMERA == bag.camera_info('/left/rect/image')
        assert bag.camera_info_topic('/right/image') is None
        assert bag.camera_info('/right/image') is None
    with BagWriter(tmp_path / 'one') as bag:
        bag.write('/right/image', image_message(picture(0), START, 'right'), START)
        bag.write('/info', camera_info_message(CAMERA, START, 'right_link'), START)
    with BagReader(tmp_path / 'one') as bag:
        assert bag.camera_info() == CAMERA


@pytest.mark.parametrize('rows', [1, 2])
def test_points_of_padded_rows_and_of_a_row_without_a_step(rows: int) -> None:
    points = np.arange(24, dtype=np.float32).reshape(6, 4)
    cloud = point_cloud_message(points, START, 'lidar')
    cloud.row_step = 0
    if rows == 2:
        cloud.height, cloud.width, cloud.row_step = 2, 3, 60
        cloud.data = np.pad(cloud.data.reshape(2, 48), ((0, 0), (0, 12))).reshape(-1)
    array = point_cloud_array(cloud)
    np.testing.assert_array_equal(np.stack([array[axis] for axis in 'xyz'], 1), points[:, :3])
    cloud.data = cloud.data[:-1]
    with pytest.raises(ValueError, match='holds only'):
        point_cloud_array(cloud)
    cloud.height, cloud.row_step = 2, 40
    with pytest.raises(ValueError, match='row_step of only 40'):
        point_cloud_array(cloud)


@pytest.mark.parametrize(
    ('topic', 'rectified'),
    [
        ('/camera/image_rect', True),
        ('/camera/image_rect_color/compressed', True),
        ('/camera/rect/image', True),
        ('/camera/rect/image/compressed', True),
        ('/camera/rectified_image', True),
        ('/camera/image_raw', False),
        ('/camera/image_unrectified', False),
        ('/camera_direct/image_raw', False),
        ('/rectifier/camera/image', False),
        ('/image/compressed', False),
    ],
)
def test_rectified_topics(topic: str, rectified: bool) -> None:
    assert is_rectified_topic(topic) == rectified


@pytest.mark.parametrize(
    ('image', 'info', 'frame'), [('eye', 'other', 'eye'), ('', 'eye', 'eye'), ('', None, '')]
)
def test_frame_of_images_that_need_not_be_decoded(
    tmp_path: Path, image: str, info: str | None, frame: str
) -> None:
    with BagWriter(tmp_path / 'bag') as bag:
        message = image_message(picture(0), START, image)
        message.encoding = 'steam'
        bag.write('/eye/image', message, START)
        if info is not None:
            bag.write('/eye/camera_info', camera_info_message(CAMERA, START, info), START)
    with BagReader(tmp_path / 'bag') as bag:
        assert bag.frame_id('/eye/image') == frame


def test_a_transform_that_is_none_is_skipped(tmp_path: Path) -> None:
    turn, shift = (static_transform_message(turned(0.3), 'base', 'eye', START) for _ in range(2))
    turn.transforms[0].transform.rotation.x = np.nan
    shift.transforms[0].transform.translation.z = np.inf
    with BagWriter(tmp_path / 'bag') as bag:
        for message in (turn, shift):
            bag.write('/tf_static', message, START)
    with BagReader(tmp_path / 'bag') as bag:
        assert bag.static_transforms().frames == []
        assert [text.split(': ')[1][:13] for text in bag.skipped] == [
            'a rotation qu',
            'a translation',
        ]


def test_errors_for_what_is_no_bag(tmp_path: Path) -> None:
    (tmp_path / 'old.bag').write_bytes(b'#ROSBAG V2.0\n')
    (tmp_path / 'text.txt').write_text('')
    (tmp_path / 'cut.mcap').write_bytes(b'\x89MCAP0\r\n123')
    (tmp_path / 'folder').mkdir()
    for name, text in (
        ('old.bag', 'ROS 1 bag; convert it with "rosbags-convert'),
        ('text.txt', 'is no bag'),
        ('missing', 'does not exist'),
        ('folder', 'holds no rosbag2 recording'),
        ('cut.mcap', 'cannot be read'),
    ):
        with pytest.raises(BagError, match=text), BagReader(tmp_path / name):
            pass


def test_writer_refuses_and_cleans_up(tmp_path: Path) -> None:
    with pytest.raises(BagError, match='exists already'):
        BagWriter(tmp_path)
    with pytest.raises(BagError, match='mcap or sqlite3'):
        BagWriter(tmp_path / 'x', 'zip')  # type: ignore[arg-type]
    error = pytest.raises(BagError, match='a sensor_msgs/msg/Image cannot go there')
    with error, BagWriter(tmp_path / 'mixed') as bag:
        bag.write('/a', camera_info_message(CAMERA, START, 'eye'), START)
        bag.write('/a', image_message(picture(0), START, 'eye'), START)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match=r'found \(2, 2, 4\) uint8'):
        image_message(np.zeros((2, 2, 4), np.uint8), START, 'eye')


def test_transform_chains_in_both_directions() -> None:
    transforms = StaticTransforms()
    base_eye, base_lidar, lidar_radar = turned(0.3), turned(-1.2), turned(2.9)
    transforms.add('base', 'eye', base_eye)
    transforms.add('/base', 'lidar', base_lidar)
    transforms.add('lidar', 'radar', lidar_radar)
    transforms.add('moon', 'crater', turned(0))
    np.testing.assert_allclose(transforms.lookup('base', 'radar'), base_lidar @ lidar_radar)
    np.testing.assert_allclose(
        transforms.lookup('eye', 'radar'), np.linalg.inv(base_eye) @ base_lidar @ lidar_radar
    )
    np.testing.assert_allclose(
        transforms.lookup('radar', 'eye') @ transforms.lookup('eye', 'radar'),
        np.eye(4),
        atol=1e-12,
    )
    np.testing.assert_array_equal(transforms.lookup('eye', 'eye'), np.eye(4))
    with pytest.raises(ValueError, match=r"joins 'eye' and 'moon'; the frames known are: base"):
        transforms.lookup('eye', 'moon')


def test_a_transform_may_be_added_during_a_lookup() -> None:
    transforms = StaticTransforms()

    class Adding(np.ndarray):
        def __rmatmul__(self, other: np.ndarray) -> np.ndarray:
            transforms.add('base', 'late', np.eye(4))
            return other @ np.asarray(self)

    transforms.add('base', 'eye', turned(0.3).view(Adding))
    np.testing.assert_allclose(transforms.lookup('base', 'eye'), turned(0.3))
    np.testing.assert_array_equal(transforms.lookup('base', 'late'), np.eye(4))


def test_quaternions_at_every_angle() -> None:
    # A quarter turn about z takes x to y; half turns are where the textbook formula fails.
    half = np.sqrt(0.5)
    np.testing.assert_allclose(
        rotation_from_quaternion([0, 0, half, half]) @ [1, 0, 0], [0, 1, 0], atol=1e-12
    )
    rng = np.random.default_rng(0)
    for quaternion in [*rng.normal(size=(20, 4)), *np.eye(4)]:
        rotation = rotation_from_quaternion(quaternion)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        back = rotation_from_quaternion(quaternion_from_rotation(rotation))
        np.testing.assert_allclose(back, rotation, atol=1e-12)
    with pytest.raises(ValueError, match='must not be zero'):
        rotation_from_quaternion([0, 0, 0, 0])


@pytest.mark.skipif(not (DATA / 'bags').is_dir(), reason='the real bags are not here')
def test_real_bags() -> None:
    with BagReader(DATA / 'bags' / 'kitti_lidar') as bag:
        assert bag.image_topics() == ['/camera/image_rect/compressed']
        camera = bag.camera_info()
        assert camera is not None
        assert (camera.width, camera.height, camera.fx) == (1242, 375, 721.5377)
        first = next(bag.images())
        assert (first.frame_id, first.rgb.shape) == ('camera_optical', (375, 1242, 3))
        cloud = point_cloud_array(next(bag.messages(['/velodyne_points'])).message)
        points = np.stack([cloud[axis] for axis in 'xyz'], 1)
        seen = points @ bag.static_transforms().lookup('camera_optical', 'velodyne')[:3, :3].T
        uv, z = camera.project(seen)
        # The clouds are cut to the camera's view: nearly all points must fall into the image.
        inside = (z > 0) & (uv >= -30).all(1) & (uv[:, 0] < 1272) & (uv[:, 1] < 405)
        assert inside.mean() > 0.95
    with BagReader(DATA / 'bags' / 'kitti_city' / 'kitti_city.mcap') as bag:
        assert sum(1 for _ in bag.messages(['/camera/image_rect/compressed'])) == 91


def test_latched_topics_keep_that_in_the_bag(tmp_path: Path) -> None:
    from rosbags.interfaces import QosDurability
    from rosbags.rosbag2 import Reader

    # A message that rosbags does not know by itself.
    kind = 'vision_msgs/msg/LabelInfo'
    road = make('vision_msgs/msg/VisionClass', class_id=3, class_name='road')
    message = make(kind, header=header(7, ''), class_map=[road], threshold=0.5)
    raw = typestore().serialize_cdr(message, kind)
    with BagWriter(tmp_path / 'bag') as bag:
        bag.write_raw('/semantic/label_info', kind, raw, 7, latched=True)
        bag.write_raw('/semantic/other', kind, raw, 8)
    with Reader(tmp_path / 'bag') as reader:
        profiles = {c.topic: c.ext.offered_qos_profiles for c in reader.connections}
        (profile,) = profiles['/semantic/label_info']
        assert profile.durability == QosDurability.TRANSIENT_LOCAL
        assert not profiles['/semantic/other']
    with BagReader(tmp_path / 'bag') as reader:
        back = next(reader.messages(['/semantic/label_info'])).message
        assert [(c.class_id, c.class_name) for c in back.class_map] == [(3, 'road')]
