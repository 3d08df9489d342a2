# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How far the camera moved between two images, in the unit of their depth; and in metres.

The static part of a scene is tracked from one image to the next; its points in the first and its
pixels in the second give the motion (perspective-n-point). Its length, beside the distance that
the wheels report, is the scale. Unlike the road's own flow this needs texture anywhere, not on
the asphalt, which has the least of all.
"""

from __future__ import annotations

import bisect
import math
import threading
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.geometry.camera import PinholeCamera

MIN_TRACKS = 20
MIN_INLIERS = 0.4
"""Share of the tracks that one rigid motion must explain."""
_CORNERS = 400
_WINDOW = (15, 15)
_ROUND_TRIP = 0.5
"""Pixels that a track may miss its start by when it is followed back."""
_REPROJECTION = 1.0
"""Pixels between a track and its point."""
_AHEAD = (0.0, 0.15, 0.3, 0.5)
"""Steps ahead that tracking starts from, in distances of what is near: at speed, what is near
moves and grows more between two images than tracking can follow from where it was."""
_PLENTY = 0.7
"""Share of agreeing tracks with which no other step is tried."""
_TRIALS = 500
"""Of five points each: one in a hundred is good where 40 % of the tracks are."""
_LOG_SECONDS = 10.0
MOST_SPEEDS = 10_000
"""That are kept at most: a clock that hardly moves would let none grow old."""
_LATE_SECONDS = 0.3
"""A speed holds for this long beyond its stamp."""
_DISORDER_SECONDS = 1.0
"""Speeds of two sources come in another order than they were measured in, by less than this."""


class SpeedLog:
    """Measured speeds over time; one thread may add while another reads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: deque[tuple[float, float]] = deque()

    def add(self, stamp: float, speed: float) -> None:
        """Note a speed in m/s, in the place of one with the same stamp; NaN and inf are ignored.

        A stamp a second or more before the last one (time went back) starts anew.
        """
        if not math.isfinite(speed):
            return
        entry = (stamp, abs(speed))
        with self._lock:
            entries = self._entries
            if entries and stamp <= entries[-1][0] - _DISORDER_SECONDS:
                entries.clear()
            place = bisect.bisect_left(entries, (stamp,))
            if place < len(entries) and entries[place][0] == stamp:
                entries[place] = entry
            else:
                entries.insert(place, entry)
            while entries[0][0] < entries[-1][0] - _LOG_SECONDS or len(entries) > MOST_SPEEDS:
                entries.popleft()

    def distance(self, start: float, end: float) -> float | None:
        """Give the metres driven between two moments, or None where speeds are missing."""
        with self._lock:
            entries = np.array(self._entries).reshape(-1, 2)
        stamps, speeds = entries.T
        covered = len(stamps) and stamps[0] - _LATE_SECONDS <= start <= end
        if not covered or end > stamps[-1] + _LATE_SECONDS:
            return None
        inside = stamps[(stamps > start) & (stamps < end)]
        moments = np.concatenate([[start], inside, [end]])
        values = np.interp(moments, stamps, speeds)
        return float((np.diff(moments) * (values[1:] + values[:-1]) / 2).sum())


@dataclass(frozen=True)
class View:
    """An image with what is known of it; arrays are (H, W)."""

    gray: NDArray[np.uint8]
    depth: NDArray[np.float32]
    static: NDArray[np.bool_]
    camera: PinholeCamera
    stamp: float


def make_view(
    image_hw3: NDArray[np.uint8],
    depth_hw: NDArray[np.float32],
    labels_hw: NDArray[np.uint8],
    moving_ids: Collection[int],
    camera: PinholeCamera,
    stamp: float,
) -> View:
    """Prepare an image for :func:`camera_motion`.

    :param image_hw3: (H, W, 3) uint8 RGB
    :param moving_ids: ids of the labels whose pixels may move by themselves or have no depth
    """
    moving = np.zeros(256, np.uint8)
    moving[list(moving_ids)] = 1
    # Corners at the outline of a car belong to the car as much as to what is behind it.
    margin = cv2.dilate(moving[labels_hw], np.ones((5, 5), np.uint8))
    static = (margin == 0) & np.isfinite(depth_hw) & (depth_hw > 0)
    gray = np.asarray(cv2.cvtColor(image_hw3, cv2.COLOR_RGB2GRAY), np.uint8)
    return View(gray, depth_hw, static, camera, stamp)


