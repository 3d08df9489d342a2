# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags with a camera and a LiDAR: truth by projection through ``/tf_static``, without ROS."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.bags import (
    BagError,
    BagMessage,
    BagReader,
    is_rectified_topic,
    point_cloud_array,
)
from sg_depth_ros.evaluation.frames import EvaluationError, Frame
from sg_depth_ros.evaluation.lidar import project_points

POINT_CLOUD = 'sensor_msgs/msg/PointCloud2'
TOLERANCE_NS = 50_000_000
"""Half the period of a LiDAR that turns ten times a second."""
FEWEST_RETURNS = 50
"""An image with fewer is not what the LiDAR sees."""


class BagSource:
    """Images of a bag, each with the LiDAR sweep that is nearest in time.

    The points of a sweep are taken as they are: what moves between the two stamps is not
    corrected for.

    :param lidar_topic: its PointCloud2 topic; the only one in the bag if None.
    :param image_topic: the only camera in the bag if None.
    """

    def __init__(
        self, path: str | Path, lidar_topic: str | None = None, image_topic: str | None = None
    ) -> None:
        """Match stamps and look frames up; raises EvaluationError that says what is missing."""
        self.path = Path(path)
        self.name = f'bag {self.path.resolve().stem}'
        self.notes: list[str] = []
        try:
            with BagReader(self.path) as bag:
                self._open(bag, lidar_topic, image_topic)
        except BagError as error:
            raise EvaluationError(str(error)) from error

    def names(self) -> list[str]:
        """Give the stamps of the images that have a sweep: nanoseconds as text."""
        return [str(stamp) for stamp in self._sweep_of]

    def frames(self, names: Collection[str]) -> Iterator[Frame]:
        """Decode and project the frames of these names; broken images are left out and noted."""
        waiting = deque(stamp for stamp in self._sweep_of if str(stamp) in names)
        needed = {self._sweep_of[stamp] for stamp in waiting}
        images: dict[int, NDArray[np.uint8] | None] = {}
        sweeps: dict[int, NDArray[np.float64]] = {}
        with BagReader(self.path) as bag:
            for item in bag.messages([self.image_topic, self._lidar_topic]):
                if item.topic == self._lidar_topic and item.stamp_ns in needed:
                    sweeps[item.stamp_ns] = _points(item)
                elif item.topic == self.image_topic and str(item.stamp_ns) in names:
                    images[item.stamp_ns] = self._decode(bag, item)
                # Either of the two may come first; frames are given in the order of the images.
                while waiting and waiting[0] in images and self._sweep_of[waiting[0]] in sweeps:
                    stamp = waiting.popleft()
                    image, sweep = images.pop(stamp), self._sweep_of[stamp]
                    if image is not None:
                        truth = self._project(sweeps[sweep])
                        yield Frame(str(stamp), image, truth, self.camera, stamp=stamp / 1e9)
                    for old in [old for old in sweeps if old < sweep]:
                        del sweeps[old]

    def truths(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Project the sweep of every image."""
        images_of: dict[int, list[int]] = {}
        for image, sweep in self._sweep_of.items():
            images_of.setdefault(sweep, []).append(image)
        with BagReader(self.path) as bag:
            for item in bag.messages([self._lidar_topic]):
                for image in images_of.get(item.stamp_ns, ()):
                    yield str(image), self._project(_points(item))

    def _open(self, bag: BagReader, lidar_topic: str | None, image_topic: str | None) -> None:
        self.image_topic = bag.choose_image_topic(image_topic)
        self._lidar_topic = _choose_lidar(bag, lidar_topic)
        camera = bag.camera_info(self.image_topic)
        info_topic = bag.camera_info_topic(self.image_topic)
        if camera is None or info_topic is None:
            raise EvaluationError(
                f'{self.path} has no valid camera_info for {self.image_topic}; the LiDAR cannot '
                'be projected without intrinsics: record it calibrated'
            )
        self.camera = camera
        info = next(bag.messages([info_topic])).message
        if any(info.d) and not is_rectified_topic(self.image_topic):
            self.notes.append(
                f'camera_info has lens distortion and {self.image_topic} does not look rectified: '
                'depth and the projection of the LiDAR are wrong towards the borders; record the '
                'image_rect of image_proc'
            )
        stamps: dict[str, list[int]] = {self.image_topic: [], self._lidar_topic: []}
        lidar_frame = ''
        for item in bag.messages(stamps):
            stamps[item.topic].append(item.stamp_ns)
            if item.topic == self._lidar_topic:
                lidar_frame = item.message.header.frame_id
        camera_frame = bag.frame_id(self.image_topic)
        try:
            transforms = bag.static_transforms()
            self._camera_from_lidar = transforms.lookup(camera_frame, lidar_frame)
        except ValueError as error:
            raise EvaluationError(
                f'{self.path}: {error}; record /tf_static with the extrinsic calibration of '
                f'{lidar_frame!r} against {camera_frame!r}'
            ) from error
        self._match(*stamps.values())
        # The first sweeps of a LiDAR that has just been started may be empty.
        sweeps = (_points(item) for item in bag.messages([self._lidar_topic]))
        if all((self._project(points) > 0).sum() < FEWEST_RETURNS for points in sweeps):
            raise EvaluationError(
                f'no sweep has {FEWEST_RETURNS} points that fall into the image: the transform '
                f'from {lidar_frame!r} to {camera_frame!r} is wrong, or {camera_frame!r} is no '
                'optical frame (x right, y down, z forward); correct /tf_static or frame_id'
            )

    def _match(self, images: list[int], sweeps: list[int]) -> None:
        """Give each image stamp the nearest sweep within the tolerance."""
        self._sweep_of: dict[int, int] = {}
        if sweeps:
            sorted_sweeps = np.unique(np.array(sweeps, np.int64))
            for stamp in images:
                nearest = int(sorted_sweeps[np.abs(sorted_sweeps - stamp).argmin()])
                if abs(nearest - stamp) <= TOLERANCE_NS:
                    self._sweep_of[stamp] = nearest
        if not self._sweep_of:
            raise EvaluationError(
                f'no image has a LiDAR sweep within {TOLERANCE_NS / 1e6:g} ms: images span '
                f'{_span(images)}, sweeps {_span(sweeps)}; both must be stamped by one clock'
            )
        if left_out := len(set(images)) - len(self._sweep_of):
            self.notes.append(
                f'{left_out} images have no LiDAR sweep within {TOLERANCE_NS / 1e6:g} ms and are '
                'left out'
            )

    def _decode(self, bag: BagReader, item: BagMessage) -> NDArray[np.uint8] | None:
        try:
            image = bag.decode(item)
        except BagError as error:
            self.notes.append(f'left out: {error}')
            return None
        height, width = image.shape[:2]
        if (width, height) != (self.camera.width, self.camera.height):
            raise EvaluationError(
                f'{self.image_topic} holds images of {width}x{height}, its camera_info is for '
                f'{self.camera.width}x{self.camera.height}; record the camera_info of these images'
            )
        return image

    def _project(self, points_n3: NDArray[np.float64]) -> NDArray[np.float32]:
        return project_points(points_n3, self._camera_from_lidar, self.camera)


def _choose_lidar(bag: BagReader, topic: str | None) -> str:
    topics = bag.topics_of(POINT_CLOUD)
    listed = ', '.join(topics) or 'none'
    if topic is not None:
        if topic not in topics:
            raise EvaluationError(
                f'{bag.path} has no point clouds on {topic!r}; its PointCloud2 topics: {listed}'
            )
        return topic
    if len(topics) != 1:
        raise EvaluationError(
            f'{bag.path} has {len(topics)} PointCloud2 topics ({listed}), expected one; say which '
            'with --lidar-topic'
        )
    return topics[0]


def _points(item: BagMessage) -> NDArray[np.float64]:
    """Give x, y, z (N, 3) of a PointCloud2; raises EvaluationError if it has no such fields."""
    cloud = point_cloud_array(item.message)
    names = cloud.dtype.names or ()
    if not {'x', 'y', 'z'} <= set(names):
        raise EvaluationError(f'{item.topic} has the fields {", ".join(names)}; expected x, y, z')
    return np.stack([cloud[axis].astype(np.float64) for axis in 'xyz'], 1)


def _span(stamps: list[int]) -> str:
    return f'{min(stamps) / 1e9:.3f}-{max(stamps) / 1e9:.3f} s' if stamps else 'nothing'
