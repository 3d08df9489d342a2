# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clouds for the shelf: RViz and Foxglove read a field ``rgb``, Rerun another one.

Rerun makes a component of each field by the field's name. Its colours are called ``colors``: red
in the highest of four bytes, then green, blue and opacity.
"""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import PointField

from sg_depth_ros.bags.messages import make, typestore

CLOUD = 'sensor_msgs/msg/PointCloud2'
FIELD = 'colors'


def with_rerun_colors(raw: bytes) -> bytes:
    """Give a serialised cloud with the field that Rerun takes colours from, besides its own.

    A cloud that has it, or has no colours as the node writes them, comes back as it is.
    """
    store = typestore()
    cloud = store.deserialize_cdr(raw, CLOUD)
    offsets = {field.name: field.offset for field in cloud.fields}
    if FIELD in offsets or 'rgb' not in offsets or cloud.is_bigendian:
        return raw
    step = cloud.point_step
    points = cloud.data.reshape(-1, step)
    wider = np.empty((len(points), step + 4), np.uint8)
    wider[:, :step] = points
    wider[:, step] = 255
    wider[:, step + 1 :] = points[:, offsets['rgb'] :][:, :3]
    cloud.fields.append(
        make('sensor_msgs/msg/PointField', name=FIELD, offset=step,
             datatype=PointField.UINT32, count=1)
    )  # fmt: skip
    cloud.point_step, cloud.row_step = step + 4, (step + 4) * cloud.width
    cloud.data = wider.reshape(-1)
    return bytes(store.serialize_cdr(cloud, CLOUD))
