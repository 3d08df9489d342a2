# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Built engines on disk, in the user's cache folder.

An entry is one ZIP archive of both plans and their description, so that it is there as a whole
or not at all, and ``unzip`` shows what it holds. A lock file beside it sees to it that of several
processes one builds; the kernel frees the lock of a process that is killed.
"""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import logging
import os
import re
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sg_depth_ros.engines.comparison import ComparisonError
from sg_depth_ros.engines.protocol import EngineCancelled, Progress
from sg_depth_ros.engines.tensorrt.precision import Product
from sg_depth_ros.files import atomic_path, cache_directory

SUFFIX = '.engine'
NOT_CHECKED = 'not done'
_DESCRIPTION = 'engine.json'
_PLANS = ('segmentation.plan', 'depth.plan')
_POLL = 0.2
_SAY_AFTER = 2.0
"""Seconds of waiting for another process that are worth a line."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EngineKey:
    """All that an engine depends on."""

    bundle: str
    """Its name, for people; what counts is the digest."""
    digest: str
    precision: str
    size: str
    """Width and height of the networks, such as ``640x192``."""
    flavour: str
    version: str
    """Of TensorRT."""
    capability: str
    """Compute capability of the GPU."""
    gpu: str
    """Its name; empty for TensorRT-RTX, whose engines run on any GPU of a compute capability."""
    driver: str
    """Its driver; empty likewise."""
    platform: str
    """Operating system and processor; empty likewise."""
    recipe: int
    """Of ``graph.RECIPE``."""

    @property
    def file(self) -> str:
        """The name of its file."""
        values = {k: v for k, v in dataclasses.asdict(self).items() if k != 'bundle'}
        text = json.dumps(values, sort_keys=True)
        code = hashlib.sha256(text.encode()).hexdigest()[:16]
        name = re.sub(r'[^\w-]+', '_', self.bundle)
        return f'{name}-{self.precision}-{code}{SUFFIX}'


@dataclass(frozen=True)
class Entry:
    """A built engine."""

    key: EngineKey
    segmentation: bytes
    depth: bytes
    check: str = NOT_CHECKED
    """How it compared with ONNX Runtime on a GPU."""
    products: tuple[Product, ...] = ()
    """What both networks multiply, in the precision that the engine does it in."""


@dataclass(frozen=True)
class Listed:
    """What a file of the cache turned out to be."""

    file: Path
    size: int
    entry: Entry | None
    """None where the file is damaged."""
    problem: str = ''


class DamagedError(Exception):
    """A file is no whole engine of this key; the message says what is wrong."""


def default_directory() -> Path:
    """Give the folder of engines in the user's cache."""
    return cache_directory('engines')


class EngineCache:
    """A folder of engines; several processes may use it at once."""

    def __init__(self, directory: Path | None = None) -> None:
        """Look at a folder, by default the user's; it is made when something is written."""
        self.directory = directory or default_directory()

    def get(
        self,
        key: EngineKey,
        build: Callable[[], Entry],
        progress: Progress,
        review: Callable[[Entry], Entry] = lambda entry: entry,
    ) -> Entry:
        """Give the engine of a key, built if it is not there; one process builds at a time.

        A cache that cannot be written costs a warning, and the engine lives in memory alone.

        :param review: looks at an engine that was found; what it makes of it is kept
        :raises ComparisonError: when ``build`` or ``review`` does; the engine is not kept
        :raises EngineCancelled: when ``progress`` has answered so while another process built
        """
        path = self.directory / key.file
        with self._locked(path, progress) as locked:
            try:
                found = read_entry(path, key)
            except (FileNotFoundError, NotADirectoryError):
                found = None
            except (DamagedError, OSError) as error:
                _log.warning('%s is not used but built again: %s', path, error)
                found = None
            try:
                entry = review(found) if found else build()
            except ComparisonError:
                if locked:
                    path.unlink(missing_ok=True)
                raise
            if locked and entry is not found:
                try:
                    write_entry(path, entry)
                except OSError as error:
                    _unwritable(path, error)
            return entry

    def files(self) -> list[Path]:
        """Give the files of all engines, unread."""
        return sorted(self.directory.glob(f'[!.]*{SUFFIX}'))

    def list(self) -> list[Listed]:
        """Look at every engine, read as a whole."""
        return [_look(file) for file in self.files()]

    def remove(self, listed: Listed) -> bool:
        """Remove an engine unless a process is working on it; tell whether it is gone."""
        lock = _Lock(listed.file)
        try:
            if not lock.acquire():
                return False
            _remove_leftovers(listed.file)
            listed.file.unlink(missing_ok=True)
            lock.path.unlink(missing_ok=True)
            return True
        finally:
            lock.close()

    @contextmanager
    def _locked(self, path: Path, progress: Progress) -> Iterator[bool]:
        """Hold an entry's lock; yields False, with a warning, where there can be none."""
        with ExitStack() as undo:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                lock = _Lock(path)
                undo.callback(lock.close)
                lock.wait(progress)
                _remove_leftovers(path)
                locked = True
            except OSError as error:
                if not path.is_file():  # A folder of engines that is read-only on purpose is fine.
                    _unwritable(path, error)
                locked = False
            yield locked


