# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What of a bag is played: which topics, in which order, when, and under which stamps."""

from __future__ import annotations

import math
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from sg_depth_ros.bags import BagError, BagMessage, BagReader
from sg_depth_ros.bags.reader import CAMERA_INFO, COMPRESSED_IMAGE, TRANSFORMS
from sg_depth_ros.bags.times import END_OF_STAMPS_NS, NS, ImageTimes, Timeline

ODOMETRY, TWIST = 'nav_msgs/msg/Odometry', 'geometry_msgs/msg/TwistStamped'
BASE_FRAME = 'base_footprint'
"""The frame on the road that the camera's height is measured from, as for the node."""
AFTER_LAST_NS = NS
"""What belongs to the last image may be recorded a little after it."""
SCALE_MODES = ('none', 'camera_height', 'odometry')


@dataclass(frozen=True)
class Choice:
    """Which of a bag's topics are meant, where it does not say so itself, and how depth is scaled.

    :ivar camera_height: metres, for the mode camera_height; 0 takes it from the transforms
    """

    image_topic: str | None = None
    info_topic: str | None = None
    speed_topic: str | None = None
    scale_mode: str = 'none'
    camera_height: float = 0.0


@dataclass(frozen=True)
class Played:
    """One message to send: ``raw`` is its CDR; ``key`` its stamp (ns) and frame if an image."""

    topic: str
    msgtype: str
    raw: bytes
    recorded_ns: int
    due_ns: int
    key: tuple[int, str] | None = None


