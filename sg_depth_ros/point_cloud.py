# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Coloured, labelled point clouds from depth images, in the memory layout of PointCloud2."""

from __future__ import annotations

import math
from collections.abc import Collection

import cv2
import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.camera import PinholeCamera

POINT = np.dtype([('x', '<f4'), ('y', '<f4'), ('z', '<f4'), ('rgb', '<f4'), ('label', '<u4')])
"""One point: metres in the optical frame; the bytes b, g, r, 0 that RViz and PCL read from a
float32 field named rgb; the label's id. 20 bytes."""

# A structured array of whole points is copied many times faster when it has no fields.
_OPAQUE = np.dtype((np.void, POINT.itemsize))


class PointCloudBuilder:
    """Turns depth images of one camera into points, in memory that is allocated once."""

    def __init__(
        self,
        camera: PinholeCamera,
        organized: bool = True,
        stride: int = 1,
        min_range: float = 0.0,
        max_range: float = math.inf,
        exclude_ids: Collection[int] = (),
        edge_ratio: float = 0.0,
        smooth_ids: Collection[int] = (),
    ) -> None:
        """Prepare for images of the size of ``camera``.

        :param organized: keep the image's rows and columns, with NaN where there is no point;
            otherwise give only the points that there are.
        :param stride: take every stride-th row and column, the first included.
        :param min_range: least z-depth of a point, in the unit of the depth images.
        :param max_range: greatest z-depth of a point.
        :param exclude_ids: labels whose pixels give no point.
        :param edge_ratio: leave out a pixel that lies between a neighbour nearer by this share
            and one farther by this share: networks blur edges, and what they put between two
            surfaces is on neither. 0 leaves out none.
        :param smooth_ids: labels without such edges, as the ground, which towards the horizon
            recedes from row to row as fast as an edge.
        """
        if stride < 1:
            raise ValueError(f'the stride of a point cloud must be at least 1, found {stride}')
        if not max_range > min_range:
            raise ValueError(
                f'max_range must be greater than min_range, found {max_range} and {min_range}'
            )
        self.camera = camera
        self._organized = organized
        self._stride = stride
        self._min_range = min_range
        # Infinity marks what has no depth, such as the sky.
        self._max_range = min(max_range, float(np.finfo(np.float32).max))
        rays = camera.rays()[::stride, ::stride]
        self._excluded = _table(exclude_ids)
        self._smooth = _table(smooth_ids)
        self._edge_ratio = np.float32(edge_ratio)
        self._ray_x = rays[:1, :, 0].copy()
        self._ray_y = rays[:, :1, 1].copy()
        shape = rays.shape[:2]
        self._z = np.empty(shape, np.float32)
        self._points = np.zeros(shape, POINT)
        self._bytes = self._points.view(np.uint8).reshape(*shape, POINT.itemsize)

    def build(
        self,
        depth_hw: NDArray[np.float32],
        rgb_hw3: NDArray[np.uint8],
        labels_hw: NDArray[np.uint8],
    ) -> NDArray[np.void]:
        """Give the points of one image.

        :param depth_hw: (H, W) float32 z-depth; NaN, infinite and non-positive values and those
            beyond the range limits give no point.
        :param rgb_hw3: (H, W, 3) uint8 RGB.
        :param labels_hw: (H, W) uint8 label ids.
        :return: array of ``POINT``: (h, w), valid until the next call, when organised, with x, y
            and z NaN where there is no point; a fresh (N,), row by row, otherwise.
        :raises ValueError: when an image is not of the size of the camera.
        """
        size = (self.camera.height, self.camera.width)
        for name, image in (('depth', depth_hw), ('colour', rgb_hw3), ('label', labels_hw)):
            if image.shape[:2] != size:
                raise ValueError(
                    f'the {name} image is {image.shape[1]}x{image.shape[0]}, but the camera '
                    f'{size[1]}x{size[0]}; give images of the size of the camera'
                )
        step = self._stride
        depth, rgb, labels = (image[::step, ::step] for image in (depth_hw, rgb_hw3, labels_hw))
        valid = (depth > 0) & (depth >= self._min_range) & (depth <= self._max_range)
        if self._excluded.any():
            valid &= cv2.LUT(labels, self._excluded) == 0
        if self._edge_ratio:
            smooth = cv2.LUT(labels, self._smooth) > 0
            valid &= smooth | ~between(depth_hw[::step, ::step], self._edge_ratio)
        np.copyto(self._z, depth)
        self._z[~valid] = np.nan
        np.multiply(self._ray_x, self._z, out=self._points['x'])
        np.multiply(self._ray_y, self._z, out=self._points['y'])
        self._points['z'] = self._z
        color = POINT.fields['rgb'][1]  # type: ignore[index]
        for offset, channel in enumerate((2, 1, 0)):
            self._bytes[..., color + offset] = rgb[..., channel]
        self._points['label'] = labels
        if self._organized:
            return self._points
        return self._points.view(_OPAQUE)[valid].view(POINT)


_FAR = np.float32(1e9)
_KERNEL = np.ones((3, 3), np.uint8)


def between(depth_hw: NDArray[np.float32], ratio: float) -> NDArray[np.bool_]:
    """Tell which pixels (H, W) lie between a nearer and a farther neighbour, of 3x3.

    :param depth_hw: +inf counts as far, NaN as nothing.
    :param ratio: share by which each of the two must differ.
    """
    known = np.minimum(depth_hw, _FAR)
    near = far = known
    unknown = np.isnan(known)
    if unknown.any():
        near, far = np.where(unknown, _FAR, known), np.where(unknown, np.float32(0), known)
    nearest, farthest = cv2.erode(near, _KERNEL), cv2.dilate(far, _KERNEL)
    factor = np.float32(1 + ratio)
    return (nearest * factor < known) & (known * factor < farthest)


def thin_by_voxels(points: NDArray[np.void], size: float) -> NDArray[np.void]:
    """Keep one point of each cube of a grid; organised points give a flat cloud.

    The point itself is kept, not a mean, so that colour and label remain those of one surface.

    :param points: array of ``POINT``; those whose z is NaN are left out.
    :param size: edge of the cubes, in the unit of the points.
    """
    flat = points.reshape(-1)
    flat = flat[~np.isnan(flat['z'])]
    cells = [np.floor(flat[axis] / np.float32(size)).astype(np.int64) for axis in 'xyz']
    keys = cells[0] << 42 ^ (cells[1] & 0x1FFFFF) << 21 ^ cells[2] & 0x1FFFFF
    slots = (keys * 0x9E3779B1 >> 13) & (_SLOTS - 1)
    table = np.zeros(_SLOTS, np.int32)
    left = np.arange(len(flat), dtype=np.int32)
    kept = []
    # A slot holds one point. Those of other cubes that fell into it get another round.
    while len(left):
        table[slots[left]] = left
        winners = table[slots[left]]
        kept.append(left[winners == left])
        left = left[keys[winners] != keys[left]]
    return flat.view(_OPAQUE)[np.sort(np.concatenate([left, *kept]))].view(POINT)


_SLOTS = 1 << 20


def _table(ids: Collection[int]) -> NDArray[np.uint8]:
    """Give (256,) flags for OpenCV's LUT, which indexes faster than NumPy."""
    flags = np.zeros(256, np.uint8)
    flags[list(ids)] = 1
    return flags
