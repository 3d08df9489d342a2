# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import math

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rig import make_image, make_info

from sg_depth_ros.ros.diagnostics import Health, diagnose, diagnostic_status
from sg_depth_ros.ros.outputs import DEPTH
from sg_depth_ros.ros.parameter_table import DepthParameters
from sg_depth_ros.ros.pipeline import Finding
from sg_depth_ros.ros.statistics import WINDOW, FrameStatistics, FrameTimes
from sg_depth_ros.scale import ScaleEstimate

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


def times(latency):
    return FrameTimes(latency=latency, decode=0.001, inference=0.02, publish=0.003, age=9.0)


@pytest.fixture
def statistics():
    """Twenty frames, ten a second, whose latencies are 10, 20, ... 200 ms; it is second 102."""
    made = FrameStatistics(100.0)
    for n in range(20):
        now = 100 + (n + 1) / 10
        made.count('received', now)
        made.published(times((n + 1) / 100), now)
    return made


@pytest.fixture
def health(statistics):
    return Health(
        active=True,
        wanted=True,
        state='ready',
        progress=None,
        failure='',
        camera_findings=(),
        image_topic='/image',
        image_publishers=1,
        summary=statistics.summary(102.0),
        parameters=DepthParameters(latency_budget_ms=195.0),
        scale=None,
        identity={'engine': 'fake', 'device': 'CPU', 'bundle': 'b', 'scale': 'relative'},
    )


def test_rates_and_percentiles(statistics):
    summary = statistics.summary(102.0)
    assert summary.rate == pytest.approx(10.0)
    # Linear interpolation between order statistics: 10 + 190 q.
    assert summary.percentiles_ms['latency'] == pytest.approx((105.0, 190.5, 200.0))
    assert summary.percentiles_ms['inference'] == pytest.approx((20.0, 20.0, 20.0))
    assert summary.totals == {'received': 20, 'published': 20}
    assert summary.seconds_since['published'] == pytest.approx(0.0)


def test_the_rate_is_of_what_is_published(statistics):
    for n in range(7):
        statistics.count('received', 102.0 + n / 100)
        statistics.count('dropped_busy', 102.0 + n / 100)
    assert statistics.summary(102.5).rate == pytest.approx(20 / 2.5)


def test_the_window_forgets_but_the_totals_do_not(statistics):
    statistics.count('bad', 102.0)
    summary = statistics.summary(102.0 + WINDOW + 0.1)
    assert (summary.rate, summary.percentiles_ms) == (0, {})
    assert not summary.recent
    assert summary.totals['bad'] == 1
    assert summary.seconds_since['received'] == pytest.approx(WINDOW + 0.1)
    statistics.expect(112.0)
    assert statistics.summary(112.5).seconds_since['received'] == pytest.approx(0.5)


def later(statistics, seconds, *events):
    for event in events:
        statistics.count(event, 102.0 + seconds)
    return {'summary': statistics.summary(102.0 + seconds)}


@pytest.mark.parametrize(
    ('change', 'level', 'message'),
    [
        (lambda s: {}, OK, '10.0 frames/s'),
        (lambda s: {'active': False}, OK, 'not active'),
        (lambda s: {'wanted': False}, OK, 'idle'),
        (lambda s: {'state': 'loading'}, WARN, 'loading'),
        (lambda s: {'state': 'loading', 'active': False}, OK, 'not active'),
        (
            lambda s: {'state': 'loading', 'active': False, 'progress': ('depth: timing', 0.71)},
            WARN,
            'building the engine, 71% (depth: timing); images are dropped until',
        ),
        (lambda s: {'failure': 'no engine'}, ERROR, 'no engine'),
        (lambda s: {'camera_findings': (Finding(False, 'no camera'),)}, WARN, 'no camera'),
        (lambda s: {'camera_findings': (Finding(True, 'no camera'),)}, ERROR, 'no camera'),
        (
            lambda s: {'scale': ScaleEstimate('lost', None, problem='no camera')},
            *(ERROR, 'depth in metres is withheld: no camera'),
        ),
        (lambda s: {'parameters': DepthParameters(latency_budget_ms=190.0)}, WARN, 'p95 of 19'),
        (lambda s: later(s, 4.0), WARN, 'no image on /image for 4 s although'),
        (lambda s: {**later(s, 4.0), 'image_publishers': 0}, WARN, 'nobody publishes /image'),
        (lambda s: later(s, 4.0, 'received'), ERROR, 'stalled: images arrive, but no depth'),
        (
            lambda s: later(s, 4.0, 'received', 'withheld'),
            WARN,
            'stalled: images arrive, but no depth for 4 s',
        ),
        (lambda s: later(s, 0.0, 'bad', 'bad'), WARN, '2 images of the last seconds could not be'),
        (lambda s: later(s, 0.0, 'failed'), ERROR, '1 images of the last seconds failed'),
        (
            lambda s: later(s, 4.0, 'received', 'bad'),
            ERROR,
            'stalled: images arrive, but no depth for 4 s; 1 images of the last seconds could not',
        ),
    ],
)
def test_levels(statistics, health, change, level, message):
    found = diagnose(dataclasses.replace(health, **change(statistics)))
    assert found[0] == level
    assert message in found[1]


def test_status_has_the_figures(health):
    status = diagnostic_status('front/sg_depth: depth', health)
    values = {entry.key: entry.value for entry in status.values}
    assert (status.name, status.hardware_id) == ('front/sg_depth: depth', 'CPU')
    assert values['rate (Hz)'] == '10.00'
    assert values['latency p95 (ms)'] == '190.5'
    assert values['inference max (ms)'] == '20.0'
    assert {values[name] for name in ('dropped busy', 'withheld', 'unwanted')} == {'0'}
    assert values['published'] == '20'
    assert {'engine', 'device', 'bundle', 'scale', 'state'} <= set(values)


def test_published_once_a_second_with_what_happened(rig):
    made = rig()
    made.listen('/diagnostics', kind=DiagnosticArray)
    made.listen(DEPTH)
    made.connect()
    assert made.estimator
    made.send(make_info())
    made.send(make_image())
    made.until(lambda: made.received[DEPTH])
    name = f'{made.namespace[1:]}/sg_depth: depth'

    def mine():
        statuses = [m.status[0] for m in made.received['/diagnostics'] if m.status[0].name == name]
        values = [{v.key: v.value for v in s.values} for s in statuses]
        return [v for v in values if v['published'] == '1']

    values = made.until(mine)[0]
    assert values['engine'] == 'fake-auto'
    assert values['bundle'].startswith('fake (')
    assert values['state'] == 'ready'
    assert math.isfinite(float(values['latency p50 (ms)']))
