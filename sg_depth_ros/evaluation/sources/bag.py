# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags with a camera and a LiDAR: truth by projection through ``/tf_static``, without ROS."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, deque
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.bags import (
    BagError,
    BagMessage,
    BagReader,
    is_rectified_topic,
    point_cloud_array,
)
from sg_depth_ros.bags.reader import CAMERA_INFO
from sg_depth_ros.bags.times import ImageTimes
from sg_depth_ros.evaluation.frames import EvaluationError, Frame
from sg_depth_ros.evaluation.lidar import project_points
from sg_depth_ros.geometry.camera import is_distorted

POINT_CLOUD = 'sensor_msgs/msg/PointCloud2'
TOLERANCE_NS = 50_000_000
"""Half the period of a LiDAR that turns ten times a second."""
TOGETHER_NS = 1_000_000_000
"""What was recorded within a second of the other belongs to one round of a recording."""
FEWEST_RETURNS = 50
"""An image with fewer is not what the LiDAR sees."""


class Moment(NamedTuple):
    """When a message was stamped and recorded, in nanoseconds."""

    stamp: int
    recorded: int


class BagSource:
    """Images of a bag, each with the LiDAR sweep that is nearest in time.

    The points of a sweep are taken as they are: what moves between the two stamps is not
    corrected for.

    :param lidar_topic: its PointCloud2 topic; the only one in the bag if None.
    :param image_topic: the only camera in the bag if None.
    :param info_topic: the camera_info of that image; found by itself if None.
    """

    def __init__(
        self,
        path: str | Path,
        lidar_topic: str | None = None,
        image_topic: str | None = None,
        info_topic: str | None = None,
    ) -> None:
        """Match stamps and look frames up; raises EvaluationError that says what is missing."""
        self.path = Path(path)
        self.name = f'bag {self.path.resolve().stem}'
        self.notes: list[str] = []
        try:
            with BagReader(self.path) as bag:
                self._open(bag, lidar_topic, image_topic, info_topic)
        except BagError as error:
            raise EvaluationError(str(error)) from error

    def names(self) -> list[str]:
        """Give the moments of the images that have a sweep: nanoseconds as text.

        They are the stamps, where these tell the images apart (see :class:`ImageTimes`).
        """
        return [str(self._times[image]) for image in self._sweep_of]

    def frames(self, names: Collection[str]) -> Iterator[Frame]:
        """Decode and project the frames of these names; broken images are left out and noted."""
        wanted = [image for image in self._sweep_of if str(self._times[image]) in names]
        waiting, chosen = deque(wanted), set(wanted)
        uses = Counter(self._sweep_of[image] for image in wanted)
        images: dict[int, NDArray[np.uint8] | None] = {}
        sweeps: dict[int, NDArray[np.float64]] = {}
        counts: Counter[str] = Counter()
        with BagReader(self.path) as bag:
            for item in bag.messages([self.image_topic, self._lidar_topic]):
                index = counts[item.topic]
                counts[item.topic] += 1
                if item.topic == self._lidar_topic and uses[index]:
                    sweeps[index] = _points(item)
                elif item.topic == self.image_topic and index in chosen:
                    images[index] = self._decode(bag, item)
                # Either of the two may come first; frames are given in the order of the images.
                while waiting and waiting[0] in images and self._sweep_of[waiting[0]] in sweeps:
                    number = waiting.popleft()
                    image, sweep = images.pop(number), self._sweep_of[number]
                    if image is not None:
                        time = self._times[number]
                        truth = self._project(sweeps[sweep])
                        yield Frame(str(time), image, truth, self.camera, stamp=time / 1e9)
                    uses[sweep] -= 1
                    if not uses[sweep]:
                        del sweeps[sweep]

    def truths(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Project the sweep of every image."""
        images_of: dict[int, list[int]] = {}
        for image, sweep in self._sweep_of.items():
            images_of.setdefault(sweep, []).append(image)
        with BagReader(self.path) as bag:
            for index, item in enumerate(bag.messages([self._lidar_topic])):
                for image in images_of.get(index, ()):
                    yield str(self._times[image]), self._project(_points(item))

    def _open(
        self,
        bag: BagReader,
        lidar_topic: str | None,
        image_topic: str | None,
        info_topic: str | None,
    ) -> None:
        self.image_topic = bag.choose_image_topic(image_topic)
        self._lidar_topic = _choose_lidar(bag, lidar_topic)
        self.info_topic = bag.camera_info_topic(self.image_topic, info_topic)
        camera = bag.camera_info(self.image_topic, self.info_topic)
        if camera is None or self.info_topic is None:
            others = ', '.join(bag.topics_of(CAMERA_INFO)) or 'none'
            raise EvaluationError(
                f'{self.path} has no valid camera_info for {self.image_topic}; the LiDAR cannot '
                'be projected without intrinsics: record it calibrated, or say with --info-topic '
                f'which it is (there are: {others})'
            )
        self.camera = camera
        self._check_size(bag)
        info = next(bag.messages([self.info_topic])).message
        if is_distorted(info) and not is_rectified_topic(self.image_topic):
            self.notes.append(
                f'camera_info has lens distortion and {self.image_topic} does not look rectified: '
                'depth and the projection of the LiDAR are wrong towards the borders; record the '
                'image_rect of image_proc'
            )
        moments: dict[str, list[Moment]] = {self.image_topic: [], self._lidar_topic: []}
        lidar_frame = ''
        for item in bag.messages(moments):
            moments[item.topic].append(Moment(item.stamp_ns, item.recorded_ns))
            if item.topic == self._lidar_topic:
                lidar_frame = item.message.header.frame_id
        camera_frame = bag.frame_id(self.image_topic, self.info_topic)
        try:
            transforms = bag.static_transforms()
            self._camera_from_lidar = transforms.lookup(camera_frame, lidar_frame)
        except ValueError as error:
            raise EvaluationError(
                f'{self.path}: {error}; record /tf_static with the extrinsic calibration of '
                f'{lidar_frame!r} against {camera_frame!r}'
            ) from error
        self._match(*moments.values())
        # The first sweeps of a LiDAR that has just been started may be empty.
        sweeps = (_points(item) for item in bag.messages([self._lidar_topic]))
        if all((self._project(points) > 0).sum() < FEWEST_RETURNS for points in sweeps):
            raise EvaluationError(
                f'no sweep has {FEWEST_RETURNS} points that fall into the image: the transform '
                f'from {lidar_frame!r} to {camera_frame!r} is wrong, or {camera_frame!r} is no '
                'optical frame (x right, y down, z forward); correct /tf_static or frame_id'
            )

    def _match(self, images: list[Moment], sweeps: list[Moment]) -> None:
        """Give each image the nearest sweep within the tolerance, both by their number."""
        times = ImageTimes(images)
        self._times = times.times
        if times.note:
            self.notes.append(times.note)
        if _unset(images) or _unset(sweeps):
            self.notes.append(
                'images or sweeps are all stamped alike: they are matched by their times of '
                'recording'
            )
            images = [Moment(moment.recorded, moment.recorded) for moment in images]
            sweeps = [Moment(moment.recorded, moment.recorded) for moment in sweeps]
        matched = match_moments(images, sweeps)
        self._sweep_of = {i: sweep for i, sweep in enumerate(matched) if sweep is not None}
        if not self._sweep_of:
            raise EvaluationError(
                f'no image has a LiDAR sweep within {TOLERANCE_NS / 1e6:g} ms: images span '
                f'{_span(images)}, sweeps {_span(sweeps)}; both must be stamped by one clock'
            )
        if left_out := len(images) - len(self._sweep_of):
            self.notes.append(
                f'{left_out} images have no LiDAR sweep within {TOLERANCE_NS / 1e6:g} ms and are '
                'left out'
            )

    def _check_size(self, bag: BagReader) -> None:
        """Look at the first image that can be decoded before truth is drawn at a camera's size."""
        for item in bag.messages([self.image_topic]):
            try:
                self._require_camera_of(bag.decode(item))
            except BagError:
                continue
            return

    def _decode(self, bag: BagReader, item: BagMessage) -> NDArray[np.uint8] | None:
        try:
            image = bag.decode(item)
        except BagError as error:
            self.notes.append(f'left out: {error}')
            return None
        self._require_camera_of(image)
        return image

    def _require_camera_of(self, image: NDArray[np.uint8]) -> None:
        height, width = image.shape[:2]
        if (width, height) != (self.camera.width, self.camera.height):
            raise EvaluationError(
                f'{self.image_topic} holds images of {width}x{height}, its camera_info is for '
                f'{self.camera.width}x{self.camera.height}; record the camera_info of these images'
            )

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
    try:
        cloud = point_cloud_array(item.message)
    except ValueError as error:
        raise EvaluationError(
            f'{item.topic} at {item.recorded_ns / 1e9:.3f} s: {error}'
        ) from error
    names = cloud.dtype.names or ()
    if not {'x', 'y', 'z'} <= set(names):
        raise EvaluationError(f'{item.topic} has the fields {", ".join(names)}; expected x, y, z')
    return np.stack([cloud[axis].astype(np.float64) for axis in 'xyz'], 1)


def match_moments(images: list[Moment], sweeps: list[Moment]) -> list[int | None]:
    """Give for each image the number of the sweep that is stamped nearest, within the tolerance.

    A recording may hold a stamp twice, when a bag is played in a loop or a clock begins again:
    what was recorded far from the image is then not meant.
    """
    order = sorted(range(len(sweeps)), key=lambda index: sweeps[index].stamp)
    stamps = [sweeps[index].stamp for index in order]
    found: list[int | None] = []
    for image in images:
        first = bisect_left(stamps, image.stamp - TOLERANCE_NS)
        near = order[first : bisect_right(stamps, image.stamp + TOLERANCE_NS)]
        if not near:
            found.append(None)
            continue
        apart = {index: abs(sweeps[index].recorded - image.recorded) for index in near}
        limit = min(apart.values()) + TOGETHER_NS
        found.append(
            min(
                (index for index in near if apart[index] <= limit),
                key=lambda index: (abs(sweeps[index].stamp - image.stamp), apart[index]),
            )
        )
    return found


def _unset(moments: list[Moment]) -> bool:
    """Tell whether stamps say nothing, as of a driver that leaves them empty."""
    return len(moments) > 1 and len({moment.stamp for moment in moments}) == 1


def _span(moments: list[Moment]) -> str:
    stamps = [moment.stamp for moment in moments]
    return f'{min(stamps) / 1e9:.3f}-{max(stamps) / 1e9:.3f} s' if stamps else 'nothing'
