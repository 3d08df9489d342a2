# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From relative depth to metres: a fixed factor, the camera's height, or the measured speed."""

from sg_depth_ros.scale.estimator import (
    MODES,
    ScaleEstimate,
    ScaleEstimator,
    ScaleSettings,
)
from sg_depth_ros.scale.road import fit_road

__all__ = ['MODES', 'ScaleEstimate', 'ScaleEstimator', 'ScaleSettings', 'fit_road']
