# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which camera_info an image gets, and how long it waits for it."""

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from rig import make_image, make_info

from sg_depth_ros.ros.pairing import (
    MOST_IMAGES,
    MOST_INFOS,
    MOST_MISSES,
    WAIT_SECONDS,
    Pairing,
)

TIMEOUT = 2.0


def image(stamp):
    message = make_image()
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(round(stamp * 1e9), 10**9)
    return message


def info(stamp):
    """One whose focal length tells its stamp."""
    message = make_info(focal=20.0 + stamp)
    message.header.stamp = image(stamp).header.stamp
    return message


def taken(pairing, now):
    """Stamps of the images that go, each with that of its camera_info."""
    return [
        (round(frame.stamp / 1e9, 3), None if frame.info is None else frame.info.k[0] - 20)
        for frame in pairing.take(now, TIMEOUT)
    ]


@pytest.fixture
def pairing():
    return Pairing()


def test_each_image_has_the_info_of_its_stamp_whichever_comes_first(pairing):
    pairing.add_info(info(1), 0.0)
    pairing.add_image(image(1), 0.01)
    assert taken(pairing, 0.01) == [(1, 1)]
    pairing.add_image(image(2), 0.1)
    assert taken(pairing, 0.1) == []
    pairing.add_info(info(2), 0.12)
    assert taken(pairing, 0.12) == [(2, 2)]


def test_infos_in_another_order_and_a_frame_late(pairing):
    pairing.add_info(info(1), 0.0)
    for second in (2, 3, 4):
        pairing.add_image(image(second), second / 100)
    for second in (3, 2, 4):
        pairing.add_info(info(second), 0.05)
    assert taken(pairing, 0.05) == [(2, 2), (3, 3), (4, 4)]


def test_images_keep_their_order(pairing):
    pairing.add_info(info(1), 0.0)
    pairing.add_image(image(2), 0.0)
    pairing.add_image(image(3), 0.03)
    pairing.add_info(info(3), 0.04)
    assert taken(pairing, 0.04) == []
    assert taken(pairing, WAIT_SECONDS) == [(2, 1), (3, 3)]


@pytest.mark.parametrize(
    ('infos', 'stamp', 'expected'),
    [
        ((1, 2, 3), 2.5, 2),
        ((3, 2, 1), 2.5, 2),
        ((2, 3), 1.0, 2),
        ((1, 3, 2), 0, 2),  # an image without a stamp: the newest
        ((1, 2), 90.0, 2),
    ],
)
def test_without_an_equal_stamp_the_last_before_it_else_the_first_after_it(
    pairing, infos, stamp, expected
):
    for stamp_of_info in infos:
        pairing.add_info(info(stamp_of_info), 0.0)
    pairing.add_image(image(stamp), 1.0)
    assert taken(pairing, 1.01 + WAIT_SECONDS) == [(stamp, expected)]


def test_a_camera_without_equal_stamps_waits_for_the_first_images_only(pairing):
    pairing.add_info(info(1), 0.0)
    for n in range(MOST_MISSES):
        now = 2.0 + n
        pairing.add_image(image(now), now)
        assert taken(pairing, now + 0.99 * WAIT_SECONDS) == []
        assert taken(pairing, now + 1.01 * WAIT_SECONDS) == [(now, 1)]
    pairing.add_image(image(30.0), 30.0)
    assert taken(pairing, 30.0) == [(30.0, 1)]
    # One that comes a little later has the stamp of an image that did not wait: the next do.
    pairing.add_info(info(30.0), 30.02)
    pairing.add_image(image(31.0), 31.0)
    assert taken(pairing, 31.0) == []
    pairing.add_info(info(31.0), 31.02)
    assert taken(pairing, 31.02) == [(31.0, 31.0)]


def test_infos_that_are_too_late_make_no_image_wait(pairing):
    pairing.add_info(info(1), 0.0)
    for n in range(2, 10):
        pairing.add_image(image(n), n)
        taken(pairing, n + 1.01 * WAIT_SECONDS)
        pairing.add_info(info(n), n + 2 * WAIT_SECONDS)
    pairing.add_image(image(10), 10.0)
    assert taken(pairing, 10.0) == [(10, 9)]


@pytest.mark.parametrize(('of_info', 'of_image'), [(0, 5.0), (5.0, 0)])
def test_who_leaves_the_stamp_empty_is_not_waited_for(pairing, of_info, of_image):
    pairing.add_info(info(of_info), 0.0)
    pairing.add_image(image(of_image), 0.0)
    assert taken(pairing, 0.0) == [(of_image, of_info)]


def test_the_first_images_wait_for_any_info_and_the_newest_wins(pairing):
    assert [pairing.add_image(image(n), n / 10) for n in (1, 2, 3)] == [0, 1, 1]
    assert taken(pairing, 0.1 + 0.99 * TIMEOUT) == []
    assert taken(pairing, 0.1 + TIMEOUT) == [(3, None)]
    pairing.add_image(image(4), 5.0)
    assert taken(pairing, 5.0) == [(4, None)]
    assert pairing.restart() == 0
    pairing.add_image(image(5), 6.0)
    assert taken(pairing, 6.0) == []
    assert pairing.restart() == 1
    assert pairing.waiting == 0


def test_no_more_images_wait_than_memory_is_meant_for(pairing):
    pairing.add_info(info(1), 0.0)
    for n in range(MOST_IMAGES):
        pairing.add_image(image(2 + n), 0.0)
        assert taken(pairing, 0.0) == []
    pairing.add_image(image(2 + MOST_IMAGES), 0.0)
    assert taken(pairing, 0.0) == [(2, 1)]
    assert pairing.waiting == MOST_IMAGES


def test_infos_are_forgotten_in_the_order_in_which_they_came(pairing):
    for n in range(5 * MOST_INFOS):
        pairing.add_info(info(100 + n / 100), 0.0)
        pairing.add_info(info(100 + n / 100), 0.0)  # a latched one may come twice
    assert len(pairing._infos) == MOST_INFOS
    pairing.add_image(image(101), 0.0)
    assert taken(pairing, 1.0) == [(101, pytest.approx(100 + 4 * MOST_INFOS / 100))]


def test_the_newest_is_what_came_last_though_its_stamp_came_before(pairing):
    for stamp in (1, 2, 1):
        pairing.add_info(info(stamp), 0.0)
    assert pairing.newest == info(1)
    for n in range(MOST_INFOS - 1):
        pairing.add_info(info(2 + n / 1000), 0.0)
    pairing.add_image(image(1), 0.0)
    assert taken(pairing, 0.0) == [(1, 1)]


def test_a_bag_that_begins_again_forgets_the_infos_of_its_end(pairing):
    for n in (100, 101, 1):
        pairing.add_info(info(n), 0.0)
    pairing.add_image(image(110), 0.0)
    assert taken(pairing, 1.0) == [(110, 1)]


def test_coefficients_without_end_take_no_memory(pairing):
    message = info(1)
    message.d = [0.0] * 100_000
    pairing.add_info(message, 0.0)
    assert len(pairing.newest.d) == 65
