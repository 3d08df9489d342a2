# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Coloured, labelled point clouds from depth images, in the memory layout of PointCloud2."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.geometry.camera import PinholeCamera

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
        voxel_size: float = 0.0,
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
        :param voxel_size: keep one point of each cube of a grid with this edge, in the unit of
            the depth images, not organised then. The point itself is kept, not a mean, so that
            colour and label remain those of one surface. 0 keeps all.
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
        self._grid = _VoxelGrid(voxel_size, self._ray_x, self._ray_y) if voxel_size else None

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
        if self._grid is not None:
            kept = self._grid.first(self._z, valid)
            return chosen_points(self._points.reshape(-1), kept)
        if self._organized:
            return self._points
        return chosen_points(self._points, valid)


def chosen_points(
    points: NDArray[np.void], chosen: NDArray[np.bool_] | NDArray[np.integer]
) -> NDArray[np.void]:
    """Give some of the points as a fresh (N,) array: by flags of their shape, or by index."""
    return points.view(_OPAQUE)[chosen].view(POINT)


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


class _VoxelGrid:
    """Finds the first pixel, row by row, of each cube that points of an image lie in."""

    def __init__(
        self, size: float, ray_x: NDArray[np.float32], ray_y: NDArray[np.float32]
    ) -> None:
        """Take the edge of the cubes, and the rays' x (1, w) and y (h, 1) at z = 1."""
        self._inverse = np.float32(1 / size)
        # Least and greatest coordinate at z = 1; the camera itself is in the grid.
        self._axes = [
            (ray, float(ray.min(initial=0)), float(ray.max(initial=0)))
            for ray in (np.ones((1, 1), np.float32), ray_y, ray_x)
        ]
        shape = ray_y.shape[0], ray_x.shape[1]
        self._depth, self._cell = np.empty(shape, np.float32), np.empty(shape, np.float32)
        self._bits = (ray_x.size * ray_y.size).bit_length()
        extent = math.prod(high - low for _, low, high in self._axes)
        # So many cubes deep that their numbers leave room for a pixel's in 63 bits.
        self._deepest = np.float32((2 ** (62 - self._bits) / max(extent, 1e-3)) ** (1 / 3))

    def first(self, z_hw: NDArray[np.float32], valid_hw: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Give the flat indices, ascending, of the pixels whose points stay.

        Thousands of cubes away, points are told apart by their direction only.
        """
        keys = self._keys(z_hw, valid_hw)
        # Most neighbours in the image share their cube: they need not be sorted.
        fresh = keys >= 0
        fresh[:, 1:] &= keys[:, 1:] != keys[:, :-1]
        fresh[1:] &= keys[1:] != keys[:-1]
        pixels = np.flatnonzero(fresh)
        # Sorted with the pixel in the lower bits, each cube's first pixel leads the others.
        packed = (keys.reshape(-1)[pixels].astype(np.int64) << self._bits) | pixels
        packed.sort()
        cubes = packed >> self._bits
        leads = np.ones(len(cubes), bool)
        np.not_equal(cubes[1:], cubes[:-1], out=leads[1:])
        first = packed[leads] & ((1 << self._bits) - 1)
        first.sort()
        return first

    def _keys(
        self, z_hw: NDArray[np.float32], valid_hw: NDArray[np.bool_]
    ) -> NDArray[np.signedinteger[Any]]:
        """Give the number of the cube of each pixel (h, w); -1 where there is no point."""
        depth = np.multiply(z_hw, self._inverse, out=self._depth)
        np.minimum(depth, self._deepest, out=depth)
        depth[~valid_hw] = 0
        farthest = float(depth.max())
        spans = [
            (math.floor(low * farthest), math.floor(high * farthest))
            for _, low, high in self._axes
        ]
        # One more on each side, for what rounding moves into the next cube.
        counts = [high - low + 3 for low, high in spans]
        keys = np.zeros(depth.shape, np.int32 if math.prod(counts) < 2**31 else np.int64)
        for (ray, _, _), (low, _), count in zip(self._axes, spans, counts, strict=True):
            cell = np.floor(np.multiply(depth, ray, out=self._cell), out=self._cell)
            cell -= np.float32(low - 1)
            keys *= count
            keys += cell.astype(keys.dtype)
        keys[~valid_hw] = -1
        return keys


def _table(ids: Collection[int]) -> NDArray[np.uint8]:
    """Give (256,) flags for OpenCV's LUT, which indexes faster than NumPy."""
    flags = np.zeros(256, np.uint8)
    flags[list(ids)] = 1
    return flags