class _Lock:
    """The lock of an entry, which the kernel frees when its process ends, however it ends."""

    def __init__(self, entry: Path) -> None:
        """Open the lock file; raises OSError."""
        self._entry, self.path = entry, entry.with_suffix('.lock')
        self._open()

    def acquire(self) -> bool:
        """Try to take it."""
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            if self._is_current():
                return True
            # It was removed with its entry before we got it: others lock a new file.
            removed = self._descriptor
            self._open()
            os.close(removed)

    def wait(self, progress: Progress) -> None:
        """Take it, however long it takes; raises EngineCancelled."""
        start, said = time.monotonic(), False
        while not self.acquire():
            if not progress('waiting for another process that builds this engine', 0.0):
                raise EngineCancelled('waiting for an engine was stopped')
            if not said and time.monotonic() - start > _SAY_AFTER:
                said = True
                _log.warning('another process builds %s; waiting for it', self._entry)
            time.sleep(_POLL)

    def close(self) -> None:
        """Free it."""
        os.close(self._descriptor)

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._descriptor = os.open(self.path, flags, 0o644)

    def _is_current(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._descriptor), self.path.stat())
        except FileNotFoundError:
            return False


def read_entry(path: Path, key: EngineKey | None = None) -> Entry:
    """Read an engine and prove that it is whole.

    :param key: what it must have been built for
    :raises DamagedError: if the file is something else, or cut short, or changed
    :raises OSError: if it cannot be read; FileNotFoundError if there is none
    """
    try:
        with zipfile.ZipFile(path) as archive:
            description = json.loads(archive.read(_DESCRIPTION))
            segmentation, depth = (archive.read(name) for name in _PLANS)
        found = EngineKey(**description['key'])
        hashes, check = description['sha256'], str(description['check'])
        # Engines of earlier versions have none; they are stale, and yet to be listed.
        products = tuple(Product(*product) for product in description.get('products', ()))
    except OSError:
        raise
    except Exception as error:  # a damaged archive can raise about anything
        raise DamagedError(f'it is no whole engine ({type(error).__name__}: {error})') from error
    if hashes != [hashlib.sha256(plan).hexdigest() for plan in (segmentation, depth)]:
        raise DamagedError('its checksum is wrong')
    if key is not None and found != dataclasses.replace(key, bundle=found.bundle):
        raise DamagedError('it was built for something else')
    return Entry(found, segmentation, depth, check, products)


def write_entry(path: Path, entry: Entry) -> None:
    """Write an engine, whole or not at all; raises OSError."""
    plans = (entry.segmentation, entry.depth)
    description = {
        'key': dataclasses.asdict(entry.key),
        'sha256': [hashlib.sha256(plan).hexdigest() for plan in plans],
        'check': entry.check,
        'products': entry.products,
    }
    contents = (json.dumps(description, indent=2).encode(), *plans)
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, 'w') as archive:
        for name, content in zip((_DESCRIPTION, *_PLANS), contents, strict=True):
            # Without the time: a robot's clock may not be set, and archives know none before 1980.
            member = zipfile.ZipInfo(name)
            member.external_attr = 0o644 << 16
            archive.writestr(member, content)


def _look(file: Path) -> Listed:
    size = file.stat().st_size
    try:
        return Listed(file, size, read_entry(file))
    except (DamagedError, OSError) as error:
        return Listed(file, size, None, str(error))


def _unwritable(path: Path, error: OSError) -> None:
    _log.warning(
        'the engine cannot be kept for the next start, %s: %s; make room there or set '
        'XDG_CACHE_HOME to a folder that can be written',
        path.parent,
        error.strerror or error,
    )


def _remove_leftovers(path: Path) -> None:
    """Remove what a process that was killed has left of an entry whose lock is ours."""
    for leftover in path.parent.glob(f'.{path.stem}.*.tmp{path.suffix}'):
        leftover.unlink(missing_ok=True)
