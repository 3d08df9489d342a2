# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Metres per unit of depth, frame by frame, by one of four ways."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.bundle.labels import Label, ids_with
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.scale.motion import SpeedLog, View, camera_motion, make_view
from sg_depth_ros.scale.road import fit_road
from sg_depth_ros.scale.smoothing import SETTLE_COUNT, RobustFactor

Mode = Literal['none', 'fixed', 'camera_height', 'odometry']
MODES: tuple[str, ...] = get_args(Mode)
State = Literal['off', 'fixed', 'waiting', 'tracking', 'held', 'lost']

MIN_DISTANCE = 0.4
"""Metres between two views: shorter ways drown in the noise of the tracks."""
MAX_SECONDS = 1.0
"""Between two views: after that little of the first is still to be seen."""


@dataclass(frozen=True)
class ScaleSettings:
    """How the scale is found.

    :ivar factor: metres per unit of depth in the mode ``fixed``
    :ivar camera_height: metres over the road in the mode ``camera_height``; None if not yet known
    :ivar window: seconds of measurements that are taken together
    :ivar gate: share by which a single measurement may differ
    :ivar max_rate: largest change per second, as a share
    """

    mode: str = 'none'
    factor: float = 1.0
    camera_height: float | None = None
    window: float = 5.0
    gate: float = 0.2
    max_rate: float = 0.1


@dataclass(frozen=True)
class ScaleEstimate:
    """The scale at one moment.

    :ivar state: ``off`` and ``fixed`` by the mode; ``waiting`` for the first estimate,
        ``tracking``, or ``held`` where nothing can be measured at present; ``lost`` where depth
        had metres and the camera, without which it has none, is no longer known
    :ivar factor: metres per unit of depth; None while waiting or lost; 1 when off
    :ivar spread: standard deviation of the latest measurements, as a share
    :ivar inliers: share of the evidence that supported the latest measurement
    :ivar age: seconds since the latest measurement
    :ivar problem: why the last frame gave no measurement; empty if it gave one
    """

    state: State
    factor: float | None
    spread: float = math.nan
    inliers: float = math.nan
    age: float = math.nan
    problem: str = ''


_OFF = ScaleEstimate('off', 1.0)


class ScaleEstimator:
    """Finds the scale of one camera's depth; ``speeds`` may be filled by another thread."""

    def __init__(
        self, settings: ScaleSettings, labels: Collection[Label], metric: bool = False
    ) -> None:
        """Begin without knowledge.

        :param labels: what the ids in the label images mean; roles tell road from traffic
        :param metric: whether the network's depth is in metres, so that mode ``none`` claims them
        """
        self.settings = settings
        self._metric = metric
        self.speeds = SpeedLog()
        self._road = ids_with('road', labels=labels)
        self._unsteady = ids_with('dynamic', 'sky', labels=labels)
        self.reset()

    def reset(self) -> None:
        """Forget what was measured; speeds stay."""
        settings = self.settings
        self._factor = RobustFactor(settings.window, settings.gate, settings.max_rate)
        self._inliers = math.nan
        self._view: View | None = None
        self._claimed = False

    def observe(
        self,
        depth_hw: NDArray[np.float32],
        labels_hw: NDArray[np.uint8],
        image_hw3: NDArray[np.uint8],
        camera: PinholeCamera | None,
        stamp: float,
    ) -> ScaleEstimate:
        """Give the scale with which to publish this frame.

        :param depth_hw: (H, W) float32 in the network's unit
        :param labels_hw: (H, W) uint8 ids
        :param image_hw3: (H, W, 3) uint8 RGB
        :param camera: of that size; without one depth is not corrected for the focal length, so
            that no factor makes metres of it
        :param stamp: seconds
        """
        mode = self.settings.mode
        if mode == 'none' and not self._metric:
            return _OFF
        if camera is None:
            return self._without_camera(stamp)
        if mode in ('none', 'fixed'):
            self._claimed = True
            return _OFF if mode == 'none' else ScaleEstimate('fixed', self.settings.factor)
        if mode == 'camera_height':
            measured, problem = self._by_height(depth_hw, labels_hw, camera)
        else:
            view = make_view(image_hw3, depth_hw, labels_hw, self._unsteady, camera, stamp)
            measured, problem = self._by_motion(view)
        kept = self._factor.update(measured, stamp)
        if measured is not None and not kept:
            problem = f'the measured {measured:.3g} is far from what was measured before'
        return self._estimate(problem)

    def _estimate(self, problem: str) -> ScaleEstimate:
        factor = self._factor
        state: State = 'tracking'
        if factor.value is None:
            state = 'waiting'
            problem = problem or f'{factor.count} of {SETTLE_COUNT} measurements have been made'
        elif factor.held:
            state = 'held'
        self._claimed |= factor.value is not None
        return ScaleEstimate(
            state, factor.value, factor.spread, self._inliers, factor.age, problem
        )

    def _without_camera(self, stamp: float) -> ScaleEstimate:
        """Claim nothing, and let time go on for what was measured."""
        factor = self._factor
        factor.update(None, stamp)
        state: State = 'lost' if self._claimed else 'waiting'
        problem = 'the camera of the image is not known'
        return ScaleEstimate(state, None, factor.spread, self._inliers, factor.age, problem)

    def _by_height(
        self, depth_hw: NDArray[np.float32], labels_hw: NDArray[np.uint8], camera: PinholeCamera
    ) -> tuple[float | None, str]:
        if self.settings.camera_height is None:
            return None, "the camera's height over the road is not known"
        plane, problem = fit_road(depth_hw, labels_hw, camera, self._road)
        if plane is None:
            return None, problem
        self._inliers = plane.inliers
        return self.settings.camera_height / plane.height, ''

    def _by_motion(self, view: View) -> tuple[float | None, str]:
        before = self._view
        if before is None or not 0 < view.stamp - before.stamp <= MAX_SECONDS:
            self._view = view
            return None, 'the first image of a motion'
        if before.camera != view.camera:
            self._view = view
            return None, 'the camera has changed'
        distance = self.speeds.distance(before.stamp, view.stamp)
        if distance is None:
            return None, 'no speed has been measured at the time of the image'
        if distance < MIN_DISTANCE:
            return None, f'driven only {distance:.2f} m since the last measurement'
        self._view = view
        motion, problem = camera_motion(before, view)
        if motion is None:
            return None, problem
        if not 0 < motion.length < math.inf:
            return None, f'a motion cannot have the length {motion.length:.3g}'
        self._inliers = motion.inliers
        return distance / motion.length, ''
