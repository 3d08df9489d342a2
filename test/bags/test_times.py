# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from sg_depth_ros.bags.times import NS, ImageTimes, Timeline

DAY = 86_400 * NS


def test_stamps_are_kept_while_they_tell_images_apart() -> None:
    # Out of order, and one of them zero: still a stamp for each.
    times = ImageTimes([(30, 1), (10, 2), (20, 3), (0, 4)])
    assert times.stamped and not times.note
    assert times.times == [30, 10, 20, 0]
    assert times.of_companion(10, 99) == 10


def test_equal_stamps_give_way_to_the_times_of_recording() -> None:
    times = ImageTimes([(5, 100), (6, 100), (5, 90), (7, 200)])
    assert not times.stamped
    # All differ and go on, whatever the recorder wrote.
    assert times.times == [100, 101, 102, 200]
    assert times.note.startswith('1 of 4 images have the stamp of another one')


def test_a_companion_goes_with_the_image_of_its_round() -> None:
    # Two rounds of a loop: stamps 1, 2, 1, 2.
    times = ImageTimes([(1, 100), (2, 200), (1, 1100), (2, 1200)])
    assert [times.of_companion(1, recorded) for recorded in (90, 101, 1099, 9999)] == [
        *(100, 100, 1100, 1100),
    ]
    assert times.of_companion(2, 700) == 200
    assert times.of_companion(3, 777) == 777


def test_a_timeline_keeps_gaps_and_cuts_pauses() -> None:
    timeline = Timeline([10 * NS, 11 * NS, 1011 * NS, 1012 * NS, 5012 * NS])
    assert [timeline.offset(t * NS) / NS for t in (9, 10, 10.5, 11, 11.5, 12, 900)] == [
        *(0, 0, 0.5, 1, 1.5, 2, 2),
    ]
    assert [timeline.offset(t * NS) / NS for t in (1011, 1012, 5012)] == [2, 3, 4]
    assert timeline.cut_seconds == 999 + 3999


def test_a_pause_of_a_minute_is_kept() -> None:
    timeline = Timeline([0, 60 * NS, 121 * NS])
    assert [timeline.offset(t * NS) / NS for t in (60, 121)] == [60, 61]


def test_the_longest_stretch_is_played() -> None:
    times = [0, 5, 2 * DAY, 2 * DAY + 1, 2 * DAY + 2, 1 << 62, (1 << 64) - 1]
    timeline = Timeline(times)
    assert [t for t in times if timeline.plays(t)] == times[2:5]
    assert timeline.offset(2 * DAY + 2) == 2
    assert timeline.cut_seconds == 0
