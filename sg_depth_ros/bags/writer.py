# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write a rosbag2 recording that ``ros2 bag`` (Humble and later) and ``rosbags`` read."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from sg_depth_ros.bags.finding import URI_SIGNS, BagError
from sg_depth_ros.bags.messages import typestore

if TYPE_CHECKING:
    from rosbags.interfaces import Connection, Qos

Storage = Literal['mcap', 'sqlite3']


class BagWriter:
    """A context manager that leaves a complete bag folder at ``path``, or nothing on an error.

    :raises BagError: when it cannot be written, as on a disk that is full
    """

    def __init__(self, path: str | Path, storage: Storage = 'mcap') -> None:
        """Prepare to write; raises BagError when ``path`` exists or the storage is unknown."""
        self.path = Path(path)
        if self.path.exists():
            raise BagError(f'{self.path} exists already; choose another path or remove it')
        if storage not in ('mcap', 'sqlite3'):
            raise BagError(f'bags are stored as mcap or sqlite3, found {storage!r}')
        if storage == 'sqlite3' and URI_SIGNS.intersection(str(self.path.absolute())):
            raise BagError(
                f'a bag in sqlite3 cannot be at a path with ?, # or %, found {self.path}; choose '
                'another path, or mcap'
            )
        self._storage = storage
        self._stack = ExitStack()
        self._connections: dict[str, Connection] = {}

    def __enter__(self) -> BagWriter:
        """Start a temporary folder beside the final path."""
        with self._explained():
            self._open()
        return self

    def _open(self) -> None:
        from rosbags.rosbag2 import StoragePlugin, Writer

        self.path.parent.mkdir(parents=True, exist_ok=True)
        folder = self._stack.enter_context(
            tempfile.TemporaryDirectory(prefix='.bag-', dir=self.path.parent)
        )
        # Version 8 stores QoS profiles the way Humble still reads them.
        self._writer = Writer(
            Path(folder) / self.path.name,
            version=8,
            storage_plugin=StoragePlugin[self._storage.upper()],
        )
        self._writer.open()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Move the finished bag into place, or remove what there is after an error."""
        with self._stack:
            if kind is None:
                with self._explained():
                    self._writer.close()
                    self._writer.path.rename(self.path)
            else:
                # What cannot be written any more cannot be undone either; all is removed below.
                with suppress(Exception):
                    self._writer.abort()

    def write(self, topic: str, message: Any, stamp_ns: int) -> None:
        """Write a message of ``rosbags``' types, as recorded at ``stamp_ns`` (nanoseconds)."""
        msgtype = message.__msgtype__
        self.write_raw(topic, msgtype, typestore().serialize_cdr(message, msgtype), stamp_ns)

    def write_raw(
        self,
        topic: str,
        msgtype: str,
        data: bytes | memoryview,
        stamp_ns: int,
        latched: bool = False,
    ) -> None:
        """Write a message that is serialised as CDR already.

        :param latched: whether those that subscribe late to a replay of the bag are to get it
            too, as always of ``/tf_static``; the first message of a topic decides.
        :raises BagError: when the topic has another type in this bag.
        """
        connection = self._connections.get(topic)
        if connection is None:
            connection = self._writer.add_connection(
                topic,
                msgtype,
                typestore=typestore(),
                offered_qos_profiles=[_latched()]
                if latched or topic.endswith('/tf_static')
                else [],
            )
            self._connections[topic] = connection
        if connection.msgtype != msgtype:
            raise BagError(f'{topic} holds {connection.msgtype}, a {msgtype} cannot go there')
        with self._explained():
            self._writer.write(connection, stamp_ns, data)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what ``rosbags`` and its storages raise into a BagError."""
        try:
            yield
        except Exception as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise BagError(
                f'{self.path} cannot be written ({reason}); look at the room on the disk and the '
                'rights'
            ) from error


def remove_bag(path: Path) -> None:
    """Remove a bag that an earlier run wrote to ``path`` with :class:`BagWriter`.

    :raises BagError: when something else is there; it stays
    """
    if not path.exists():
        return
    ours = {'metadata.yaml', f'{path.name}.mcap'}
    if not path.is_dir() or {file.name for file in path.iterdir()} - ours:
        raise BagError(
            f'{path} is in the way and was not written by an earlier run; move it, or choose '
            'another folder for the results'
        )
    for name in ours:
        (path / name).unlink(missing_ok=True)
    path.rmdir()


def _latched() -> Qos:
    """Give the profile of what late subscribers of a replay get too."""
    from rosbags.interfaces import (
        Qos,
        QosDurability,
        QosHistory,
        QosLiveliness,
        QosReliability,
        QosTime,
    )

    forever = QosTime(9223372036, 854775807)
    return Qos(
        QosHistory.KEEP_LAST,
        1,
        QosReliability.RELIABLE,
        QosDurability.TRANSIENT_LOCAL,
        forever,
        forever,
        QosLiveliness.AUTOMATIC,
        forever,
        False,
    )
