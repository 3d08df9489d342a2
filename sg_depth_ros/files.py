# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files written whole or not at all, and their checksums."""

from __future__ import annotations

import hashlib
import os
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
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last: writers such as cv2.imwrite choose the format by it.
    temporary = path.with_name(f'.{path.stem}.{os.getpid()}.tmp{path.suffix}')
    try:
        yield temporary
        temporary.replace(path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink(missing_ok=True)


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
        names = self._list.read_text().splitlines() if self._list.is_file() else []
        for path in (folder / name for name in names):
            # The list may have come from anybody: it speaks of this folder alone.
            if path.resolve().is_relative_to(folder.resolve()) and path.is_file():
                path.unlink()
        self._list.unlink(missing_ok=True)

    def add(self, *paths: Path) -> None:
        """Note files inside of the folder, before or after they are written."""
        with self._list.open('a') as file:
            file.writelines(f'{path.relative_to(self._folder)}\n' for path in paths)
