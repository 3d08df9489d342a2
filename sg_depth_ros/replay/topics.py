# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The topics of a replay: what the node publishes, under its names there."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray

from sg_depth_ros.ros import outputs, semantic_outputs

NODE = '/sg_depth'
DIAGNOSTICS = '/diagnostics'


def _absolute(topic: str) -> str:
    return topic.replace('~', NODE) if topic.startswith('~') else f'/{topic}'


DEPTH, POINTS, LABELS, SCALE = (
    _absolute(topic) for topic in (outputs.DEPTH, outputs.POINTS, outputs.LABELS, outputs.SCALE)
)
GROUND, OBSTACLES = _absolute(outputs.GROUND), _absolute(outputs.OBSTACLES)
OUTPUTS: dict[str, type] = {
    **{_absolute(topic): kind for topic, kind in outputs.ALL_TOPICS.items()},
    DIAGNOSTICS: DiagnosticArray,
}
"""Message types of all that the node publishes."""
LATCHED = {_absolute(topic) for topic in semantic_outputs.LATCHED}
RECORDED = (DEPTH, LABELS)
"""What the pictures need."""
HEARD = {DEPTH, POINTS, LABELS, SCALE, DIAGNOSTICS}
"""What a replay looks at itself; the node makes only what somebody listens to."""


def type_name(topic: str) -> str:
    """Give the type of an output as bags name it, such as ``sensor_msgs/msg/Image``."""
    kind = OUTPUTS[topic]
    return f'{kind.__module__.partition(".")[0]}/msg/{kind.__name__}'
