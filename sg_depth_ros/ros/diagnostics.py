# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the node says about itself on /diagnostics."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from sg_depth_ros.ros.parameter_table import DepthParameters
from sg_depth_ros.ros.pipeline import Finding
from sg_depth_ros.ros.scale_report import scale_finding, scale_values
from sg_depth_ros.ros.statistics import Event, Summary
from sg_depth_ros.ros.worker import State
from sg_depth_ros.scale import ScaleEstimate


@dataclass(frozen=True)
class Health:
    """All that a diagnosis needs to know."""

    active: bool
    wanted: bool
    """Whether anybody listens to an output."""
    state: State
    progress: tuple[str, float] | None
    """What a slow start of the engine is at, and the share that is done."""
    failure: str
    """Why the node cannot work; empty if it can."""
    camera_findings: tuple[Finding, ...]
    """What is wrong with the camera of the last frame."""
    image_topic: str
    image_publishers: int
    summary: Summary
    parameters: DepthParameters
    scale: ScaleEstimate | None
    """Of the last frame, if there was one."""
    identity: dict[str, str]
    """Engine, device, bundle and scale, as far as known."""


def describe(phase: str, fraction: float) -> str:
    """Say how far the building of an engine is."""
    return f'{fraction:.0%} ({phase})'


def diagnose(health: Health) -> tuple[bytes, str]:
    """Give the level and the message: all findings, the gravest first."""
    findings = sorted(_findings(health), key=lambda finding: finding[0], reverse=True)
    if not findings:
        return DiagnosticStatus.OK, f'{health.summary.rate:.1f} frames/s'
    return findings[0][0], '; '.join(text for _, text in findings)


def _findings(health: Health) -> Iterable[tuple[bytes, str]]:
    ok, warn, error = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
    if health.failure:
        yield error, health.failure
        return
    if health.state == 'loading' and (health.active or health.progress):
        doing = f'building the engine, {describe(*health.progress)}' if health.progress else ''
        yield warn, f'{doing or "loading the networks"}; images are dropped until they are ready'
        return
    if not health.active:
        yield ok, 'not active'
        return
    if not health.wanted:
        yield ok, 'idle, since nobody subscribes to an output'
        return
    summary, parameters = health.summary, health.parameters
    timeout, since = parameters.stall_timeout, summary.seconds_since
    silent = since['received'] > timeout
    if silent and health.image_publishers == 0:
        yield warn, f'nobody publishes {health.image_topic}; start the camera or remap image'
    elif silent:
        yield (
            warn,
            f'no image on {health.image_topic} for {since["received"]:.0f} s although it has a '
            'publisher; check that it runs, its QoS, and the shared memory of its Fast DDS '
            'profile (config/fastdds_shm.xml)',
        )
    elif since['published'] > timeout:
        # Frames are withheld for a reason that is told below: a robot may have to drive first.
        level = warn if summary.recent['withheld'] else error
        yield level, f'stalled: images arrive, but no depth for {since["published"]:.0f} s'
    if summary.recent['bad']:
        yield warn, f'{summary.recent["bad"]} images of the last seconds could not be decoded'
    if summary.recent['failed']:
        yield error, f'{summary.recent["failed"]} images of the last seconds failed; see the log'
    for finding in health.camera_findings:
        yield error if finding.grave else warn, finding.text
    if health.scale and (text := scale_finding(health.scale)):
        yield error if health.scale.state == 'lost' else warn, text
    if summary.percentiles_ms:
        p95 = summary.percentiles_ms['latency'][1]
        if p95 > parameters.latency_budget_ms:
            yield (
                warn,
                f'latency p95 of {p95:.0f} ms is over the budget of '
                f'{parameters.latency_budget_ms:.0f} ms',
            )


def diagnostic_status(name: str, health: Health) -> DiagnosticStatus:
    """Give the whole status."""
    level, message = diagnose(health)
    summary = health.summary
    values = {
        **health.identity,
        'state': health.state if health.active else 'not active',
        **({'engine build': describe(*health.progress)} if health.progress else {}),
        **(scale_values(health.parameters.scale_mode, health.scale) if health.scale else {}),
        'image topic': health.image_topic,
        'rate (Hz)': f'{summary.rate:.2f}',
        **{name.replace('_', ' '): str(summary.totals[name]) for name in get_args(Event)},
    }
    for stage, figures in summary.percentiles_ms.items():
        for what, milliseconds in zip(('p50', 'p95', 'max'), figures, strict=True):
            values[f'{stage} {what} (ms)'] = f'{milliseconds:.1f}'
    values['latency budget (ms)'] = f'{health.parameters.latency_budget_ms:.0f}'
    return DiagnosticStatus(
        level=level,
        name=name,
        message=message,
        hardware_id=health.identity.get('device', ''),
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )
