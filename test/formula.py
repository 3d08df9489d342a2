# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A bundle whose graphs compute a formula, to compare engines and estimator with numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sg_depth_ros.bundle import Bundle
from sg_depth_ros.bundle.labels import CITYSCAPES

WIDTH, HEIGHT = 32, 16
BundleMaker = Callable[..., Bundle]

# labels: the strongest channel; features: the mean of red over 4x4 pixels.
SEGMENTATION_TEXT = """
<ir_version: 8, opset_import: ["": 18]>
segmentation (uint8[1,{h},{w},3] image)
  => (uint8[1,{h},{w}] labels, float[1,1,{fh},{fw}] features_4)
{{
  values = Cast<to: int = 1>(image)
  best = ArgMax<axis: int = 3, keepdims: int = 0>(values)
  labels = Cast<to: int = 2>(best)
  planes = Transpose<perm: ints = [0, 3, 1, 2]>(values)
  start = Constant<value_ints: ints = [0]>()
  end = Constant<value_ints: ints = [1]>()
  axis = Constant<value_ints: ints = [1]>()
  red = Slice(planes, start, end, axis)
  features_4 = AveragePool<kernel_shape: ints = [4, 4], strides: ints = [4, 4]>(red)
}}
"""
# depth: 1 + green + 100 times the features, each repeated for its 4x4 pixels.
DEPTH_TEXT = """
<ir_version: 8, opset_import: ["": 18]>
depth (uint8[1,{h},{w},3] image, float[1,1,{fh},{fw}] features_4) => (float[1,{h},{w}] depth)
{{
  values = Cast<to: int = 1>(image)
  one = Constant<value_ints: ints = [1]>()
  two = Constant<value_ints: ints = [2]>()
  last = Constant<value_ints: ints = [3]>()
  green_1 = Slice(values, one, two, last)
  green = Squeeze(green_1, last)
  scales = Constant<value_floats: floats = [1.0, 1.0, 4.0, 4.0]>()
  up_1 = Resize<mode: string = "nearest", nearest_mode: string = "floor",
    coordinate_transformation_mode: string = "asymmetric">(features_4, , scales)
  up = Squeeze(up_1, one)
  hundred = Constant<value_floats: floats = [100.0]>()
  offset = Constant<value_floats: floats = [1.0]>()
  guided = Mul(up, hundred)
  sum = Add(green, guided)
  depth = Add(sum, offset)
}}
"""


def formula(image_hw3: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Depth and labels that the formula bundle must give, computed by numpy."""
    values = image_hw3.astype(np.float64)
    rows, columns = image_hw3.shape[:2]
    means = values[..., 0].reshape(rows // 4, 4, columns // 4, 4).mean((1, 3))
    depth = 1 + values[..., 1] + 100 * means.repeat(4, 0).repeat(4, 1)
    return depth, values.argmax(-1)


def graph_bytes(text: str, width: int = WIDTH, height: int = HEIGHT) -> bytes:
    """Serialise a graph given as ONNX text."""
    parser = pytest.importorskip('onnx.parser')
    filled = text.format(w=width, h=height, fw=width // 4, fh=height // 4)
    data: bytes = parser.parse_model(filled).SerializeToString()
    return data


def manifest_fields(**changes: Any) -> dict[str, Any]:
    """Fields of a valid manifest."""
    return {
        'name': 'formula',
        'description': 'A formula.',
        'licence': 'Apache-2.0',
        'input': {'width': WIDTH, 'height': HEIGHT},
        'normalisation': {'mean': [0.5, 0.5, 0.5], 'std': [0.5, 0.5, 0.5]},
        'labels': [label._asdict() for label in CITYSCAPES],
        'depth': {'min': 0.1, 'max': 100.0, 'scale': 'relative', 'training_focal_length': 20.0},
        'precision': 'fp32',
        'provenance': {'data': ['street'], 'steps': 3},
        'metrics': [],
        **changes,
    }
