# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames of bags whose stamps do not tell them apart, or do not follow their recording."""

import numpy as np
import pytest
from evaluation_worlds import CAMERA, road, write_bag

from sg_depth_ros.bags import BagReader, BagWriter, image_message
from sg_depth_ros.evaluation.frames import EvaluationError, Frame
from sg_depth_ros.evaluation.recorded import DEPTH_TOPIC, RecordedModel
from sg_depth_ros.evaluation.sources.bag import BagSource, Moment, match_moments
from sg_depth_ros.replay.inputs import restamped

IMAGES, SWEEPS = '/camera/image_rect/compressed', '/points'
STEP = 100_000_000


def rewrite(tmp_path, change):
    """Write a bag of four frames anew; ``change`` gives (topic, raw, recorded) of the messages."""
    whole = write_bag(tmp_path / 'whole')
    with BagReader(whole) as reader:
        items = list(reader.messages(reader.topics))
    kinds = {item.topic: item.msgtype for item in items}
    with BagWriter(tmp_path / 'changed') as writer:
        changed = change([(item.topic, item.raw, item.recorded_ns) for item in items])
        for topic, raw, recorded in sorted(changed, key=lambda message: message[2]):
            writer.write_raw(topic, kinds[topic], raw, recorded)
    return tmp_path / 'changed'


def unstamped(topics):
    def change(messages):
        return [(t, restamped(raw, 0) if t in topics else raw, r) for t, raw, r in messages]

    return change


def swapped(messages):
    """The second and the third image, and no sweep, arrive in the wrong order."""
    times = sorted(r for t, _, r in messages if t == IMAGES)
    other = {times[1]: times[2] + 1, times[2]: times[1] + 1}
    return [(t, raw, other.get(r, r) if t == IMAGES else r) for t, raw, r in messages]


def played_twice(messages):
    return messages + [(t, raw, r + 50 * STEP) for t, raw, r in messages if t != '/tf_static']


def check(frame):
    """Check the image and its truth against the world; give the number of the frame in it."""
    [number] = [n for n in range(4) if np.array_equal(frame.image, road(n)[0])]
    depth, hit = road(number)[1], ~np.isnan(frame.truth)
    assert hit.sum() == 32 * 48
    assert frame.truth[hit] == pytest.approx(depth[hit], rel=1e-5)
    return number


@pytest.mark.parametrize(
    ('change', 'numbers', 'noted'),
    [
        (unstamped([IMAGES, SWEEPS]), [0, 1, 2, 3], '3 of 4 images have the stamp of another one'),
        (unstamped([IMAGES]), [0, 1, 2, 3], 'matched by their times of recording'),
        (unstamped([SWEEPS]), [0, 1, 2, 3], 'matched by their times of recording'),
        (swapped, [0, 2, 1, 3], ''),
        (played_twice, [0, 1, 2, 3, 0, 1, 2, 3], '4 of 8 images have the stamp of another one'),
    ],
)
def test_every_frame_is_there_with_its_own_truth(tmp_path, change, numbers, noted):
    source = BagSource(rewrite(tmp_path, change))
    names = source.names()
    assert len(set(names)) == len(numbers)
    frames = list(source.frames(names))
    assert [check(frame) for frame in frames] == numbers
    assert [frame.name for frame in frames] == names
    truths = dict(source.truths())
    for frame in frames:
        assert np.array_equal(truths[frame.name], frame.truth, equal_nan=True)
    assert noted in '; '.join(source.notes)
    assert bool(noted) == bool(source.notes)


def test_of_equal_stamps_what_was_recorded_together_belongs_together():
    # Two rounds with one stamp each; in the second, a sweep between two images.
    images = [Moment(0, 0), Moment(0, 10**12), Moment(30_000_000, 10**12 + 30_000_000)]
    sweeps = [Moment(0, 5), Moment(20_000_000, 10**12 + 20_000_000)]
    assert match_moments(images, sweeps) == [0, 1, 1]
    # The nearest stamp wins over the nearest recording: sweeps are sent when they are complete.
    images = [Moment(0, 90_000_000)]
    assert match_moments(images, [Moment(-40_000_000, 0), Moment(1, 180_000_000)]) == [1]
    assert match_moments(images, [Moment(51_000_000, 90_000_000)]) == [None]


def test_the_camera_info_may_be_named(tmp_path):
    whole = write_bag(tmp_path / 'whole')
    with pytest.raises(EvaluationError, match=r"no camera_info on '/no'.*/camera/camera_info"):
        BagSource(whole, info_topic='/no')
    assert BagSource(whole, info_topic='/camera/camera_info').camera == CAMERA


def test_answers_are_found_in_any_order(tmp_path):
    with BagWriter(tmp_path / 'bag') as bag:
        for place, stamp in enumerate((300, 100, 200)):
            depth = np.full((4, 6), stamp, np.float32)
            bag.write(DEPTH_TOPIC, image_message(depth, stamp, 'camera'), place)
    model = RecordedModel(tmp_path / 'bag', 'node', 'x')
    image = np.zeros((4, 6, 3), np.uint8)
    for stamp in (100, 300, 200, 300):
        frame = Frame(str(stamp), image, np.ones((4, 6), np.float32))
        assert (model.predict(frame).depth == stamp).all()
