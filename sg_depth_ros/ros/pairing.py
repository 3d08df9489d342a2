# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which camera_info belongs to which image, and which images wait for theirs.

A driver gives an image and its camera_info one stamp. The two come in either order, and with a
zoom or autofocus each image has intrinsics of its own.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections import OrderedDict, deque
from dataclasses import dataclass

from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from sg_depth_ros.bags.messages import NS, stamp_to_ns

WAIT_SECONDS = 0.1
"""How long an image may wait for the camera_info of its stamp, where such have come before."""
MOST_IMAGES = 8
"""That wait at once: one more lets the first go."""
MOST_MISSES = 3
"""Images in a row that wait in vain: then no other waits until infos and images meet again."""
MOST_INFOS = 128
"""That are remembered: four seconds of a usual camera."""
_MOST_COEFFICIENTS = 65
"""Of distortion that are kept of a camera_info: with so many it is refused, with no more it takes
no memory."""
_BACK_NS = 10 * NS
"""A camera_info that is older than the last one by more begins a new time, as a bag played again
does; by less it comes in another order."""


@dataclass(frozen=True)
class Frame:
    """An image, when it came in seconds of the monotonic clock, and its camera_info or None."""

    message: Image | CompressedImage
    received: float
    info: CameraInfo | None = None

    @property
    def stamp(self) -> int:
        """The image's, in nanoseconds."""
        return stamp_to_ns(self.message.header.stamp)


class Pairing:
    """Images in, images with their camera_info out, in the same order; for one thread.

    An image gets the camera_info of its own stamp, else the last one before it, else the first
    one after it. One without a stamp gets the newest.
    """

    def __init__(self) -> None:
        self._infos: OrderedDict[int, CameraInfo] = OrderedDict()
        """By stamp, in the order in which they came."""
        self._images: deque[Frame] = deque()
        self._past: deque[tuple[int, float]] = deque(maxlen=MOST_IMAGES)
        """Stamp and time of reception of images that went without the info of their stamp."""
        self._misses = 0
        self._first: float | None = None

    @property
    def newest(self) -> CameraInfo | None:
        """The camera_info that came last."""
        return next(reversed(self._infos.values()), None)

    @property
    def waiting(self) -> int:
        """How many images wait."""
        return len(self._images)

    def restart(self) -> int:
        """Give up what waits, and wait anew for a first camera_info; tell how many images."""
        count = len(self._images)
        self._images.clear()
        self._first = None
        return count

    def add_info(self, info: CameraInfo, now: float) -> None:
        """Take in a camera_info."""
        del info.d[_MOST_COEFFICIENTS:]
        stamp = stamp_to_ns(info.header.stamp)
        if self.newest and stamp_to_ns(self.newest.header.stamp) > stamp + _BACK_NS:
            self._infos.clear()
        self._infos[stamp] = info
        self._infos.move_to_end(stamp)
        if len(self._infos) > MOST_INFOS:
            self._infos.popitem(last=False)
        if any(s == stamp and now - t <= WAIT_SECONDS for s, t in self._past):
            self._misses = 0  # it would have come in time, had the image waited

    def add_image(self, message: Image | CompressedImage, now: float) -> int:
        """Take in an image; tell how many were given up for it.

        As long as there is no camera_info at all, only the newest image is kept.
        """
        self._first = now if self._first is None else self._first
        dropped = 0
        if not self._infos:
            dropped = len(self._images)
            self._images.clear()
        self._images.append(Frame(message, now))
        return dropped

    def take(self, now: float, timeout: float) -> list[Frame]:
        """Give the images that need not wait any longer, each with its camera_info.

        :param timeout: seconds that the first image waits for any camera_info at all
        """
        taken = []
        while self._images and self._may_go(self._images[0], now, timeout):
            frame = self._images.popleft()
            if frame.stamp not in self._infos:
                self._past.append((frame.stamp, frame.received))
            taken.append(dataclasses.replace(frame, info=self._info_of(frame.stamp)))
        return taken

    def _may_go(self, frame: Frame, now: float, timeout: float) -> bool:
        if not self._infos:
            return self._first is None or now - self._first >= timeout
        if frame.stamp in self._infos:
            self._misses = 0
            return True
        # Neither has an equal: drivers leave stamps empty, or publish one info for all images.
        unstamped = frame.stamp == 0 or next(reversed(self._infos)) == 0
        if unstamped or self._misses >= MOST_MISSES:
            return True
        late = now - frame.received >= WAIT_SECONDS or len(self._images) > MOST_IMAGES
        self._misses += late
        return late

    def _info_of(self, stamp: int) -> CameraInfo | None:
        if stamp in self._infos:
            return self._infos[stamp]
        if stamp == 0 or not self._infos:
            return self.newest
        stamps = sorted(self._infos)
        return self._infos[stamps[max(bisect.bisect(stamps, stamp) - 1, 0)]]
