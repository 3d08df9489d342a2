# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is made of one frame: each thing once, and only when an output asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from std_msgs.msg import Header

from sg_depth_ros.bundle.labels import Label, ids_with, palette
from sg_depth_ros.estimator import Prediction
from sg_depth_ros.geometry.ground_plane import GroundPlane
from sg_depth_ros.geometry.split import split_by_label
from sg_depth_ros.images.depth import limit_range, mark_sky, to_millimetres
from sg_depth_ros.images.visualise import colorize_labels
from sg_depth_ros.ros.clouds import Clouds
from sg_depth_ros.ros.parameter_table import DepthParameters
from sg_depth_ros.scale import ScaleEstimate

Points = NDArray[np.void]


@dataclass(frozen=True)
class Products:
    """A frame's prediction, and what follows from it; None is what cannot be made of it."""

    prediction: Prediction
    header: Header
    parameters: DepthParameters
    scale: ScaleEstimate
    labels: tuple[Label, ...]
    clouds: Clouds

    @cached_property
    def depth(self) -> NDArray[np.float32]:
        """Depth (H, W) in the unit that goes out, with sky and what is out of range infinite."""
        sky = ids_with('sky', labels=self.labels)
        depth = mark_sky(self.prediction.depth, self.prediction.labels, sky)
        depth *= np.float32(self.factor)
        return limit_range(depth, self.parameters.min_range, self.parameters.max_range)

    @property
    def factor(self) -> float:
        """Metres per unit of the network, or 1 where that is not known."""
        return 1.0 if self.scale.factor is None else self.scale.factor

    @cached_property
    def depth_pixels(self) -> NDArray[Any]:
        """Depth (H, W) in the encoding that goes out."""
        return (
            self.depth if self.parameters.depth_encoding == '32FC1' else to_millimetres(self.depth)
        )

    @cached_property
    def colors(self) -> NDArray[np.uint8]:
        """Labels in their colours, (H, W, 3) RGB."""
        return colorize_labels(self.prediction.labels, palette(self.labels))

    @cached_property
    def points(self) -> Points | None:
        """The cloud, as the parameters ask for it; None without a camera."""
        if self.prediction.camera is None:
            return None
        return self.clouds.points(self.depth, self.prediction, self.parameters)

    @cached_property
    def plane(self) -> GroundPlane | None:
        """The plane of the road in this image, in the unit of depth."""
        return self.clouds.fit_plane(self.depth, self.prediction, self.factor)

    @cached_property
    def _parts(self) -> tuple[Points, Points] | None:
        """Ground and obstacles; the plane of an earlier frame must do where none is in sight."""
        if self.points is None:
            return None
        # Fitting it leaves it with the clouds, for this frame and those that come.
        _ = self.plane
        return self.clouds.split(self.points, self.factor, self.parameters)

    @property
    def ground(self) -> Points | None:
        """Points on or below the plane of the road."""
        return self._parts[0] if self._parts else None

    @property
    def obstacles(self) -> Points | None:
        """Points above it."""
        return self._parts[1] if self._parts else None

    @cached_property
    def obstacles_by_role(self) -> tuple[Points, Points] | None:
        """Obstacles that can move by themselves, and the others."""
        if self.obstacles is None:
            return None
        return split_by_label(self.obstacles, ids_with('dynamic', labels=self.labels))
