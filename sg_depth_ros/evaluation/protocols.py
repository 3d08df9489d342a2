# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Protocols: how a prediction is brought to the truth's size, cropped, clamped and scaled.

The same network differs by several percent between the evaluation codes of monodepth2 and
packnet-sfm, so that a figure means nothing without the name of its protocol.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.evaluation.frames import EvaluationError, Frame, Model, Output
from sg_depth_ros.evaluation.lidar import remove_occluded
from sg_depth_ros.evaluation.metrics import SMALLEST_M, Compared, Scaling, compare_depth


@dataclass(frozen=True)
class Protocol:
    """One way to measure; ``name`` tells every variant apart.

    ``crop``: Garg's crop (ECCV 2016) of the lower, inner part of a KITTI image, or none.
    ``resize``: disparity with pixel centres aligned (monodepth2) or depth with corners aligned
    (packnet-sfm). ``flip``: mean with the prediction of the mirrored image. ``occlusion``:
    LiDAR returns that lie behind a neighbouring foreground are removed first.
    """

    base: str
    crop: Literal['garg', 'none']
    resize: Literal['disparity', 'depth']
    min_depth: float = 1e-3
    max_depth: float = 80.0
    max_truth: float = 80.0
    scaling: Scaling = 'median'
    flip: bool = False
    occlusion: bool = False

    @property
    def name(self) -> str:
        """The name for tables and files, such as ``eigen-raw+flip, median scaling``."""
        flip = '+flip' if self.flip else ''
        occlusion = '+occlusion' if self.occlusion else ''
        return f'{self.base}{flip}{occlusion}, {self.scaling.replace("_", "-")} scaling'

    @property
    def description(self) -> str:
        """The protocol in words."""
        beyond = '' if np.isinf(self.max_truth) else f' below {self.max_truth:g} m'
        return '; '.join(
            [
                f'truth{beyond}, predictions clamped to {self.min_depth:g}-{self.max_depth:g} m',
                'Garg crop' if self.crop == 'garg' else 'no crop',
                'disparity resized to the truth (bilinear, pixel centres)'
                if self.resize == 'disparity'
                else 'depth resized to the truth (bilinear, corners aligned)',
                f'scaling per image: {self.scaling.replace("_", " ")}',
                f'flip post-processing {"on" if self.flip else "off"}',
                f'occluded LiDAR returns {"removed" if self.occlusion else "kept"}',
                'errors per image, then averaged',
            ]
        )


PROTOCOLS = {
    protocol.base: protocol
    for protocol in (
        # monodepth2, evaluate_depth.py: eval_split eigen and eigen_benchmark.
        Protocol('eigen-raw', 'garg', 'disparity'),
        Protocol('improved', 'none', 'disparity', min_depth=1e-3, max_truth=float('inf')),
        # packnet-sfm, utils/depth.py with its KITTI configurations.
        Protocol('eigen-raw-packnet', 'garg', 'depth', min_depth=0.0),
        Protocol('improved-packnet', 'garg', 'depth', min_depth=0.0),
        # Truth for every pixel of any camera.
        Protocol('dense', 'none', 'disparity'),
    )
}


def make_protocol(
    base: str, scaling: Scaling = 'median', flip: bool = False, occlusion: bool = False
) -> Protocol:
    """Give a protocol of ``PROTOCOLS`` with its options; raises EvaluationError if unknown."""
    if base not in PROTOCOLS:
        raise EvaluationError(
            f"there is no protocol '{base}'; choose one of {', '.join(PROTOCOLS)}"
        )
    return replace(PROTOCOLS[base], scaling=scaling, flip=flip, occlusion=occlusion)


def garg_crop(height: int, width: int) -> NDArray[np.bool_]:
    """Give the (H, W) mask of the crop of Garg et al., as every evaluation code rounds it."""
    mask = np.zeros((height, width), np.bool_)
    rows = slice(int(0.40810811 * height), int(0.99189189 * height))
    columns = slice(int(0.03594771 * width), int(0.96405229 * width))
    mask[rows, columns] = True
    return mask


