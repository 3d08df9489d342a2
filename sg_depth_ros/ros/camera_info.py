# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""CameraInfo messages to pinhole cameras and back."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from sg_depth_ros.geometry.camera import PinholeCamera

MOST_CAMERAS = 8
"""Good cameras that are remembered, each of another image size or frame."""


class CameraInfoError(ValueError):
    """A camera_info that does not describe an image; the message says why and what to do."""


def camera_from_info(
    info: CameraInfo, width: int, height: int, frame_id: str, rectified: bool
) -> PinholeCamera:
    """Give the camera of an image of width x height in the frame ``frame_id``.

    Rectified images have the intrinsics P, where that is filled, all others K. The region of
    interest and the binning that the message names are applied.

    :raises CameraInfoError: when the message is not calibrated, or is not that of the image.
    """
    own_frame = info.header.frame_id
    if own_frame and frame_id and own_frame.lstrip('/') != frame_id.lstrip('/'):
        raise CameraInfoError(
            f"camera_info has the frame '{own_frame}', the image '{frame_id}'; "
            'remap camera_info to the topic of the same camera'
        )
    if not info.k.any() and not (rectified and info.p[0] != 0):
        raise CameraInfoError(
            'camera_info is not calibrated (its K is all zero); calibrate the camera, for '
            'example with camera_calibration, and load the result in its driver'
        )
    try:
        camera = PinholeCamera.from_info(info, rectified)
    except ValueError as error:
        raise CameraInfoError(f'camera_info is not that of a camera: {error}') from error
    if (camera.width, camera.height) != (width, height):
        raise CameraInfoError(
            f'camera_info is for images of {camera.width}x{camera.height}, the image is '
            f'{width}x{height}; publish the camera_info of this image, for example with '
            "image_proc's resize node, or fill its binning and roi"
        )
    return camera


class Known(NamedTuple):
    """A camera, if it is known, and what is wrong with it or empty."""

    camera: PinholeCamera | None
    problem: str
    kept: bool = False
    """Whether it is the last good camera, since what came now is none."""


class Cameras:
    """The cameras of one image topic: a camera_info that turns bad does not replace a good one."""

    def __init__(self) -> None:
        self._good: OrderedDict[tuple[int, int, str], PinholeCamera] = OrderedDict()

    @property
    def most_pixels(self) -> int:
        """The size of the largest image that had a good camera; 0 if none had."""
        return max((width * height for width, height, _ in self._good), default=0)

    def find(
        self, info: CameraInfo | None, width: int, height: int, frame_id: str, rectified: bool
    ) -> Known:
        """Give the camera of an image: that of its camera_info, else the last good one.

        :param info: None if none has come
        :param width: of the image, as ``height`` and ``frame_id``
        """
        key = (width, height, frame_id)
        if info is None:
            return Known(None, 'no camera_info has come')
        try:
            camera = camera_from_info(info, width, height, frame_id, rectified)
        except CameraInfoError as error:
            last = self._good.get(key)
            return Known(last, str(error), kept=last is not None)
        self._good[key] = camera
        self._good.move_to_end(key)
        if len(self._good) > MOST_CAMERAS:
            self._good.popitem(last=False)
        return Known(camera, '')


def camera_info_message(camera: PinholeCamera, header: Header) -> CameraInfo:
    """Give the CameraInfo of a rectified image of ``camera``: no distortion, R identity."""
    k = camera.matrix
    projection = [*k[0], 0.0, *k[1], 0.0, *k[2], 0.0]
    return CameraInfo(
        header=header,
        width=camera.width,
        height=camera.height,
        distortion_model='plumb_bob',
        d=[0.0] * 5,
        k=k.ravel().tolist(),
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[float(value) for value in projection],
    )
