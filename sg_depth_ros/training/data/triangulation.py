# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth of points that are followed through a few images, and depth bent to agree with them.

A network that has never seen a place errs on it by whole regions: mostly what is far comes out too
near. Where the camera drives past, what stands still tells its depth by parallax, up to one scale:
that with which the road lies as deep under the camera and what is near as far away as the network
has them.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from sg_depth_ros.bundle.labels import ID, VOID, ids_with
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.geometry.ground_plane import fit_ground_plane
from sg_depth_ros.scale.motion import follow
from sg_depth_ros.scale.road import fit_road

_GROUND = ids_with('ground')
_UNKNOWN = [*ids_with('dynamic'), ID['sky'], VOID]
"""What moves by itself, is at no distance, or is hidden."""
_CORNERS = 2000
"""Of the ground, and of all that stands still; the ground alone would be left without."""
_QUALITY = 0.002
_APART = 4
_LEVELS = 4
_ROUND_TRIP = 0.2
"""Pixels that a track may miss its start by when it is followed back, from image to image."""
_EPIPOLAR = 0.5
"""Pixels of a track from its epipolar line."""
_DISPLACEMENT = 24.0
"""Median pixels that tracks have moved when the images are far enough apart."""
_PARALLAX = 4.0
"""Pixels without which depth is not known to a tenth."""
MIN_POINTS = 100
_REACH = 10.0
"""Heights of the camera up to which points are near."""
_FEWEST = 5
"""Points that must be so near."""
_AGREE = 0.5
"""Logarithm by which the two scales may differ. That of the road is right in the mean, but five to
fifteen per cent off by itself, as few points are on it; that of what is near is steady, and leaves
a part of the network's error where it errs there already."""
_NEAR, _ALIKE = 0.06, 0.15
"""Over how much of the width, and of the logarithm of depth, a point's correction reaches."""
_ELSEWHERE = 0.02
"""Weight of a point for what is elsewhere in the image at its depth."""
_TRUST = 0.5
"""Weight of the network itself, in points."""
_OUTLIER = 0.9
"""Logarithm of a correction that is taken to be a wrong track."""
_SCATTER = 0.1
"""Logarithm by which a point may miss the mean around it before it counts for half."""
_ROUNDS = 5


def triangulate(
    images: Iterable[NDArray[np.uint8]], labels_hw: NDArray[np.uint8], camera: PinholeCamera
) -> NDArray[np.float64] | None:
    """Triangulate what stands still from an image and those that follow it.

    :param images: (H, W, 3) uint8 RGB; no more are taken than motion needs
    :param labels_hw: (H, W) train ids of the first
    :return: points (N, 3) of the first image's optical frame, in an unknown unit; None if too few
        agree on one motion
    """
    moving = cv2.dilate(np.isin(labels_hw, _UNKNOWN).astype(np.uint8), np.ones((5, 5), np.uint8))
    remaining = iter(images)
    before = _gray(next(remaining))
    start = _corners(before, labels_hw, moving == 0)
    if len(start) < MIN_POINTS:
        return None
    end = start
    for image in remaining:
        gray = _gray(image)
        end, good = follow(before, gray, end, end, levels=_LEVELS, round_trip=_ROUND_TRIP)
        start, end, before = start[good], end[good], gray
        if len(start) < MIN_POINTS:
            return None
        if np.median(np.linalg.norm(end - start, axis=1)) > _DISPLACEMENT:
            break
    return _two_views(start, end, camera)


def _gray(image_hw3: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(image_hw3, cv2.COLOR_RGB2GRAY), np.uint8)


def _corners(
    gray: NDArray[np.uint8], labels: NDArray[np.uint8], static: NDArray[np.bool_]
) -> NDArray[np.float32]:
    ground = np.isin(labels, _GROUND)
    found = []
    for where in (static & ground, static & ~ground):
        mask = where.astype(np.uint8)
        corners = cv2.goodFeaturesToTrack(gray, _CORNERS, _QUALITY, _APART, mask=mask)
        if corners is not None:
            found.append(np.asarray(corners, np.float32).reshape(-1, 2))
    return np.concatenate(found) if found else np.empty((0, 2), np.float32)


