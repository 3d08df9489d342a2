# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read rosbag2 recordings (mcap or sqlite3): images, camera, static transforms, any message."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.bags.finding import BagError, find_bag, open_bag, unreadable
from sg_depth_ros.bags.messages import stamp_to_ns, typestore
from sg_depth_ros.bags.transforms import StaticTransforms, matrix_from_transform
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.images.decoding import decode_compressed, decode_image

if TYPE_CHECKING:
    from rosbags.interfaces import Connection, TopicInfo

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
TRANSFORMS = 'tf2_msgs/msg/TFMessage'

logger = logging.getLogger(__name__)


def is_rectified_topic(topic: str) -> bool:
    """Tell from an image topic whether image_proc's conventions call it rectified.

    ``/camera/image_rect``, ``/camera/image_rect_color/compressed`` and ``/camera/rect/image``
    are; ``/camera/image_raw``, ``/camera/image`` and ``/camera/image_unrectified`` are not.
    """
    names = topic.removesuffix('/compressed').split('/')[-2:]
    return any(re.search('(^|_)(rect|rectified)(_|$)', name) for name in names)


@dataclass(frozen=True)
class StampedImage:
    """A decoded image: header stamp in nanoseconds, frame, (H, W, 3) uint8 RGB."""

    stamp_ns: int
    frame_id: str
    rgb: NDArray[np.uint8]


@dataclass(frozen=True)
class BagMessage:
    """One message; ``stamp_ns`` is its header's (else the recording time), ``raw`` its CDR."""

    topic: str
    msgtype: str
    stamp_ns: int
    recorded_ns: int
    message: Any
    raw: bytes


def _encoding(info: TopicInfo) -> str:
    """Give how the messages of a topic are written: cdr, or what other systems use."""
    return next((getattr(c.ext, 'serialization_format', '') for c in info.connections), '')


