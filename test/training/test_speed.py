# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0

import numpy as np
import pytest

from sg_depth_ros.bags import BagReader, BagWriter, odometry_message
from sg_depth_ros.bags.messages import header, make
from sg_depth_ros.training.data.speed import Speed, distances_between, read_speed, speed_topic

START = 10**18
SECOND = 10**9


def vector(x, y=0.0, z=0.0):
    return make('geometry_msgs/msg/Vector3', x=float(x), y=float(y), z=float(z))


def twist_message(speed, stamp):
    twist = make('geometry_msgs/msg/Twist', linear=vector(0, speed), angular=vector(0))
    return make('geometry_msgs/msg/TwistStamped', header=header(stamp, 'base'), twist=twist)


def fix_message(latitude, longitude, stamp, status=0):
    return make(
        'sensor_msgs/msg/NavSatFix',
        header=header(stamp, 'gps'),
        status=make('sensor_msgs/msg/NavSatStatus', status=status, service=1),
        latitude=latitude,
        longitude=longitude,
        altitude=100.0,
        position_covariance=np.zeros(9),
        position_covariance_type=0,
    )


def write(path, topics):
    with BagWriter(path) as bag:
        for topic, messages in topics.items():
            for second, message in messages:
                bag.write(topic, message, START + round(second * SECOND))
    return path


def test_distance_is_the_integral_of_speed():
    times = np.arange(0, 5.01, 0.5)
    speed = Speed(times, 2 * times)  # constant acceleration: s = t^2
    stamps = np.array([0.3, 1.1, 1.2, 4.9])
    np.testing.assert_allclose(distances_between(stamps, speed), np.diff(stamps**2))


def test_distance_is_unknown_beyond_the_samples_and_over_gaps():
    speed = Speed(np.array([0.0, 1.0, 5.0, 6.0]), np.full(4, 3.0))
    stamps = np.array([-0.1, 0.2, 0.9, 1.1, 4.0, 5.5, 5.9, 6.1])
    found = distances_between(stamps, speed)
    known = [False, True, False, False, False, True, False]
    assert np.isfinite(found).tolist() == known
    np.testing.assert_allclose(found[known], [3 * 0.7, 3 * 0.4])
    assert np.isnan(distances_between(stamps, Speed(np.empty(0), np.empty(0)))).all()


def test_speed_that_is_no_number_makes_a_gap():
    times = np.arange(6.0)
    speeds = np.array([1, 1, np.nan, np.nan, 1, 1])
    found = distances_between(np.array([0.2, 0.8, 2.5, 4.2, 4.9]), Speed(times, speeds))
    assert np.isfinite(found).tolist() == [True, False, False, True]


def test_odometry_is_found_before_the_others(tmp_path):
    path = write(
        tmp_path / 'bag',
        {
            '/odom': [(t, odometry_message(np.eye(4), 4.0, START + t * SECOND)) for t in range(4)],
            '/twist': [(t, twist_message(9.0, START + t * SECOND)) for t in range(4)],
        },
    )
    with BagReader(path) as bag:
        assert speed_topic(bag) == '/odom'
        np.testing.assert_allclose(read_speed(bag, '/odom').speeds, 4.0)
        np.testing.assert_allclose(read_speed(bag, '/twist').speeds, 9.0)
        assert speed_topic(bag, '/twist') == '/twist'
        with pytest.raises(ValueError, match='/nothing is not there'):
            speed_topic(bag, '/nothing')


def test_odometry_without_twist_is_differentiated(tmp_path):
    messages = []
    for t in range(5):
        pose = np.eye(4)
        pose[0, 3] = 6.0 * t
        messages.append((t, odometry_message(pose, 0.0, START + t * SECOND)))
    with BagReader(write(tmp_path / 'bag', {'/odom': messages})) as bag:
        np.testing.assert_allclose(read_speed(bag, '/odom').speeds, 6.0)


def test_fixes_give_speed_on_the_ellipsoid(tmp_path):
    # A degree of latitude is 111.2 km at 49 degrees, one of longitude 73.17 km.
    messages = [
        (t, fix_message(49 + 10 / 111.21e3 * t, 8 + 10 / 73.17e3 * t, START + t * SECOND))
        for t in range(5)
    ]
    messages.insert(2, (1.5, fix_message(0.0, 0.0, START + 3 * SECOND // 2, status=-1)))
    messages.insert(0, (-0.5, fix_message(np.nan, np.nan, START - SECOND // 2)))
    with BagReader(write(tmp_path / 'bag', {'/gps/fix': messages})) as bag:
        assert speed_topic(bag) == '/gps/fix'
        speeds = read_speed(bag, '/gps/fix').speeds
    np.testing.assert_allclose(speeds, 10 * np.sqrt(2), rtol=2e-3)


def test_two_odometries_are_a_question(tmp_path):
    topics = {
        name: [(0, odometry_message(np.eye(4), 4.0, START))] for name in ('/a/odom', '/b/odom')
    }
    with (
        BagReader(write(tmp_path / 'bag', topics)) as bag,
        pytest.raises(ValueError, match=r'/a/odom, /b/odom; name the one'),
    ):
        speed_topic(bag)
