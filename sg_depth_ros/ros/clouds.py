# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clouds of one camera, and the plane of the road that splits them: what outlives a frame."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.bundle.labels import Label, ids_with
from sg_depth_ros.estimator import Prediction
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.geometry.ground_plane import GroundPlane
from sg_depth_ros.geometry.point_cloud import PointCloudBuilder
from sg_depth_ros.geometry.split import split_by_plane, tolerances_by_label
from sg_depth_ros.ros.parameter_table import DepthParameters
from sg_depth_ros.ros.parameters import names_in
from sg_depth_ros.scale import fit_road


class Clouds:
    """Makes clouds of frames that come one after the other."""

    def __init__(self, labels: tuple[Label, ...], warn: Callable[[str], object]) -> None:
        """Begin without a plane.

        :param warn: told, for every such frame, why there is no ground yet
        """
        self._labels = labels
        self._warn = warn
        self._road = ids_with('road', labels=labels)
        self._ground = tuple(ids_with('ground', labels=labels))
        self._plane: GroundPlane | None = None
        """The last one, in the network's unit: the scale may change while the road is hidden."""
        self._builder: PointCloudBuilder | None = None
        self._builder_options: tuple[object, ...] = ()

    def forget_plane(self) -> None:
        """Split no more points by the ground of frames that came before."""
        self._plane = None

    def points(
        self, depth_hw: NDArray[np.float32], prediction: Prediction, parameters: DepthParameters
    ) -> NDArray[np.void]:
        """Give the cloud of a frame with a camera, valid until the next call."""
        assert prediction.camera is not None
        builder = self._builder_for(prediction.camera, parameters)
        return builder.build(depth_hw, prediction.image, prediction.labels)

    def fit_plane(
        self, depth_hw: NDArray[np.float32], prediction: Prediction, factor: float
    ) -> GroundPlane | None:
        """Give the plane of the road in a frame, in the unit of depth, and keep it.

        :param factor: of the unit of depth by that of the network
        """
        if prediction.camera is None:
            return None
        plane, problem = fit_road(depth_hw, prediction.labels, prediction.camera, self._road)
        if plane is not None:
            self._plane = dataclasses.replace(plane, height=plane.height / factor)
        elif self._plane is None:
            self._warn(f'no ground and no obstacles: {problem}')
        return plane

    def split(
        self, points: NDArray[np.void], factor: float, parameters: DepthParameters
    ) -> tuple[NDArray[np.void], NDArray[np.void]] | None:
        """Give ground and obstacles by the last plane, or None before the first."""
        if self._plane is None:
            return None
        # The camera hardly moves against the ground while something hides the road.
        plane = dataclasses.replace(self._plane, height=self._plane.height * factor)
        tolerances = tolerances_by_label(
            parameters.ground_tolerance, parameters.ground_label_tolerance, self._ground
        )
        return split_by_plane(points, plane, tolerances)

    def _builder_for(
        self, camera: PinholeCamera, parameters: DepthParameters
    ) -> PointCloudBuilder:
        """Give the builder for this camera and these options, the last one if they are its."""
        names = {
            *names_in(parameters.points_exclude_labels),
            *names_in(parameters.points_exclude_roles),
        }
        options = (
            camera,
            parameters.points_organized,
            parameters.points_stride,
            parameters.min_range,
            parameters.max_range,
            tuple(
                label.id for label in self._labels if label.name in names or names & {*label.roles}
            ),
            parameters.points_edge_ratio,
            self._ground,
            parameters.points_voxel_size,
        )
        if self._builder is None or options != self._builder_options:
            self._builder = PointCloudBuilder(*options)
            self._builder_options = options
        return self._builder