class BagReader:
    """A recording, opened as a context manager.

    ``skipped`` names every message so far that was broken and left out.

    :param path: a bag folder, or a single .mcap or .db3 file.
    :raises BagError: when there is no rosbag2 recording at ``path``.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        find_bag(self.path)
        self.skipped: list[str] = []
        self._stack = ExitStack()

    def __enter__(self) -> BagReader:
        """Open the files; raises BagError when they cannot be read."""
        with ExitStack() as stack:
            self._reader = open_bag(self.path, stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the files."""
        self._stack.close()

    @property
    def topics(self) -> dict[str, TopicInfo]:
        """The topics by name, with ``msgtype`` and ``msgcount``."""
        return self._reader.topics

    @property
    def duration(self) -> float:
        """Seconds from the first message to the last."""
        return max(0, self._reader.duration - 1) / 1e9 if self._reader.message_count else 0.0

    def topics_of(self, *msgtypes: str) -> list[str]:
        """Give the topics that hold messages of one of the types, sorted."""
        return [
            name
            for name, info in sorted(self.topics.items())
            if info.msgtype in msgtypes and info.msgcount > 0 and _encoding(info) == 'cdr'
        ]

    def image_topics(self) -> list[str]:
        """Give the topics with images, raw or compressed."""
        return [
            topic
            for topic in self.topics_of(IMAGE, COMPRESSED_IMAGE)
            if not topic.endswith('/compressedDepth')
        ]

    def choose_image_topic(self, topic: str | None = None) -> str:
        """Give ``topic`` if it holds images, or the only camera when ``topic`` is None.

        :raises BagError: when it is not there, or several could be meant; the error lists them.
        """
        topics = self.image_topics()
        listed = ', '.join(topics) or 'none'
        if topic is not None:
            if topic in topics:
                return topic
            raise BagError(f'{self.path} has no images on {topic!r}; its image topics: {listed}')
        if not topics:
            raise BagError(f'{self.path} holds no images; its topics: {self._listed_topics()}')
        if len(self._cameras()) > 1:
            raise BagError(
                f'{self.path} has several image topics, say which one is meant: {listed}'
            )
        return topics[0]

    def _cameras(self) -> set[str]:
        # The same camera both raw and compressed is no question worth asking.
        return {name.removesuffix('/compressed') for name in self.image_topics()}

    def messages(self, topics: Iterable[str]) -> Iterator[BagMessage]:
        """Yield the messages of some topics in the order of recording.

        A message that cannot be deserialised is skipped, logged, and named in ``skipped``.

        :raises BagError: when a topic is not in the bag, or the files are damaged.
        """
        # It imports rosbags, which is slow.
        from sg_depth_ros.bags.storage import MAX_CHUNK, unzstd

        wanted = set(topics)
        if missing := sorted(wanted - self.topics.keys()):
            raise BagError(
                f'{self.path} has no topic {", ".join(missing)}; its topics: '
                f'{self._listed_topics()}'
            )
        connections = [c for c in self._reader.connections if c.topic in wanted]
        if not connections:  # rosbags takes an empty choice for all topics
            return
        for connection in connections:
            if connection.msgtype not in typestore().fielddefs:
                raise BagError(
                    f'{connection.topic} holds {connection.msgtype}, which is not a standard type'
                )
        for connection, recorded_ns, stored in self._stored(connections):
            try:
                raw = unzstd(stored, MAX_CHUNK) if self._reader.compressed_messages else stored
                message = typestore().deserialize_cdr(raw, connection.msgtype)
            except Exception as error:  # what is no message makes them raise about anything
                self._skip(connection.topic, recorded_ns, error)
                continue
            header = getattr(message, 'header', None)
            stamp_ns = recorded_ns if header is None else stamp_to_ns(header.stamp)
            yield BagMessage(
                connection.topic, connection.msgtype, stamp_ns, recorded_ns, message, bytes(raw)
            )

    def _stored(self, connections: list[Connection]) -> Iterator[tuple[Connection, int, bytes]]:
        try:
            yield from self._reader.messages(connections)
        except Exception as error:  # storages and compressions raise many unrelated types
            raise unreadable(self.path, error) from error

    def images(self, topic: str | None = None) -> Iterator[StampedImage]:
        """Yield the images of a topic, decoded; broken ones are skipped and named in ``skipped``.

        :raises BagError: see :meth:`choose_image_topic`.
        """
        for item in self.messages([self.choose_image_topic(topic)]):
            try:
                rgb = self.decode(item)
            except BagError:
                continue
            yield StampedImage(item.stamp_ns, item.message.header.frame_id, rgb)

    def decode(self, item: BagMessage) -> NDArray[np.uint8]:
        """Decode an image message to (H, W, 3) uint8 RGB.

        :raises BagError: when it is broken; it is then named in ``skipped`` too.
        """
        message = item.message
        try:
            if item.msgtype == COMPRESSED_IMAGE:
                return decode_compressed(message.data, message.format)
            return decode_image(
                message.encoding,
                message.height,
                message.width,
                message.step,
                message.data,
                bool(message.is_bigendian),
            )
        except ValueError as error:
            raise BagError(self._skip(item.topic, item.stamp_ns, error)) from error

    def camera_info_topic(
        self, image_topic: str | None = None, info_topic: str | None = None
    ) -> str | None:
        """Give the ``camera_info`` of an image topic, or None where none is known to be its own.

        That is ``info_topic`` where it is given. Else it is the one below the image's topic
        (``IMAGE/camera_info``), the one beside it, or the only one that has the frame of these
        images. The only one of a bag with a single camera belongs to it, whatever its frame.

        :raises BagError: when ``info_topic`` holds no CameraInfo.
        """
        topics = self.topics_of(CAMERA_INFO)
        if info_topic is not None:
            if info_topic in topics:
                return info_topic
            raise BagError(
                f'{self.path} has no camera_info on {info_topic!r}; its camera_info topics: '
                f'{", ".join(topics) or "none"}'
            )
        images = self.choose_image_topic(image_topic)
        base = images.removesuffix('/compressed')
        for name in (f'{base}/camera_info', f'{base.rpartition("/")[0]}/camera_info'):
            if name in topics:
                return name
        if len(topics) == 1 and len(self._cameras()) == 1:
            return topics[0]
        frame = self._first_frame(images).lstrip('/')
        frames = {topic: self._first_frame(topic).lstrip('/') for topic in topics}
        if len(topics) == 1:  # of several cameras' images; without a frame it may be of any
            return topics[0] if len({frame, *frames.values()} - {''}) < 2 else None
        own = [topic for topic in topics if frame and frames[topic] == frame]
        return own[0] if len(own) == 1 else None

    def frame_id(self, image_topic: str, info_topic: str | None = None) -> str:
        """Give the frame of a topic's images: where they have none, that of their camera_info.

        It is read from the first message of each, decoded or not, and empty if neither has one.
        """
        frame = self._first_frame(image_topic)
        if not frame and (found := self.camera_info_topic(image_topic, info_topic)):
            frame = self._first_frame(found)
        return frame

    def _first_frame(self, topic: str) -> str:
        item = next(self.messages([topic]), None)
        return '' if item is None else str(item.message.header.frame_id)

    def camera_info(
        self, topic: str | None = None, info_topic: str | None = None
    ) -> PinholeCamera | None:
        """Give the camera of the first valid ``CameraInfo``, or None if none is valid.

        It is that of the rectified image (P) where the images' topic is called rectified, as
        image_proc does it, and that of the raw one (K) otherwise, both of the region of interest
        and with the binning that the message names.

        :param topic: an image topic whose ``camera_info`` is meant, or a CameraInfo topic.
        :param info_topic: see :meth:`camera_info_topic`.
        :raises BagError: when ``topic`` is not in the bag.
        """
        images, infos = topic, topic
        if info_topic is not None or topic not in self.topics_of(CAMERA_INFO):
            images = self.choose_image_topic(topic)
            infos = self.camera_info_topic(images, info_topic)
        if images is None or infos is None:
            return None
        rectified = is_rectified_topic(images)
        for item in self.messages([infos]):
            with suppress(ValueError):  # an uncalibrated driver sends zeros
                return PinholeCamera.from_info(item.message, rectified)
        return None

    def static_transforms(self) -> StaticTransforms:
        """Give the frames of all ``/tf_static`` topics; a malformed transform is skipped."""
        transforms = StaticTransforms()
        topics = [name for name in self.topics_of(TRANSFORMS) if name.endswith('tf_static')]
        for item in self.messages(topics):
            for stamped in item.message.transforms:
                try:
                    matrix = matrix_from_transform(stamped.transform)
                except ValueError as error:
                    self._skip(item.topic, item.recorded_ns, error)
                    continue
                transforms.add(stamped.header.frame_id, stamped.child_frame_id, matrix)
        return transforms

    def _listed_topics(self) -> str:
        return ', '.join(sorted(self.topics)) or 'none'

    def _skip(self, topic: str, stamp_ns: int, error: Exception) -> str:
        text = f'{topic} at {stamp_ns / 1e9:.3f} s: {error}'
        self.skipped.append(text)
        logger.warning('skipped a broken message, %s', text)
        return text
