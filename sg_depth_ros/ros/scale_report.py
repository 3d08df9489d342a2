# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The state of the scale as a message and in diagnostics."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

from sg_depth_ros.scale import ScaleEstimate

FACTOR = 'scale factor'


def scale_values(mode: str, scale: ScaleEstimate) -> dict[str, str]:
    """Give what diagnostics show of a scale."""
    numbers = {
        FACTOR: scale.factor,
        'scale spread': scale.spread,
        'scale inliers': scale.inliers,
        'scale age (s)': scale.age,
    }
    return {
        'scale mode': mode,
        'scale state': scale.state,
        **{name: 'unknown' if n is None else f'{n:.6g}' for name, n in numbers.items()},
    }


def scale_finding(scale: ScaleEstimate) -> str:
    """Give what is wrong with a scale in one sentence; empty if nothing is."""
    if scale.state == 'waiting':
        return f'the scale is not known yet: {scale.problem}'
    if scale.state == 'lost':
        return f'depth in metres is withheld: {scale.problem}'
    if scale.state == 'held':
        return f'the scale of {scale.age:.1f} s ago is held: {scale.problem}'
    return ''


def scale_message(header: Header, mode: str, scale: ScaleEstimate) -> DiagnosticArray:
    """Give the scale of one frame; the stamp and frame are the frame's."""
    finding = scale_finding(scale)
    status = DiagnosticStatus(
        level=DiagnosticStatus.WARN if finding else DiagnosticStatus.OK,
        name='scale',
        message=finding or scale.state,
        values=[
            KeyValue(key=key.removeprefix('scale '), value=value)
            for key, value in scale_values(mode, scale).items()
        ],
    )
    return DiagnosticArray(header=header, status=[status])
