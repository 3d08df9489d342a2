# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
import json
import math
import os
import re
import shutil
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from sg_depth_ros.bags import (
    BagError,
    BagReader,
    BagWriter,
    camera_info_message,
    compressed_image_message,
    image_message,
    point_cloud_array,
    static_transform_message,
)
from sg_depth_ros.bags.messages import make, typestore
from sg_depth_ros.bundle import Bundle
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.replay import node_process, player
from sg_depth_ros.replay.inputs import Choice, read_header
from sg_depth_ros.replay.node_process import NodeError, NodeProcess, dds_environment
from sg_depth_ros.replay.player import ReplayOptions
from sg_depth_ros.replay.report import image_array, replay_into, scale_figures
from sg_depth_ros.replay.topics import DEPTH, OUTPUTS
from sg_depth_ros.synthetic import StreetOptions, drive, street_camera
from sg_depth_ros.synthetic.recording import write_bag

# The formula bundle's own focal length at its own size: no correction, no resize.
CAMERA = PinholeCamera(32, 16, 20.0, 20.0, 15.5, 7.5)
# The formula's pictures show no road.
WITHOUT_A_ROAD = {
    '/ground/plane',
    *(
        f'/{part}/points'
        for part in ('ground', 'obstacles', 'obstacles/static', 'obstacles/dynamic')
    ),
}
START = 1_700_000_000_000_000_007
STEP = 100_000_000


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 200, (16, 32, 3), dtype=np.uint8)