@dataclass(frozen=True)
class Motion:
    """Length of a translation in the unit of depth, and the share of tracks that support it."""

    length: float
    inliers: float


def camera_motion(before: View, after: View) -> tuple[Motion | None, str]:
    """Give how the camera moved from one view to the next, or None and why it is not known."""
    corners = cv2.goodFeaturesToTrack(
        before.gray, _CORNERS, 0.005, 5, mask=before.static.astype(np.uint8)
    )
    if corners is None or len(corners) < MIN_TRACKS:
        return None, 'too little texture on what stands still'
    start = np.asarray(corners, np.float32).reshape(-1, 2)
    camera = before.camera
    u, v = np.rint(start).astype(int).T
    z = before.depth[v, u].astype(np.float64)
    rays = np.column_stack(
        [(start[:, 0] - camera.cx) / camera.fx, (start[:, 1] - camera.cy) / camera.fy, z / z]
    )
    points = rays * z[:, None]
    near = float(np.percentile(z, 10))
    best: tuple[Motion | None, str] = None, ''
    for share in _AHEAD:
        found, problem = _motion(before, after, start, points, share * near)
        if best[0] is None or (found is not None and found.inliers > best[0].inliers):
            best = found, problem
        if found is not None and found.inliers >= _PLENTY:
            break
    motion, problem = best
    if motion is not None and motion.inliers < MIN_INLIERS:
        return None, f'only {motion.inliers:.0%} of the points agree on one motion'
    return motion, problem


def follow(
    before_hw: NDArray[np.uint8],
    after_hw: NDArray[np.uint8],
    start_n2: NDArray[np.float32],
    guess_n2: NDArray[np.float32],
    *,
    levels: int = 3,
    round_trip: float = _ROUND_TRIP,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Follow points from one gray image to another and back.

    :param guess_n2: (N, 2) where to look for them
    :param levels: of the pyramid above the image itself
    :param round_trip: pixels by which a good track misses its start at most
    :return: where they are (N, 2), and which tracks are good (N,)
    """
    start, guess = start_n2.reshape(-1, 1, 2), guess_n2.reshape(-1, 1, 2)
    flow = cv2.OPTFLOW_USE_INITIAL_FLOW
    end, forward, _ = cv2.calcOpticalFlowPyrLK(
        before_hw, after_hw, start, guess.copy(), winSize=_WINDOW, maxLevel=levels, flags=flow
    )
    back, backward, _ = cv2.calcOpticalFlowPyrLK(
        after_hw, before_hw, end, end + start - guess, winSize=_WINDOW, maxLevel=levels, flags=flow
    )
    loop = np.linalg.norm((back - start).reshape(-1, 2), axis=1)
    good = (forward.ravel() == 1) & (backward.ravel() == 1) & (loop < round_trip)
    return np.asarray(end.reshape(-1, 2), np.float32), good


def _motion(
    before: View,
    after: View,
    start_n2: NDArray[np.float32],
    points_n3: NDArray[np.float64],
    ahead: float,
) -> tuple[Motion | None, str]:
    """Track corners from where a step ahead would bring them, and fit a motion to the tracks."""
    matrix = before.camera.matrix
    moved = points_n3 - (0.0, 0.0, ahead)
    # What would pass the camera has no place in the second image.
    kept = moved[:, 2] > 0.3 * points_n3[:, 2]
    pixels = moved[kept] @ matrix.T
    start = start_n2[kept]
    guess = (pixels[:, :2] / pixels[:, 2:]).astype(np.float32)
    end, good = follow(before.gray, after.gray, start, guess)
    if good.sum() < MIN_TRACKS:
        return None, f'only {good.sum()} points could be followed, {MIN_TRACKS} are needed'
    found, _, translation, inliers = cv2.solvePnPRansac(
        points_n3[kept][good],
        end[good].astype(np.float64),
        matrix,
        None,
        reprojectionError=_REPROJECTION,
        iterationsCount=_TRIALS,
    )
    share = 0.0 if not found or inliers is None else len(inliers) / int(good.sum())
    return Motion(float(np.linalg.norm(translation)), share), ''
