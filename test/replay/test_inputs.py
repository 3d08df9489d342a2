# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which messages of a bag are played, when, and what is refused before anything is."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rosbags', reason='rosbags is not installed')

from sg_depth_ros.bags import (
    BagError,
    BagReader,
    BagWriter,
    camera_info_message,
    image_message,
    odometry_message,
    static_transform_message,
)
from sg_depth_ros.bags.messages import NS, typestore
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.replay.inputs import Choice, Inputs, read_header, restamped

CAMERA = PinholeCamera(32, 16, 20.0, 20.0, 15.5, 7.5)
UNCALIBRATED = camera_info_message(CAMERA, 0, 'eye')
UNCALIBRATED.k[:] = UNCALIBRATED.p[:] = 0
PLAIN = Choice()
START, STEP = 1_700_000_000_000_000_000, 100_000_000
PICTURE = np.full((16, 32, 3), 9, np.uint8)
# z of the camera looks along x of the base.
MOUNTED = np.array([[0, 0, 1, 0.3], [-1, 0, 0, 0.0], [0, -1, 0, 1.4], [0, 0, 0, 1.0]])


def write(path: Path, moments, topic='/front/image', extra=()):
    """Write an image for each (stamp, recorded), with other (topic, message, recorded)."""
    with BagWriter(path) as bag:
        for stamp, recorded in moments:
            bag.write(topic, image_message(PICTURE, stamp, 'eye'), recorded)
        for item in extra:
            bag.write(*item)
    return path


def every(count):
    return [(START + i * STEP, START + i * STEP) for i in range(count)]


def played(path: Path, choice: Choice = PLAIN):
    with BagReader(path) as reader:
        inputs = Inputs(reader, choice)
        return inputs, list(inputs.messages())


def info(topic, frame='eye', recorded=START, stamp=START):
    return topic, camera_info_message(CAMERA, stamp, frame), recorded


def test_messages_keep_their_stamps_and_the_gaps_of_their_recording(tmp_path: Path) -> None:
    bag = write(tmp_path / 'bag', every(3), extra=[info('/front/camera_info', recorded=START + 7)])
    inputs, messages = played(bag)
    assert [(item.topic, item.due_ns) for item in messages] == [
        *(('/front/image', 0), ('/front/camera_info', 7)),
        *(('/front/image', STEP), ('/front/image', 2 * STEP)),
    ]
    assert [item.key for item in messages if item.key] == [(s, 'eye') for s, _ in every(3)]
    assert not inputs.notes and inputs.image_bytes > PICTURE.nbytes


@pytest.mark.parametrize('odd', [0, 1 << 62, (1 << 64) - 1])
def test_what_was_recorded_in_another_century_is_left_out_and_said(tmp_path: Path, odd) -> None:
    moments = [*every(4), (START + 4 * STEP, odd)]
    bag = write(tmp_path / 'bag', sorted(moments, key=lambda moment: moment[1]))
    inputs, messages = played(bag)
    assert [item.due_ns for item in messages] == [0, STEP, 2 * STEP, 3 * STEP]
    assert (inputs.total, inputs.left_out) == (5, 1)
    assert '1 of 5 images are left out: their time of recording' in inputs.notes[-1]


@pytest.mark.parametrize(('late', 'played_too'), [(NS, True), (3 * NS, False), (1 << 62, False)])
def test_nobody_waits_for_what_comes_long_after_the_last_image(
    tmp_path: Path, late: int, played_too: bool
) -> None:
    extra = [info('/front/camera_info', recorded=START + STEP + late)]
    _, messages = played(write(tmp_path / 'bag', every(2), extra=extra))
    assert [item.due_ns for item in messages] == [0, STEP, *([STEP + late] if played_too else [])]


def test_camera_info_from_before_the_clock_is_played_at_once(tmp_path: Path) -> None:
    extra = [info('/front/camera_info', recorded=0)]
    with BagWriter(tmp_path / 'bag') as bag:
        bag.write(*extra[0])
        for stamp, recorded in every(2):
            bag.write('/front/image', image_message(PICTURE, stamp, 'eye'), recorded)
    _, messages = played(tmp_path / 'bag')
    assert [(item.topic, item.due_ns) for item in messages][:2] == [
        *(('/front/camera_info', 0), ('/front/image', 0)),
    ]


def test_equal_stamps_become_those_of_the_recording(tmp_path: Path) -> None:
    infos = [info('/front/camera_info', recorded=t + 5, stamp=0) for _, t in every(3)]
    odom = ('/odom', odometry_message(np.eye(4), 1.0, 0), START + 2)
    choice = Choice(scale_mode='odometry')
    bag = write(tmp_path / 'bag', [(0, t) for _, t in every(3)], extra=[*infos, odom])
    inputs, messages = played(bag, choice)
    times = [t for _, t in every(3)]
    images = [item for item in messages if item.key]
    assert [item.key for item in images] == [(t, 'eye') for t in times]
    assert [read_header(item.raw) for item in images] == [(t, 'eye') for t in times]
    # A camera_info goes on with the image that it was stamped with; a speed has its own time.
    stamps = {
        t: [read_header(m.raw)[0] for m in messages if m.topic == t] for t in inputs_of(odom)
    }
    assert stamps['/front/camera_info'] == times
    assert stamps['/odom'] == [START + 2]
    assert '2 of 3 images have the stamp of another one' in inputs.notes[0]


