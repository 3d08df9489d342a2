# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an obstacle layer of Nav2 makes of clouds: its rule, written anew to be measured by.

As ``nav2_costmap_2d``'s obstacle layer does it: each cycle first clears the cells between the
sensor and every point of the clearing cloud, then marks the cells of the marking cloud, within a
band of heights and a range. What its denoise layer makes of that does not go back into the layer.
Frames are x forward, y left, z up, in metres.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Cells = NDArray[np.bool_]


@dataclass(frozen=True)
class LayerRule:
    """Parameters of the layer, named as there.

    :ivar size: edge of the rolling window, in metres
    :ivar minimal_group_size: cells of a group that the denoise layer after it leaves
    """

    resolution: float = 0.1
    size: float = 44.0
    min_obstacle_height: float = -1.0
    max_obstacle_height: float = 2.0
    obstacle_max_range: float = 20.0
    raytrace_max_range: float = 20.0
    minimal_group_size: int = 2


class ObstacleLayer:
    """A rolling window of cells around a robot, each occupied or not."""

    def __init__(self, rule: LayerRule) -> None:
        """Begin with no obstacle."""
        self.rule = rule
        self.count = round(rule.size / rule.resolution)
        self.occupied: Cells = np.zeros((self.count, self.count), bool)
        """By cell of y and x."""
        self._origin = np.zeros(2, np.int64)
        """The cell of the world that is cell 0, 0."""

    @property
    def origin(self) -> NDArray[np.float64]:
        """The world's x and y at the corner of cell 0, 0."""
        return np.asarray(self._origin * self.rule.resolution, np.float64)

    def update(
        self,
        marking_n3: NDArray[np.floating],
        clearing_n3: NDArray[np.floating],
        sensor_xy: NDArray[np.floating],
    ) -> None:
        """Do one cycle; the window follows the sensor.

        :param marking_n3: points (N, 3) of the world
        :param clearing_n3: points (M, 3) of the world
        """
        self._follow(sensor_xy)
        self._clear(self._in_band(clearing_n3)[:, :2], sensor_xy)
        points = self._in_band(marking_n3)[:, :2]
        away = np.hypot(*(points - sensor_xy).T)
        cells = self.cells(points[away <= self.rule.obstacle_max_range])
        self.occupied[cells[:, 1], cells[:, 0]] = True

    def denoised(self) -> Cells:
        """Give the map without groups of too few cells, which touch by sides or corners."""
        _, groups, figures, _ = cv2.connectedComponentsWithStats(
            self.occupied.astype(np.uint8), connectivity=8
        )
        large = figures[:, cv2.CC_STAT_AREA] >= self.rule.minimal_group_size
        return np.asarray(self.occupied & large[groups])

    def cells(self, points_n2: NDArray[np.floating]) -> NDArray[np.int64]:
        """Give the cells (M, 2), x and y, of those points that lie in the window."""
        cells = np.floor(points_n2 / self.rule.resolution).astype(np.int64) - self._origin
        return np.asarray(cells[((cells >= 0) & (cells < self.count)).all(1)])

    def _in_band(self, points: NDArray[np.floating]) -> NDArray[np.floating]:
        height, rule = points[:, 2], self.rule
        within = (height >= rule.min_obstacle_height) & (height <= rule.max_obstacle_height)
        return points[within & np.isfinite(points).all(1)]

    def _follow(self, sensor_xy: NDArray[np.floating]) -> None:
        """Move the window by whole cells; what leaves it is forgotten."""
        corner = np.asarray(sensor_xy) - self.rule.size / 2
        origin = np.floor(corner / self.rule.resolution).astype(np.int64)
        dx, dy = (origin - self._origin).tolist()
        moved = np.zeros_like(self.occupied)
        old = self.occupied[max(dy, 0) : self.count + dy, max(dx, 0) : self.count + dx]
        if old.size:
            moved[max(-dy, 0) :, max(-dx, 0) :][: old.shape[0], : old.shape[1]] = old
        self.occupied, self._origin = moved, origin

    def _clear(self, points: NDArray[np.floating], sensor_xy: NDArray[np.floating]) -> None:
        """Free the cells of Bresenham's lines from the sensor to each point, up to the range."""
        start = self.cells(np.asarray(sensor_xy)[None])[0]
        # Points beyond the window or the range only give the direction.
        ends = np.unique(
            np.floor(points / self.rule.resolution).astype(np.int64) - self._origin, axis=0
        )
        delta = ends - start
        length = np.hypot(*delta.T)
        reach = math.ceil(self.rule.raytrace_max_range / self.rule.resolution)
        long, short = np.abs(delta).max(1), np.abs(delta).min(1)
        steps = (np.minimum(1.0, reach / np.maximum(length, 1)) * long).astype(np.int64)
        x_leads = np.abs(delta[:, 0]) >= np.abs(delta[:, 1])
        sign = np.sign(delta)
        for chunk in np.array_split(np.arange(len(ends)), max(1, len(ends) // 2000)):
            step = np.arange(int(steps[chunk].max(initial=0)) + 1)
            wide = np.maximum(long[chunk, None], 1)
            aside = (wide // 2 + step * short[chunk, None]) // wide
            along = np.broadcast_to(step, aside.shape)
            leads = x_leads[chunk, None]
            x = start[0] + sign[chunk, :1] * np.where(leads, along, aside)
            y = start[1] + sign[chunk, 1:] * np.where(leads, aside, along)
            on = (step <= steps[chunk, None]) & (np.minimum(x, y) >= 0)
            on &= np.maximum(x, y) < self.count
            self.occupied[y[on], x[on]] = False


@dataclass(frozen=True)
class Agreement:
    """How the cells of one map agree with those of another."""

    precision: float
    """Share of the marked cells that lie near a true one."""
    recall: float
    """Share of the true cells that lie near a marked one."""


def compare(marked: Cells, true: Cells, tolerance: float) -> Agreement:
    """Compare two maps of one size.

    :param tolerance: cells within which two count as one
    """
    return Agreement(_share_near(marked, true, tolerance), _share_near(true, marked, tolerance))


def _share_near(these: Cells, those: Cells, tolerance: float) -> float:
    """Give the share of cells of one map that have one of the other near; NaN if there is none."""
    if not these.any():
        return math.nan
    if not those.any():
        return 0.0
    away = cv2.distanceTransform((~those).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float((away[these] <= tolerance).mean())


@dataclass(frozen=True)
class Corridor:
    """Where a vehicle would drive: straight ahead of the camera, in metres."""

    half_width: float = 1.0
    nearest: float = 2.0
    farthest: float = 20.0

    def cells(self, layer: ObstacleLayer, vehicle_to_world: NDArray[np.floating]) -> Cells:
        """Tell which cells of a layer's window lie in it; the vehicle's pose is (4, 4)."""
        centers = (np.arange(layer.count) + 0.5) * layer.rule.resolution
        x, y = np.meshgrid(centers + layer.origin[0], centers + layer.origin[1])
        inverse = np.linalg.inv(vehicle_to_world)
        ahead = inverse[0, 0] * x + inverse[0, 1] * y + inverse[0, 3]
        aside = inverse[1, 0] * x + inverse[1, 1] * y + inverse[1, 3]
        within = (ahead > self.nearest) & (ahead < self.farthest)
        return np.asarray(within & (np.abs(aside) < self.half_width))


def planar(pose: NDArray[np.floating]) -> NDArray[np.float64]:
    """Give a vehicle's pose (4, 4) as odometry on wheels has it: heading and place on a plane."""
    yaw = math.atan2(pose[1, 0], pose[0, 0])
    flat = np.eye(4)
    flat[:2, :2] = [[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]]
    flat[:2, 3] = pose[:2, 3]
    return flat