def _two_views(
    start_n2: NDArray[np.float32], end_n2: NDArray[np.float32], camera: PinholeCamera
) -> NDArray[np.float64] | None:
    a, b = start_n2.astype(np.float64), end_n2.astype(np.float64)
    # Its local optimisation leaves little more than half the error of plain RANSAC.
    essential, inliers = cv2.findEssentialMat(
        a, b, camera.matrix, cv2.USAC_MAGSAC, 0.9999, _EPIPOLAR
    )
    if essential is None or essential.shape != (3, 3):
        return None
    agree = inliers.ravel() > 0
    a, b = a[agree], b[agree]
    _, rotation, translation, _ = cv2.recoverPose(essential, a, b, camera.matrix)
    inverse = np.linalg.inv(camera.matrix)
    rays = np.column_stack([a, np.ones(len(a))]) @ inverse.T
    seen = np.column_stack([b, np.ones(len(b))]) @ inverse.T
    turned = rays @ rotation.T
    # seen x (z turned + translation) = 0, in least squares
    left, right = np.cross(seen, turned), -np.cross(seen, translation.ravel())
    z = (left * right).sum(1) / np.maximum((left * left).sum(1), 1e-12)
    parallax = np.linalg.norm(turned[:, :2] / turned[:, 2:] - seen[:, :2], axis=1) * camera.fx
    known = (z > 0) & (parallax > _PARALLAX)
    return rays[known] * z[known, None] if known.sum() >= MIN_POINTS else None


def bend_depth(
    depth_hw: NDArray[np.float32],
    labels_hw: NDArray[np.uint8],
    camera: PinholeCamera,
    points_n3: NDArray[np.float64],
) -> NDArray[np.float32] | None:
    """Bend a depth image to agree with points, in its own scale.

    Each pixel is corrected by the points that are near to it and about as far away, and a little
    by all that are as far away; what is at no point's distance stays as it is, and so does sky.

    :param depth_hw: (H, W) in the unit of the result
    :param labels_hw: (H, W) train ids
    :param points_n3: (N, 3) of the optical frame, in any unit
    :return: (H, W), or None where road and what is near do not tell the scale of the points
    """
    height, width = depth_hw.shape
    columns, rows = np.rint(camera.project(points_n3)[0]).astype(int).T
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    columns, rows, points = columns[inside], rows[inside], points_n3[inside]
    road, _ = fit_road(depth_hw, labels_hw, camera, _GROUND)
    plane = fit_ground_plane(points[np.isin(labels_hw[rows, columns], _GROUND)])
    if road is None or plane is None:
        return None
    own = np.log(depth_hw[rows, columns].astype(np.float64))
    wanted = np.log(points[:, 2]) - own
    near = own < np.log(_REACH * road.height)
    if near.sum() < _FEWEST:
        return None
    scales = np.log(road.height / plane.height), -np.median(wanted[near])
    wanted += np.mean(scales)
    if abs(np.subtract(*scales)) > _AGREE or abs(np.median(wanted)) > _OUTLIER:
        return None
    kept = np.abs(wanted) < _OUTLIER
    smooth = _Smoothing(np.column_stack([columns, rows, own])[kept], wanted[kept], depth_hw)
    correction = smooth.at_pixels()
    correction[labels_hw == ID['sky']] = 0
    return np.asarray(depth_hw * np.exp(correction), np.float32)


class _Smoothing:
    """The robust mean of values around places in an image and its depth, in a bilateral grid.

    It has one node a standard deviation, is linear between them, and is drawn to zero where there
    are few values.

    :param at_n3: column, row and logarithm of depth of each value
    """

    def __init__(
        self,
        at_n3: NDArray[np.float64],
        values_n: NDArray[np.float64],
        depth_hw: NDArray[np.float32],
    ) -> None:
        self._logarithm = np.log(depth_hw.astype(np.float64))
        height, width = depth_hw.shape
        self._low = np.array([0, 0, self._logarithm.min()])
        last = np.array([width - 1, height - 1, self._logarithm.max()])
        self._range = np.maximum(last - self._low, 1e-6)
        units = np.array([_NEAR * width, _NEAR * width, _ALIKE])
        counts = np.ceil(self._range / units).astype(int) + 2
        x, y, z = (
            np.exp(-0.5 * ((low + np.linspace(0, length, count)[:, None] - at) / unit) ** 2)
            for low, length, count, at, unit in zip(
                self._low, self._range, counts, at_n3.T, units, strict=True
            )
        )
        near = y[:, None] * x[None] + _ELSEWHERE
        weight_n = np.ones(len(values_n))
        for _ in range(_ROUNDS):
            total = np.einsum('yxn,zn->zyx', near, z * weight_n)
            mean = np.einsum('yxn,zn->zyx', near, z * (weight_n * values_n))
            self._nodes = torch.from_numpy(mean / (total + _TRUST))
            weight_n = 1 / (1 + ((values_n - self._sampled(at_n3)) / _SCATTER) ** 2)

    def at_pixels(self) -> NDArray[np.float64]:
        """Give the mean (H, W) at each pixel."""
        rows, columns = np.indices(self._logarithm.shape)
        return self._sampled(np.stack([columns, rows, self._logarithm], -1))

    def _sampled(self, at: NDArray[np.float64]) -> NDArray[np.float64]:
        unit = torch.from_numpy(2 * (at - self._low) / self._range - 1)
        grid = unit.reshape(1, 1, 1, -1, 3)
        found = functional.grid_sample(self._nodes[None, None], grid, align_corners=True)
        return np.asarray(found.numpy().reshape(at.shape[:-1]), np.float64)