def test_replay_over_dds(
    tmp_path: Path, formula_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One frame at a time, so that a busy machine drops none. The broken one never comes back, and
    # is not waited for once the node has said so.
    monkeypatch.setattr('sg_depth_ros.replay.player.LAST_FRAME_SECONDS', 1e9)
    with BagWriter(tmp_path / 'bag') as bag:
        for i in range(6):
            stamp = START + i * STEP
            image = image_message(picture(i), stamp, 'eye')
            if i == 2:
                image.data = image.data[:100]
            bag.write('/front/camera_info', camera_info_message(CAMERA, stamp, 'eye'), stamp)
            bag.write('/front/image_rect', image, stamp)
    out, record = tmp_path / 'out', tmp_path / 'record'
    notes = []
    summary = replay_into(
        tmp_path / 'bag',
        out,
        ReplayOptions(str(formula_bundle.path), 'onnxruntime', rate=0.0),
        record,
        lambda *args: notes.append(args),
    )
    assert summary == json.loads((out / 'summary.json').read_text())
    assert (summary['frames_in'], summary['frames_out'], summary['dropped']) == (6, 5, 1)
    [(reason, count)] = summary['lost'].items()
    assert count == 1 and re.search('could not be decoded.*/front/image_rect at .* s: ', reason)
    assert summary['header_errors'] == 0
    assert summary['engine'] == 'onnxruntime'
    assert summary['scale'] == 'relative'
    assert summary['image_topic'] == '/front/image_rect'
    latency = summary['latency_ms']
    assert 0 < latency['p50'] <= latency['p95'] <= latency['max']
    assert notes[0] == (0, 6, 'the node is loading')
    assert {'depth.png', 'cloud.ply', 'cloud.png', 'node.log'} < {p.name for p in out.iterdir()}
    assert not list(out.glob('.replay-*'))
    _check_record(record)


def _check_record(record: Path) -> None:
    """Compare what was recorded with the formula, computed here from the pictures sent."""
    with BagReader(record) as bag:
        assert bag.topics['/depth/points'].msgtype == 'sensor_msgs/msg/PointCloud2'
        depths = list(bag.messages(['/depth/image_rect']))
        times = [item.recorded_ns for item in depths]
        assert times == sorted(times)
        depths.sort(key=lambda item: item.stamp_ns)  # a busy machine may deliver one late
        assert [(item.stamp_ns - START) // STEP for item in depths] == [0, 1, 3, 4, 5]
        assert all(item.message.header.frame_id == 'eye' for item in depths)
        assert all(item.recorded_ns > item.stamp_ns for item in depths)
        rgb = picture(5).astype(np.float64)
        means = rgb[..., 0].reshape(4, 4, 8, 4).mean((1, 3))
        expected = 1 + rgb[..., 1] + 100 * means.repeat(4, 0).repeat(4, 1)
        depth = image_array(depths[-1].message)
        known = np.isfinite(depth)
        assert known.mean() > 0.5
        np.testing.assert_allclose(depth[known], expected[known], rtol=1e-3)
        labels = list(bag.messages(['/semantic/image']))[-1].message
        np.testing.assert_array_equal(image_array(labels), rgb.argmax(2))
        cloud = list(bag.messages(['/depth/points']))[-1]
        assert cloud.message.header.frame_id == 'eye'
        points = point_cloud_array(cloud.message)
        assert points.dtype.names == ('x', 'y', 'z', 'rgb', 'label', 'colors')
        rgba = np.ascontiguousarray(points['rgb']).view(np.uint32) << 8 | 0xFF
        np.testing.assert_array_equal(points['colors'], rgba)  # as Rerun reads colours
        assert set(bag.topics) == set(OUTPUTS) - WITHOUT_A_ROAD
        info = bag.messages(['/depth/camera_info'])
        assert next(info).message.k[0] == 20.0


def test_record_with_inputs_holds_what_was_played_and_the_transforms(
    tmp_path: Path, formula_bundle: Bundle
) -> None:
    frames = list(drive(street_camera(32, 16), 2, 0))
    stamps = [START + i * STEP for i in range(len(frames))]
    with BagWriter(tmp_path / 'bag') as bag:
        for kind, stamp in (('/tf_static', stamps[0]), ('/tf', stamps[0]), ('/tf', stamps[1])):
            transform = static_transform_message(np.eye(4), 'base', 'eye', stamp)
            bag.write(kind, transform, stamp)
        for frame, stamp in zip(frames, stamps, strict=True):
            info = camera_info_message(frame.camera, stamp, 'eye')
            bag.write('/camera/camera_info', info, stamp)
            bag.write('/camera/image_rect', image_message(frame.image, stamp, 'eye'), stamp)
            bag.write('/other/image_rect', image_message(frame.image, stamp, 'other'), stamp)
    options = ReplayOptions(
        str(formula_bundle.path), 'onnxruntime', 0.0, Choice('/camera/image_rect')
    )
    record = tmp_path / 'record'
    replay_into(tmp_path / 'bag', tmp_path / 'out', options, record, record_inputs=True)
    played = {'/camera/image_rect', '/camera/camera_info', '/tf', '/tf_static'}
    with BagReader(tmp_path / 'bag') as before, BagReader(record) as after:
        assert '/depth/image_rect' in after.topics
        assert '/other/image_rect' not in after.topics
        for topic in played:
            sent, kept = (
                [(item.recorded_ns, item.raw) for item in bag.messages([topic])]
                for bag in (before, after)
            )
            assert kept == sent, topic
        times = [item.recorded_ns for item in after.messages(after.topics)]
        assert times == sorted(times)


def test_one_at_a_time_with_an_odd_topic_and_no_camera_info(
    tmp_path: Path, formula_bundle: Bundle
) -> None:
    with BagWriter(tmp_path / 'bag', 'sqlite3') as bag:
        for i in range(3):
            message = compressed_image_message(picture(i), START + i, 'eye', 'png')
            bag.write('/jpegs', message, START + i)
    options = ReplayOptions(str(formula_bundle.path), 'onnxruntime', rate=0.0)
    summary = replay_into(tmp_path / 'bag', tmp_path, options)
    assert (summary['frames_in'], summary['frames_out']) == (3, 3)
    assert summary['header_errors'] == 0
    assert '/depth/points' not in summary['messages']
    assert not (tmp_path / 'cloud.ply').exists()


def test_images_without_a_frame_come_back_with_that_of_their_camera_info(
    tmp_path: Path, formula_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = []
    wait = player._Player._wait_for_depth
    monkeypatch.setattr(
        player._Player,
        '_wait_for_depth',
        lambda player: (wait(player), waited.append(player._result.received[DEPTH])),
    )
    with BagWriter(tmp_path / 'bag') as bag:
        for i in range(3):
            stamp = START + i * STEP
            bag.write('/front/camera_info', camera_info_message(CAMERA, stamp, 'eye'), stamp)
            bag.write('/front/image_rect', image_message(picture(i), stamp, ''), stamp)
    options = ReplayOptions(str(formula_bundle.path), 'onnxruntime', rate=0.0)
    summary = replay_into(tmp_path / 'bag', tmp_path / 'out', options)
    assert (summary['frames_in'], summary['frames_out']) == (3, 3)
    assert summary['header_errors'] == 0
    assert summary['latency_ms']['max'] > 0
    assert waited[:3] == [1, 2, 3]


def test_the_bag_s_own_timing(tmp_path: Path, formula_bundle: Bundle) -> None:
    with BagWriter(tmp_path / 'bag') as bag:
        for i in range(4):
            stamp = START + i * 4 * STEP
            bag.write('/front/image', image_message(picture(i), stamp, 'eye'), stamp)
    sent = []
    options = ReplayOptions(str(formula_bundle.path), 'onnxruntime', rate=2.0)
    replay_into(
        tmp_path / 'bag',
        tmp_path,
        options,
        None,
        lambda done, total, note: sent.append((done, time.monotonic())),
    )
    moments = dict(reversed(sent))  # drawing counts the same frames again, later
    # At twice the speed 0.4 s become 0.2 s; a busy machine may only be later, never earlier.
    assert moments[4] - moments[1] > 0.59


def test_errors_come_before_the_node_is_started(tmp_path: Path, formula_bundle: Bundle) -> None:
    with BagWriter(tmp_path / 'bag') as bag:
        bag.write('/front/camera_info', camera_info_message(CAMERA, START, 'eye'), START)
    bundle = str(formula_bundle.path)
    for options, error, text in (
        (ReplayOptions(bundle), BagError, 'holds no images; its topics: /front/camera_info'),
        (ReplayOptions('no/bundle'), ValueError, 'no bundle no/bundle'),
        *(
            (ReplayOptions(bundle, rate=rate), ValueError, 'rate must be 0')
            for rate in (-1, math.nan, math.inf, 1e-300)
        ),
    ):
        with pytest.raises(error, match=text):
            replay_into(tmp_path / 'bag', tmp_path / 'out', options)
    assert not (tmp_path / 'out' / 'node.log').exists()


def test_a_node_that_ends_shows_its_last_words(tmp_path: Path, formula_bundle: Bundle) -> None:
    with BagWriter(tmp_path / 'bag') as bag:
        bag.write('/front/image', image_message(picture(0), START, 'eye'), START)
    options = ReplayOptions(str(formula_bundle.path), engine='steam')
    with pytest.raises(NodeError, match=r"(?s)the node.*node\.log.*'?steam'?"):
        replay_into(tmp_path / 'bag', tmp_path / 'out', options)
    assert not (tmp_path / 'out' / 'summary.json').exists()


def test_process_is_stopped_and_killed_if_need_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_process, 'STOP_SECONDS', 0.2)
    process = NodeProcess([], tmp_path / 'log', 7)
    deaf = 'import signal, time; signal.signal(2, signal.SIG_IGN); print("up"); time.sleep(60)'
    process._command = [sys.executable, '-c', deaf]
    with process:
        while 'up' not in (tmp_path / 'log').read_text():
            process.check()
    with pytest.raises(NodeError, match=r'(?s)ended with exit code -9; the end of .*up'):
        process.check()


def test_environment_respects_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
    for name in (*names, 'FASTDDS_BUILTIN_TRANSPORTS', 'ROS_DOMAIN_ID'):
        monkeypatch.delenv(name, raising=False)
    with dds_environment(36_000_000, tmp_path) as (domain, problem):
        assert 1 <= domain <= 101 and not problem
        [profile] = {os.environ[name] for name in names if name in os.environ}
    assert not [name for name in names if name in os.environ]
    # A segment for images of 36 MB, of which several are under way, and a queue for their pieces.
    assert '<segment_size>144000000</segment_size>' in Path(profile).read_text()
    assert '<port_queue_capacity>4096</port_queue_capacity>' in Path(profile).read_text()
    with dds_environment(1_000_000, tmp_path):
        [profile] = {os.environ[name] for name in names if name in os.environ}
        assert Path(profile).parent.name == 'config'
    with dds_environment(100_000_000, tmp_path) as (_, problem):
        [profile] = {os.environ[name] for name in names if name in os.environ}
        assert '<port_queue_capacity>6666</port_queue_capacity>' in Path(profile).read_text()
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: SimpleNamespace(free=64_000_000))
    with dds_environment(1_000_000, tmp_path) as (_, problem):
        assert problem.startswith('/dev/shm has 64 MB free, and DDS wants 134 MB for images')
    with dds_environment(400_000, tmp_path) as (_, problem):
        assert not problem
    monkeypatch.setenv(names[0], 'mine.xml')
    monkeypatch.setenv('ROS_DOMAIN_ID', '42')
    with dds_environment(36_000_000, tmp_path) as (domain, _):
        assert domain == 42
        assert os.environ[names[0]] == 'mine.xml'
    assert os.environ[names[0]] == 'mine.xml'


def test_header_is_read_from_serialised_messages() -> None:
    image = image_message(picture(0), START, 'front/eye')
    for message in (image, camera_info_message(CAMERA, START, 'front/eye')):
        for little in (True, False):
            raw = typestore().serialize_cdr(message, message.__msgtype__, little_endian=little)
            assert read_header(bytes(raw)) == (START, 'front/eye')


def test_depth_in_millimetres_becomes_metres() -> None:
    image = image_message(np.array([[0, 1500], [20000, 1]], np.uint16), START, 'eye')
    np.testing.assert_allclose(image_array(image), [[np.nan, 1.5], [20, 0.001]])
    padded = make(
        'sensor_msgs/msg/Image',
        header=image.header,
        height=2,
        width=1,
        encoding='mono8',
        is_bigendian=0,
        step=3,
        data=np.array([1, 9, 9, 2, 9, 9], np.uint8),
    )
    assert image_array(padded).tolist() == [[1], [2]]


def test_figures_of_a_scale_are_shares_of_it() -> None:
    # Deviation 1 of the mean 2, whatever the unit.
    for unit in (1.0, 10.0):
        figures = scale_figures(
            [(i, unit * value) for i, value in enumerate((1.0, 3.0, 1.0, 3.0))]
        )
        assert figures == {
            **{'frames': 4, 'median': 2 * unit, 'min': unit, 'max': 3 * unit},
            'std_over_mean': 0.5,
        }
    assert scale_figures([]) is None


def test_replay_in_metres_by_odometry(tmp_path: Path) -> None:
    """The default bundle has learned the street in metres, so that the factor is about one."""
    options = StreetOptions(stop_probability=0.0)
    write_bag(tmp_path / 'bag', drive(street_camera(320, 96), 14, 2, options), compressed=True)
    summary = replay_into(
        tmp_path / 'bag',
        tmp_path / 'out',
        ReplayOptions('sg_depth_small', rate=0.0, choice=Choice(scale_mode='odometry')),
    )
    scale = summary['scale_over_time']
    assert scale['frames'] >= 8
    # Depth before the scale was known would look like metres: it is withheld, and counted.
    assert summary['frames_out'] == scale['frames']
    [(reason, count)] = summary['lost'].items()
    assert (count, reason[:8]) == (14 - scale['frames'], 'withheld')
    assert 0.6 < scale['median'] < 1.6
    assert summary['scale'] == 'metric'
    assert (tmp_path / 'out' / 'scale.png').stat().st_size > 0