class Inputs:
    """The messages of a bag that a replay sends.

    :ivar topic: of the images
    :ivar info_topic: of their camera_info, None where none is known to be theirs
    :ivar speed_topic: what tells the speed, as Odometry (``has_odometry``) or TwistStamped; None
        where the scale does not need it
    :ivar camera_height: metres over the road, 0 where the scale does not need it
    :ivar total: readable images in the bag; ``broken`` others cannot be read, and ``left_out``
        of them are not played
    :ivar notes: what is not played as it was recorded, in sentences
    """

    def __init__(self, reader: BagReader, choice: Choice, moving_transforms: bool = False) -> None:
        """Choose the topics and read all times.

        :param moving_transforms: whether ``/tf`` is played too: for who records what is played
        :raises BagError: when the bag lacks what was asked for, so that no replay could give it.
        """
        self._reader = reader
        moving = '/tf' if moving_transforms else None
        self._moving = [name for name in reader.topics_of(TRANSFORMS) if name == moving]
        self.topic = reader.choose_image_topic(choice.image_topic)
        self.compressed = reader.topics[self.topic].msgtype == COMPRESSED_IMAGE
        self.info_topic = reader.camera_info_topic(self.topic, choice.info_topic)
        self.frame_id = reader.frame_id(self.topic, choice.info_topic)
        self.notes: list[str] = []
        self.speed_topic: str | None = None
        self.has_odometry = False
        self.camera_height = 0.0
        if reader.camera_info(self.topic, self.info_topic) is None:
            self.notes.append(self._no_camera_info())
        self._prepare_scale(choice)
        images, self.image_bytes, broken = [], 0, len(reader.skipped)
        for item in reader.messages([self.topic]):
            images.append((item.stamp_ns, item.recorded_ns))
            self.image_bytes = max(self.image_bytes, len(item.raw))
        self.broken = len(reader.skipped) - broken
        self.total = len(images)
        if not images:
            raise BagError(f'{reader.path} has no readable image on {self.topic}; record it again')
        self.times = ImageTimes(images)
        self.timeline = Timeline([recorded for _, recorded in images])
        self.left_out = sum(not self.timeline.plays(recorded) for _, recorded in images)
        self.notes += filter(None, [self.times.note, self._note_on_times()])

    @property
    def transform_topics(self) -> list[str]:
        """The topics of static transforms."""
        topics = self._reader.topics_of(TRANSFORMS)
        return [topic for topic in topics if topic == '/tf_static']

    def undecodable(self, decoded: Collection[int]) -> str:
        """Say of an image why it cannot be decoded; those ``decoded`` are known to be good."""
        images = zip(self._reader.messages([self.topic]), self.times.times, strict=False)
        for item, time_ns in images:
            if time_ns not in decoded:
                try:
                    self._reader.decode(item)
                except BagError as error:
                    return str(error)
        return ''

    def messages(self) -> Iterator[Played]:
        """Yield what is played, in order.

        Transforms come first: they hold for the whole recording, whenever they were recorded. So
        do a camera_info and speeds from before the first image; what is much later than the last
        one is of no use.
        """
        for item in self._reader.messages(self.transform_topics):
            yield Played(item.topic, item.msgtype, item.raw, item.recorded_ns, 0)
        topics = [self.topic, *filter(None, (self.info_topic, self.speed_topic)), *self._moving]
        index = 0
        for item in self._reader.messages(topics):
            image = item.topic == self.topic
            time_ns = self.times.times[index] if image else self._time_of(item)
            index += image
            if item.recorded_ns > self.timeline.last + AFTER_LAST_NS:
                continue
            if image and not self.timeline.plays(item.recorded_ns):
                continue
            # Transforms have stamps of their own, not at their beginning.
            kept = time_ns == item.stamp_ns or item.topic in self._moving
            raw = item.raw if kept else restamped(item.raw, time_ns)
            key = (time_ns, item.message.header.frame_id or self.frame_id) if image else None
            due = self.timeline.offset(item.recorded_ns)
            yield Played(item.topic, item.msgtype, raw, item.recorded_ns, due, key)

    def messages_in_turn(self) -> Iterator[Played]:
        """Yield the same for who waits after each image: its camera_info comes before it."""
        held: Played | None = None
        known: set[int] = set()
        for item in self.messages():
            if item.key is not None:
                if held is not None:
                    yield held
                held = item
            else:
                yield item
                if item.topic == self.info_topic:
                    known.add(read_header(item.raw)[0])
            if held is not None and (self.info_topic is None or _time(held) in known):
                yield held
                held = None
        if held is not None:
            yield held

    def _time_of(self, item: BagMessage) -> int:
        if item.topic == self.info_topic or self.times.stamped:
            return self.times.of_companion(item.stamp_ns, item.recorded_ns)
        return item.recorded_ns

    def _note_on_times(self) -> str:
        timeline, notes = self.timeline, []
        if self.left_out:
            notes.append(
                f'{self.left_out} of {self.total} images are left out: their time of recording '
                'lies more than a day apart from that of the others, as of a clock that was not '
                'set yet'
            )
        if timeline.cut_seconds:
            notes.append(f'pauses of {timeline.cut_seconds:.0f} s in all are cut short')
        return '; '.join(notes)

    def _no_camera_info(self) -> str:
        others = ', '.join(self._reader.topics_of(CAMERA_INFO))
        if self.info_topic:
            found = f'{self.info_topic} is not calibrated'
        else:
            found = f'it may be one of {others}, say which' if others else 'the bag has none'
        return (
            f'the images on {self.topic} have no valid camera_info ({found}): depth is of another '
            'focal length, and there are no points'
        )

    def _prepare_scale(self, choice: Choice) -> None:
        """Find what metres are made from, or refuse before anything is played."""
        mode, height = choice.scale_mode, choice.camera_height
        if mode not in SCALE_MODES:
            raise BagError(f'the scale is one of {", ".join(SCALE_MODES)}, found {mode!r}')
        if not 0 <= height < math.inf:
            raise BagError(f"the camera's height is a number of metres, found {height}")
        if height and mode != 'camera_height':
            raise BagError(
                f'a camera height of {height:g} m is for the scale camera_height, found the scale '
                f'{mode}'
            )
        if mode == 'none':
            return
        if self.notes:
            raise BagError(
                f'{self._reader.path} gives no metres by {mode}, which needs the intrinsics of '
                f'the camera: {self.notes[0]}'
            )
        if mode == 'odometry':
            self.speed_topic = self._choose_speed(choice.speed_topic)
            self.has_odometry = self._reader.topics[self.speed_topic].msgtype == ODOMETRY
        else:
            self.camera_height = height or self._height_of_transforms()

    def _choose_speed(self, wanted: str | None) -> str:
        topics = self._reader.topics_of(ODOMETRY, TWIST)
        listed = ', '.join(topics) or 'none'
        if wanted is not None:
            if wanted in topics:
                return wanted
            raise BagError(
                f'{self._reader.path} has no speed on {wanted!r}; its topics with Odometry or '
                f'TwistStamped: {listed}'
            )
        if not topics:
            raise BagError(
                f'{self._reader.path} has no Odometry and no TwistStamped, which the scale '
                'odometry needs; record one of them, or take the scale camera_height'
            )
        if len(topics) > 1 and '/odom' not in topics:
            raise BagError(
                f'{self._reader.path} has several topics that tell the speed, say which one is '
                f'meant: {listed}'
            )
        return '/odom' if '/odom' in topics else topics[0]

    def _height_of_transforms(self) -> float:
        try:
            transforms = self._reader.static_transforms()
            height = float(transforms.lookup(BASE_FRAME, self.frame_id)[2, 3])
        except ValueError as error:
            raise BagError(
                f"{self._reader.path} does not tell the camera's height over the road, which the "
                f'scale camera_height needs ({error}); give the height in metres'
            ) from error
        if not height > 0:
            raise BagError(
                f'{self._reader.path} has the camera {height:.2f} m over {BASE_FRAME}, which is '
                'not above the road; give the height in metres'
            )
        return height


def _time(item: Played) -> int | None:
    return item.key[0] if item.key is not None else None


def byte_order(raw: bytes) -> str:
    """Give the order of a serialised message's numbers, as :mod:`struct` names it."""
    return '<' if raw[1] & 1 else '>'  # the second byte of the CDR encapsulation


def read_header(raw: bytes) -> tuple[int, str]:
    """Give the stamp (nanoseconds) and frame of a serialised message that begins with a Header."""
    seconds, nanoseconds, length = struct.unpack_from(f'{byte_order(raw)}iII', raw, 4)
    return seconds * NS + nanoseconds, raw[16 : 16 + length - 1].decode()


def restamped(raw: bytes, stamp_ns: int) -> bytes:
    """Give a serialised message that begins with a Header with another stamp (nanoseconds)."""
    stamp = struct.pack(f'{byte_order(raw)}iI', *divmod(stamp_ns % END_OF_STAMPS_NS, NS))
    return raw[:4] + stamp + raw[12:]