def resize_prediction(
    depth_hw: NDArray[np.float32], height: int, width: int, how: Literal['disparity', 'depth']
) -> NDArray[np.float32]:
    """Bring a depth image to (height, width) as the protocol wants; NaN spreads to neighbours."""
    if depth_hw.shape == (height, width):
        return depth_hw
    if how == 'depth':
        rows = np.linspace(0, depth_hw.shape[0] - 1, height)
        columns = np.linspace(0, depth_hw.shape[1] - 1, width)
        return _lerp(_lerp(depth_hw, rows).T, columns).T.astype(np.float32)
    disparity = 1 / np.maximum(depth_hw, SMALLEST_M)
    resized = cv2.resize(disparity, (width, height), interpolation=cv2.INTER_LINEAR)
    with np.errstate(divide='ignore'):
        return np.asarray(1 / resized, np.float32)


def _lerp(
    values_ab: NDArray[np.floating], positions_n: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Interpolate the rows of (A, B) linearly at fractional positions: (N, B)."""
    low = positions_n.astype(np.intp)
    high = np.minimum(low + 1, len(values_ab) - 1)
    weight_n1 = (positions_n - low)[:, None]
    with np.errstate(invalid='ignore'):
        mixed = (1 - weight_n1) * values_ab[low] + weight_n1 * values_ab[high]
    # A neighbour of no weight does not count, not even sky, where 0 * inf is NaN.
    return np.where(weight_n1 == 0, values_ab[low], mixed)


def fuse_flipped(
    depth_hw: NDArray[np.float32], mirrored_hw: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Average disparities of the image and of the mirrored image (mirrored back already).

    Near the left and right border, 5 % with a ramp of 5 %, only the prediction counts that saw
    more context there (Godard et al., CVPR 2017).
    """
    left, right = (1 / np.maximum(d, SMALLEST_M) for d in (depth_hw, mirrored_hw))
    from_right_w = 1 - np.clip(20 * (np.linspace(0, 1, depth_hw.shape[1]) - 0.05), 0, 1)
    from_left_w = from_right_w[::-1]
    both_w = (1 - from_left_w - from_right_w) / 2
    fused = (from_left_w + both_w) * left + (from_right_w + both_w) * right
    with np.errstate(divide='ignore'):
        return np.asarray(1 / fused, np.float32)


def predict(model: Model, frame: Frame, protocol: Protocol) -> Output:
    """Let a model predict a frame, twice and fused where the protocol flips."""
    output = model.predict(frame)
    if not (protocol.flip and model.uses_image):
        return output
    camera = frame.camera
    mirrored = replace(
        frame,
        image=np.ascontiguousarray(frame.image[:, ::-1]),
        camera=camera and replace(camera, cx=camera.width - 1 - camera.cx),
    )
    # The output may be a view that the next prediction overwrites.
    first = output.depth.copy()
    labels = None if output.labels is None else output.labels.copy()
    second = model.predict(mirrored)
    seconds = None if output.seconds is None else output.seconds + (second.seconds or 0)
    return Output(fuse_flipped(first, second.depth[:, ::-1]), labels, seconds)


def true_depth(frame: Frame, protocol: Protocol) -> NDArray[np.float32]:
    """Give the (H, W) truth that the protocol compares with."""
    return remove_occluded(frame.truth) if protocol.occlusion else frame.truth


def compare(
    truth_hw: NDArray[np.float32], depth_hw: NDArray[np.float32], protocol: Protocol
) -> Compared:
    """Compare a prediction of any size with the truth (H, W) under a protocol."""
    height, width = truth_hw.shape
    return compare_depth(
        truth_hw,
        resize_prediction(depth_hw, height, width, protocol.resize),
        garg_crop(height, width) if protocol.crop == 'garg' else None,
        scaling=protocol.scaling,
        min_depth=protocol.min_depth,
        max_depth=protocol.max_depth,
        max_truth=protocol.max_truth,
    )
