# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The DDS settings that camera images need."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from sg_depth_ros.bundle.share import share_directory

_FAST_DDS_3 = 'FASTDDS_DEFAULT_PROFILES_FILE'
_FAST_DDS_2 = 'FASTRTPS_DEFAULT_PROFILES_FILE'
_RCLPY_OF_FAST_DDS_3 = 9  # Kilted's; Jazzy has 7


def profile_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Give the variables that make Fast DDS carry images; empty if the user has chosen already.

    Without a large shared-memory segment it loses every best-effort image above 0.5 MB.

    :param environment: the variables that are set, such as ``os.environ``.
    """
    chosen = (_FAST_DDS_3, _FAST_DDS_2, 'FASTDDS_BUILTIN_TRANSPORTS')
    if any(environment.get(name) for name in chosen):
        return {}
    profile = str(share_directory() / 'config' / 'fastdds_shm.xml')
    return dict.fromkeys(_variables(), profile)


def _variables() -> tuple[str, ...]:
    """Give the names that the installed Fast DDS knows.

    ROS_DISTRO would not tell: wheels and many containers leave it unset. Fast DDS 3 warns about
    the name of Fast DDS 2, which does not know the other; where neither is known, both are right.
    """
    try:
        version = importlib.metadata.version('rclpy')
    except importlib.metadata.PackageNotFoundError:
        return _FAST_DDS_2, _FAST_DDS_3
    major = version.partition('.')[0]
    if not major.isdigit():
        return _FAST_DDS_2, _FAST_DDS_3
    return (_FAST_DDS_3 if int(major) >= _RCLPY_OF_FAST_DDS_3 else _FAST_DDS_2,)


_SEGMENT = re.compile(r'(?<=<segment_size>)\d+(?=</segment_size>)')
_PIECES = re.compile(r'(?<=<port_queue_capacity>)\d+(?=</port_queue_capacity>)')
_PIECE_BYTES = 60_000
"""Images travel in pieces of at most 64 KB, since UDP takes no larger ones."""
_IMAGES_IN_SEGMENT = 4
"""One is written while others are still read."""
SHARED_MEMORY = Path('/dev/shm')


def sized_profile(profile: Path, image_bytes: int, folder: Path) -> Path:
    """Give a Fast DDS profile whose shared memory holds some images of a size.

    :param profile: the one that serves where it is large enough
    :param folder: where a larger one is written if need be; it must stay until the end
    """
    text, needed = profile.read_text(), _IMAGES_IN_SEGMENT * image_bytes
    if all(int(size) >= needed for size in _SEGMENT.findall(text)):
        return profile
    larger = folder / profile.name
    text = _SEGMENT.sub(str(needed), text)
    larger.write_text(_PIECES.sub(lambda n: str(max(int(n[0]), needed // _PIECE_BYTES)), text))
    return larger


def shared_memory_problem(profile: Path, processes: int) -> str:
    """Say what keeps Fast DDS from having a profile's shared memory; empty if nothing does.

    :param processes: that have a segment each; the machine must have room for all
    """
    needed = processes * sum(map(int, _SEGMENT.findall(profile.read_text())))
    free = shutil.disk_usage(SHARED_MEMORY).free if SHARED_MEMORY.is_dir() else 0
    if free >= needed:
        return ''
    return (
        f'{SHARED_MEMORY} has {free / 1e6:.0f} MB free, and DDS wants {needed / 1e6:.0f} MB for '
        'images of this size, which are lost without: give it more, in a container with the '
        'option shm-size of docker run'
    )
