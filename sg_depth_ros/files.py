# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files written whole or not at all, read within a bound, and their checksums."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that replaces it once the block has succeeded.

    Parent folders are made. What the block leaves may be a file or a folder; a folder replaces
    nothing that exists. On an error the temporary is removed and ``path`` stays as it was.

    :raises OSError: that names ``path``, as when the disk is full
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name that nobody can guess, since a link that waits under it would be written through. The
    # suffix stays last: writers such as cv2.imwrite choose the format by it.
    temporary = path.with_name(f'.{path.stem}.{secrets.token_hex(8)}.tmp{path.suffix}')
    try:
        with named_errors(path, temporary):
            yield temporary
            temporary.replace(path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink(missing_ok=True)


def cache_directory(name: str) -> Path:
    """Give the user's folder for what can be made again, by the XDG Base Directory Specification.

    :param name: of what it holds
    """
    # The specification has relative paths ignored.
    home = os.environ.get('XDG_CACHE_HOME', '')
    root = Path(home) if os.path.isabs(home) else Path.home() / '.cache'
    return root / 'sg_depth_ros' / name


@contextmanager
def named_errors(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Let an OSError that names no file, or a temporary one, name ``path``.

    The system names the file when it is opened, but not when a write to it fails.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(temporary)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def read_bounded(path: str | Path, max_bytes: int) -> bytes:
    """Read a file that may come from anybody.

    :raises ValueError: when it is larger than ``max_bytes``, or no file (a pipe has no end)
    :raises OSError: when it cannot be read
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise ValueError(f'{path} is no file; give the path of one')
    with path.open('rb') as file, named_errors(path):
        # Asked for a number of bytes, Python takes memory for all of them at once.
        if os.fstat(file.fileno()).st_size > max_bytes:
            raise ValueError(
                f'{path} has more than the {max_bytes} bytes that are read of such a file; look '
                'at what it is'
            )
        return file.read()


def is_hidden(path: Path) -> bool:
    """Tell whether a name begins with a dot: Macs leave ``._NAME`` beside each ``NAME``.

    So do temporary files begin. Neither is the data that it looks like.
    """
    return path.name.startswith('.')


def sha256(path: str | Path) -> str:
    """Give the SHA-256 of a file as hexadecimal digits."""
    digest = hashlib.sha256()
    with Path(path).open('rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def prepare_folder(folder: Path, stale: Collection[str] = ()) -> None:
    """Make a folder ready for results, before anything is computed for them.

    :param stale: names of the files that an earlier run may have left there; nothing else is
        removed
    :raises OSError: when the folder cannot be made or written to
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        for name in stale:
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise OSError(
            f'{folder} cannot be written to ({reason}); choose another folder for the results'
        ) from error


class WrittenFiles:
    """The files that a run writes into a folder, and a list of them there.

    Their names follow those of the input. The next run into the folder removes those of the list
    before it begins, and nothing else.
    """

    LIST = '.sg_depth_files'

    def __init__(self, folder: Path) -> None:
        """Remove what an earlier run wrote; raises OSError as :func:`prepare_folder`."""
        prepare_folder(folder)
        self._folder, self._list = folder, folder / self.LIST
        # Names of files are bytes, of any encoding.
        data = self._list.read_bytes() if self._list.is_file() else b''
        names = [os.fsdecode(name) for name in data.splitlines()]
        for path in (folder / name for name in names):
            # The list may have come from anybody: it speaks of this folder alone.
            if path.resolve().is_relative_to(folder.resolve()) and path.is_file():
                path.unlink()
        self._list.unlink(missing_ok=True)

    def claim(self, *paths: Path) -> None:
        """Note files inside of the folder before they are written.

        :raises ValueError: when one is there already, and so not from an earlier run
        """
        for path in paths:
            if path.exists():
                raise ValueError(
                    f'{path} is there already, and no earlier result; choose another folder for '
                    'the results'
                )
        with self._list.open('ab') as file:
            file.writelines(os.fsencode(path.relative_to(self._folder)) + b'\n' for path in paths)
