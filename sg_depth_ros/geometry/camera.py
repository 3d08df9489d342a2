# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pinhole cameras: scale, crop, rays, back-projection and projection.

Pixel coordinates are integers at pixel centres. The optical frame is x right, y down,
z forward (REP-103); lengths are metres.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sg_depth_ros.documents import DocumentError, read_json
from sg_depth_ros.files import atomic_path

MAX_PIXELS = 1 << 28
"""The largest image that a camera is believed to have; the largest sensors have 200 million."""
_LEAST_FOCAL_SHARE = 0.1
"""Of the image's side: 157 degrees. A pinhole image of more would be all border."""
_MOST_FOCAL = 1e7
"""Pixels: two metres of focal length on the finest sensor are 2e6."""
_MOST_SLANT = 5.2
"""Tangent of 79 degrees: how far the middle of an image, cut out of the widest as it may be, can
be from the optical axis."""
_FISHEYE = ('equidistant', 'fisheye', 'kannala', 'omni', 'mei', 'sphere', 'eucm', 'theta')
"""What the names of models contain whose images are bent even where all coefficients are zero."""
_MOST_COEFFICIENTS = 64
"""Of distortion; ROS's longest model has 14."""


def is_distorted(info: Any) -> bool:
    """Tell whether the lens of a ``sensor_msgs/CameraInfo`` bends straight lines.

    Only a rectified image of it is a pinhole image. Fisheye models bend without coefficients, too.
    """
    model = str(info.distortion_model).lower()
    return any(name in model for name in _FISHEYE) or any(info.d)


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
        """Refuse what no camera can be; raises ValueError.

        What is plausible is the same for an image and for parts and stretched copies of it.
        """
        if self.width < 1 or self.height < 1:
            raise ValueError(f'a camera needs a positive size, found {self.width}x{self.height}')
        if self.width * self.height > MAX_PIXELS:
            raise ValueError(
                f'found a size of {self.width}x{self.height}, more than the {MAX_PIXELS} pixels '
                'that a camera has at most; correct width and height'
            )
        finite = np.isfinite([self.fx, self.fy, self.cx, self.cy]).all()
        if not finite or min(self.fx, self.fy) <= 0:
            raise ValueError(
                f'intrinsics must be finite with positive focal lengths, found fx={self.fx}, '
                f'fy={self.fy}, cx={self.cx}, cy={self.cy}; calibrate the camera'
            )
        for axis, side, focal, centre in (
            ('x', self.width, self.fx, self.cx),
            ('y', self.height, self.fy, self.cy),
        ):
            if not _LEAST_FOCAL_SHARE * side <= focal <= _MOST_FOCAL:
                raise ValueError(
                    f'f{axis}={focal:.6g} cannot be the focal length, in pixels, of an image with '
                    f'{side} pixels along {axis}; if the intrinsics are normalised, multiply them '
                    'by the size of the image, otherwise calibrate the camera'
                )
            if abs(centre - (side - 1) / 2) > _MOST_SLANT * focal:
                raise ValueError(
                    f'c{axis}={centre:.6g} is too far outside an image with {side} pixels along '
                    f'{axis} and f{axis}={focal:.6g}; calibrate the camera'
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
        if len(info.d) > _MOST_COEFFICIENTS:
            raise ValueError(
                f'found {len(info.d)} or more distortion coefficients, expected '
                f'{_MOST_COEFFICIENTS} at most; correct the calibration'
            )
        use_p = rectified and info.p[0] != 0
        matrix = np.reshape(info.p, (3, 4))[:, :3] if use_p else info.k
        full = cls.from_matrix(matrix, info.width, info.height)
        roi, across, down = info.roi, max(info.binning_x, 1), max(info.binning_y, 1)
        part_width, part_height = roi.width or info.width, roi.height or info.height
        if roi.x_offset + part_width > info.width or roi.y_offset + part_height > info.height:
            raise ValueError(
                f'the region of interest of {part_width}x{part_height} at ({roi.x_offset}, '
                f'{roi.y_offset}) is not inside the image of {info.width}x{info.height}; correct '
                'roi, or leave it all zero for the whole image'
            )
        width, height = part_width // across, part_height // down
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
            values = read_json(path)
            if not isinstance(values, dict):
                raise ValueError(f'found a {type(values).__name__}, expected an object')
            numbers = {field.name: _number(values, field.name) for field in fields(cls)}
            width, height = int(numbers.pop('width')), int(numbers.pop('height'))
            return cls(width, height, **numbers)
        except ValueError as error:
            named = error if isinstance(error, DocumentError) else f'{path}: {error}'
            raise ValueError(
                f'{named}; a camera file is JSON with width, height, fx, fy, cx, cy'
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


def _number(values: dict[str, Any], key: str) -> float:
    """Give a finite number of a camera file, a whole one for the sizes; raises ValueError."""
    if key not in values:
        raise ValueError(f"'{key}' is missing")
    value = values[key]
    whole = key in ('width', 'height')
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"'{key}' must be a number, found {json.dumps(value)[:40]}")
    # A whole number of any length is JSON.
    if not abs(value) <= sys.float_info.max or (whole and value != int(value)):
        raise ValueError(f"'{key}' must be a {'whole' if whole else 'finite'} number")
    return value