def inputs_of(odom):
    return '/front/camera_info', odom[0]


def test_who_waits_after_each_image_has_its_camera_info_before(tmp_path: Path) -> None:
    infos = [info('/front/camera_info', recorded=t + 5, stamp=t) for t, _ in every(3)]
    bag = write(tmp_path / 'bag', every(3), extra=[infos[0], infos[2]])
    with BagReader(bag) as reader:
        messages = list(Inputs(reader, PLAIN).messages_in_turn())
    order = [(item.topic, (read_header(item.raw)[0] - START) // STEP) for item in messages]
    # The second image has none; it is sent when it is known that none will come.
    assert order == [
        *(('/front/camera_info', 0), ('/front/image', 0), ('/front/image', 1)),
        *(('/front/camera_info', 2), ('/front/image', 2)),
    ]


def test_restamping_changes_nothing_else() -> None:
    message = image_message(PICTURE, START, 'front/eye')
    for little in (True, False):
        raw = bytes(typestore().serialize_cdr(message, message.__msgtype__, little_endian=little))
        changed = restamped(raw, 5_000_000_009)
        assert read_header(changed) == (5_000_000_009, 'front/eye')
        assert restamped(changed, START) == raw


@pytest.mark.parametrize(
    ('extra', 'choice', 'found'),
    [
        ([info('/front/image/camera_info'), info('/camera_info')], {}, '/front/image/camera_info'),
        ([info('/front/camera_info'), info('/back/camera_info')], {}, '/front/camera_info'),
        ([info('/a/camera_info'), info('/b/camera_info', 'other')], {}, '/a/camera_info'),
        ([info('/a/camera_info', 'x'), info('/b/camera_info', 'y')], {}, None),
        (
            [info('/a/camera_info', 'x'), info('/b/camera_info', 'y')],
            {'info_topic': '/b/camera_info'},
            '/b/camera_info',
        ),
    ],
)
def test_camera_info_is_found_or_asked_for(tmp_path: Path, extra, choice, found) -> None:
    bag = write(tmp_path / 'bag', every(2), extra=extra)
    inputs, messages = played(bag, Choice(**choice))
    assert inputs.info_topic == found
    assert {item.topic for item in messages} == {'/front/image', *filter(None, [found])}
    if found is None:
        assert 'it may be one of /a/camera_info, /b/camera_info, say which' in inputs.notes[0]
    else:
        assert not inputs.notes


ODOM = ('/odom', odometry_message(np.eye(4), 1.0, START), START)
INFO = info('/front/camera_info')


def mounted(transform, parent='base_footprint'):
    return '/tf_static', static_transform_message(transform, parent, 'eye', START), START


@pytest.mark.parametrize(
    ('extra', 'choice', 'sentence'),
    [
        ([INFO], {'scale_mode': 'steam'}, 'none, camera_height, odometry, found .steam.'),
        ([INFO], {'scale_mode': 'fixed'}, 'none, camera_height, odometry, found .fixed.'),
        ([INFO], {'camera_height': 1.6}, 'is for the scale camera_height, found the scale none'),
        ([INFO], {'scale_mode': 'camera_height', 'camera_height': np.nan}, 'found nan'),
        ([INFO], {'scale_mode': 'camera_height'}, "not tell the camera's height.*give the height"),
        ([INFO, mounted(-MOUNTED)], {'scale_mode': 'camera_height'}, 'not above the road'),
        ([], {'scale_mode': 'camera_height', 'camera_height': 1.6}, 'needs the intrinsics'),
        (
            [('/front/camera_info', UNCALIBRATED, START)],
            {'scale_mode': 'camera_height', 'camera_height': 1.6},
            'needs the intrinsics.*/front/camera_info is not calibrated',
        ),
        ([INFO], {'scale_mode': 'odometry'}, 'no Odometry and no TwistStamped'),
        (
            [INFO, ODOM],
            {'scale_mode': 'odometry', 'speed_topic': '/wheels'},
            'no speed on ./wheel',
        ),
        (
            [INFO, ('/a', *ODOM[1:]), ('/b', *ODOM[1:])],
            {'scale_mode': 'odometry'},
            'several topics that tell the speed.*/a, /b',
        ),
        ([INFO], {'info_topic': '/no'}, "no camera_info on '/no'.*/front/camera_info"),
    ],
)
def test_metres_that_cannot_be_had_are_refused(tmp_path: Path, extra, choice, sentence) -> None:
    bag = write(tmp_path / 'bag', every(2), extra=extra)
    with pytest.raises(BagError, match=sentence):
        played(bag, Choice(**choice))


def test_the_height_is_read_from_the_transforms_of_the_bag(tmp_path: Path) -> None:
    bag = write(tmp_path / 'bag', every(2), extra=[INFO, mounted(MOUNTED)])
    inputs, messages = played(bag, Choice(scale_mode='camera_height'))
    assert inputs.camera_height == pytest.approx(1.4)
    assert messages[0].topic == '/tf_static'  # although it was recorded last


def test_any_odometry_will_do(tmp_path: Path) -> None:
    odometry = ('/wheels/odometry', *ODOM[1:])
    bag = write(tmp_path / 'bag', every(2), extra=[INFO, odometry])
    inputs, messages = played(bag, Choice(scale_mode='odometry'))
    assert inputs.speed_topic == '/wheels/odometry' and inputs.has_odometry
    assert '/wheels/odometry' in {item.topic for item in messages}
