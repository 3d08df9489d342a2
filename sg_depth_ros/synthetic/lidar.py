# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A rotating LiDAR on the ego's roof, by casting its rays at the street's own polygons.

The rays are not sampled from the camera's depth: every ring and azimuth is intersected exactly
with the polygons, from the LiDAR's own place, so that it also sees what the camera does not.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from sg_depth_ros.synthetic.drive import StreetFrame
from sg_depth_ros.synthetic.mesh import Mesh
from sg_depth_ros.synthetic.raster import Grid, planes, visible
from sg_depth_ros.synthetic.renderer import in_view, leaf_filter

_FORWARDS = np.array([[0, -1.0, 0], [0, 0, -1.0], [1.0, 0, 0]])
"""From the LiDAR's axes (x forward, y left, z up) to optical ones (x right, y down, z forward)."""


class LidarOptions(BaseModel, extra='forbid', frozen=True):
    """A LiDAR's rays, noise and place; by default 64 beams, seen by the camera."""

    rings: Annotated[int, Field(ge=2, le=256)] = 64
    elevation: tuple[float, float] = (-24.8, 2.0)
    """Degrees of the lowest and the highest ring."""
    azimuth_step: Annotated[float, Field(gt=0, le=5)] = 0.2
    """Degrees."""
    nearest: Annotated[float, Field(ge=0.3)] = 1.5
    farthest: Annotated[float, Field(gt=0)] = 110.0
    """Metres."""
    noise: Annotated[float, Field(ge=0)] = 0.0
    """Standard deviation of the range in metres."""
    drop_out: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of returns that are lost."""
    camera_only: bool = True
    """Keep only what projects into the camera's image; otherwise all 360 degrees."""
    place: tuple[float, float, float] = (0.06, -0.08, -0.27)
    """Of the LiDAR in the camera's optical frame, metres."""

    @property
    def lidar_to_camera(self) -> NDArray[np.float64]:
        """The (4, 4) transform from the LiDAR's frame to the optical one."""
        matrix = np.eye(4)
        matrix[:3, :3] = _FORWARDS
        matrix[:3, 3] = self.place
        return matrix


def simulate_lidar(
    frame: StreetFrame, options: LidarOptions | None = None, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Scan the scene of a frame, all at the frame's stamp.

    :param seed: of the noise and the drop-out.
    :returns: points (N, 4) x, y, z in metres in the LiDAR's frame (x forward, y left, z up) and
        intensity in 0..1; and lidar_to_camera (4, 4).
    """
    options = options or LidarOptions()
    lidar_to_camera = options.lidar_to_camera
    lidar_to_world = frame.camera_to_world @ lidar_to_camera
    scans = []
    for quarter in range(4):
        turn = np.eye(4)
        c, s = np.cos(quarter * np.pi / 2), np.sin(quarter * np.pi / 2)
        turn[:2, :2] = [[c, -s], [s, c]]
        if options.camera_only and quarter == 2:
            continue
        view_to_lidar = turn.copy()
        view_to_lidar[:3, :3] = turn[:3, :3] @ _FORWARDS.T
        points = _scan_quarter(frame.scene, lidar_to_world @ view_to_lidar, options)
        points[:, :3] = points[:, :3] @ view_to_lidar[:3, :3].T
        scans.append(points)
    points = np.concatenate(scans)
    if options.camera_only:
        seen = points[:, :3] @ lidar_to_camera[:3, :3].T + lidar_to_camera[:3, 3]
        uv, _ = frame.camera.project(seen)
        size = (frame.camera.width - 0.5, frame.camera.height - 0.5)
        points = points[((uv > -0.5) & (uv < size)).all(1)]
    return _disturb(points, options, np.random.default_rng(seed)), lidar_to_camera


def _scan_quarter(
    scene: Mesh, view_to_world: NDArray[np.float64], options: LidarOptions
) -> NDArray[np.float64]:
    """Cast the rays within 45 degrees of a view's axis; gives points (N, 4) in the view."""
    count = round(90 / options.azimuth_step)
    azimuth = np.radians((np.arange(count) + 0.5) * 90 / count - 45)
    elevation = np.radians(np.linspace(*options.elevation, options.rings))
    # On a column of constant azimuth the rings lie at -tan(elevation) / cos(azimuth).
    grid = Grid(np.tan(azimuth), np.sort(-np.tan(elevation)), 1 / np.cos(azimuth))
    mesh = in_view(scene, view_to_world)
    pixel = np.radians(options.azimuth_step)
    keep = leaf_filter(mesh, view_to_world[:3, :3], grid, pixel)
    polygon, _ = visible(mesh.corners, mesh.two_sided, grid, keep)
    row, column = np.nonzero(polygon >= 0)
    hit = polygon[row, column]
    assert grid.row_scale is not None
    ray = np.stack(
        [grid.columns[column], grid.rows[row] * grid.row_scale[column], np.ones(len(row))], 1
    )
    z = 1 / np.einsum('nk,nk->n', planes(mesh.corners)[hit], ray)
    points = ray * z[:, None]
    distance = np.linalg.norm(points, axis=1)
    normal = mesh.normal[hit] @ view_to_world[:3, :3]
    facing = np.abs(np.einsum('nk,nk->n', normal, ray)) / np.linalg.norm(ray, axis=1)
    intensity = np.clip(mesh.color[hit].mean(1) * (0.3 + 0.7 * facing), 0, 1)
    inside = (distance >= options.nearest) & (distance <= options.farthest)
    return np.column_stack([points, intensity])[inside]


def _disturb(
    points: NDArray[np.float64], options: LidarOptions, rng: np.random.Generator
) -> NDArray[np.float32]:
    if options.drop_out:
        points = points[rng.uniform(size=len(points)) >= options.drop_out]
    if options.noise:
        distance = np.linalg.norm(points[:, :3], axis=1)
        error = rng.normal(0, options.noise, len(points))
        points[:, :3] *= ((distance + error) / distance)[:, None]
    return points.astype(np.float32)
