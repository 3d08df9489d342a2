# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the ids in the labels images mean, for those who subscribe at any time."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import Any

from builtin_interfaces.msg import Time
from std_msgs.msg import Header, String

from sg_depth_ros.bundle.labels import Label

try:
    from vision_msgs.msg import LabelInfo, VisionClass
except ImportError:  # not everywhere where ROS 2 is
    LabelInfo = None

LABEL_NAMES = 'semantic/labels'
LABEL_INFO = 'semantic/label_info'


def labels_json(labels: Collection[Label], stamp: Time) -> String:
    """Give id, name, colour and roles of each label."""
    return String(data=json.dumps([label._asdict() for label in labels]))


def label_info(labels: Collection[Label], stamp: Time) -> Any:
    """Give ids and names as the messages of ``vision_msgs`` hold them.

    The threshold is 0: every pixel has the label that is most likely, however likely it is.
    """
    classes = [VisionClass(class_id=label.id, class_name=label.name) for label in labels]
    return LabelInfo(header=Header(stamp=stamp), class_map=classes, threshold=0.0)


Latched = tuple[type, Callable[[Collection[Label], Time], Any]]

LATCHED: dict[str, Latched] = {
    LABEL_NAMES: (String, labels_json),
    **({LABEL_INFO: (LabelInfo, label_info)} if LabelInfo else {}),
}
"""Type and maker of each message that holds as long as the bundle does, by topic."""
