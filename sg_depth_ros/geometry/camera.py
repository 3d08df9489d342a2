# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pinhole cameras: scale, crop, rays, back-projection and projection.

Pixel coordinates are integers at pixel centres. The optical frame is x right, y down,
z forward (REP-103); lengths are metres.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sg_depth_ros.files import atomic_path


@dataclass(frozen=True)
class PinholeCamera:
    """A rectified camera: image size and intrinsics, all in pixels."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    def __post_init__(self) -> None:
        """Refuse what no camera can be; raises ValueError."""
        if self.width < 1 or self.height < 1:
            raise ValueError(f'a camera needs a positive size, found {self.width}x{self.height}')
        finite = np.isfinite([self.fx, self.fy, self.cx, self.cy]).all()
        if not finite or min(self.fx, self.fy) <= 0:
            raise ValueError(
                f'intrinsics must be finite with positive focal lengths, found fx={self.fx}, '
                f'fy={self.fy}, cx={self.cx}, cy={self.cy}; calibrate the camera'
            )

    @classmethod
    def from_matrix(cls, k_33: ArrayLike, width: int, height: int) -> PinholeCamera:
        """Take the intrinsics from a (3, 3) matrix or its nine row-major values."""
        k = np.asarray(k_33, dtype=np.float64).reshape(3, 3)
        return cls(width, height, float(k[0, 0]), float(k[1, 1]), float(k[0, 2]), float(k[1, 2]))

    @classmethod
    def from_info(cls, info: Any, rectified: bool) -> PinholeCamera:
        """Give the camera of the images of a ``sensor_msgs/CameraInfo``.

        Rectified images have the intrinsics P, where that is filled, all others K. The region of
        interest and the binning that the message names are applied.

        :raises ValueError: if it is not calibrated, or no camera's.
        """
        use_p = rectified and info.p[0] > 0
        matrix = np.reshape(info.p, (3, 4))[:, :3] if use_p else info.k
        full = cls.from_matrix(matrix, info.width, info.height)
        roi, across, down = info.roi, max(info.binning_x, 1), max(info.binning_y, 1)
        width, height = (roi.width or info.width) // across, (roi.height or info.height) // down
        # Pixels at the end that do not fill a bin are not in the image.
        part = full.cropped(roi.x_offset, roi.y_offset, width * across, height * down)
        return part.resized(width, height)

    @classmethod
    def centred(cls, width: int, height: int, focal_length: float) -> PinholeCamera:
        """Give a camera with square pixels that looks through the middle of its image."""
        return cls(width, height, focal_length, focal_length, width / 2 - 0.5, height / 2 - 0.5)

    @classmethod
    def from_json(cls, path: str | Path) -> PinholeCamera:
        """Read a ``camera.json``; raises ValueError that names a missing or bad key."""
        try:
            values = json.loads(Path(path).read_text())
            return cls(
                int(values['width']),
                int(values['height']),
                *(float(values[key]) for key in ('fx', 'fy', 'cx', 'cy')),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f'{path}: {error}; a camera file is JSON with width, height, fx, fy, cx, cy'
            ) from error

    def to_json(self, path: str | Path) -> None:
        """Write a ``camera.json``."""
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=1) + '\n')

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The (3, 3) intrinsic matrix."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]], np.float64)

    def resized(self, width: int, height: int) -> PinholeCamera:
        """Give the camera of the same image stretched to width x height."""
        sx, sy = width / self.width, height / self.height
        return PinholeCamera(
            width,
            height,
            self.fx * sx,
            self.fy * sy,
            (self.cx + 0.5) * sx - 0.5,
            (self.cy + 0.5) * sy - 0.5,
        )

    def cropped(self, x: int, y: int, width: int, height: int) -> PinholeCamera:
        """Give the camera of the sub-image whose first pixel is (x, y)."""
        return PinholeCamera(width, height, self.fx, self.fy, self.cx - x, self.cy - y)

    def rays(self) -> NDArray[np.float32]:
        """Give the viewing rays (H, W, 3) with z = 1 in the optical frame."""
        u = (np.arange(self.width) - self.cx) / self.fx
        v = (np.arange(self.height) - self.cy) / self.fy
        rays = np.ones((self.height, self.width, 3), np.float32)
        rays[..., 0] = u
        rays[..., 1] = v[:, None]
        return rays

    def back_project(self, depth_hw: NDArray[np.floating]) -> NDArray[np.float32]:
        """Give the points (H, W, 3) in metres of a z-depth image (H, W)."""
        if depth_hw.shape != (self.height, self.width):
            raise ValueError(
                f'a depth image of {depth_hw.shape[1]}x{depth_hw.shape[0]} does not belong to a '
                f'camera of {self.width}x{self.height}; resize the camera with it'
            )
        return self.rays() * depth_hw[..., None].astype(np.float32)

    def project(
        self, points_n3: NDArray[np.floating]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Project points (N, 3) to pixels (N, 2) and z-depths (N,); z <= 0 gives NaN pixels."""
        x, y, z = np.asarray(points_n3, np.float64).T
        inverse = np.where(z > 0, 1 / np.where(z > 0, z, 1), np.nan)
        return np.stack([self.fx * x * inverse + self.cx, self.fy * y * inverse + self.cy], 1), z
