# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recording on disk, and what of it can be opened: also when its recorder was cut off."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

from sg_depth_ros.documents import DocumentError, read_yaml
from sg_depth_ros.files import is_hidden

if TYPE_CHECKING:
    from sg_depth_ros.bags.storage import BoundedReader

METADATA = 'metadata.yaml'
_JOURNALS = ('-wal', '-journal')
"""Beside a database: what was not written into it yet when its recorder was stopped."""
URI_SIGNS = frozenset('?#%')
"""What means something else in the addresses by which databases are opened."""

logger = logging.getLogger(__name__)


class BagError(ValueError):
    """A bag that is not there, cannot be read, or lacks what was asked for."""


def open_bag(path: Path, stack: ExitStack) -> BoundedReader:
    """Open a bag folder or file until ``stack`` is closed.

    Where metadata.yaml is of no use, the only file of the folder is opened instead.

    :raises BagError: when there is no bag, or it cannot be read
    """
    found = find_bag(path)
    try:
        if found.is_dir():
            _check_metadata(found)
        return _open(found, stack)
    except Exception as error:  # storages and compressions raise many unrelated types
        files = _storages(found) if found.is_dir() else []
        if lacking := _lacking(found, files):
            raise BagError(
                f'{found} lacks {", ".join(lacking)} of its recording; copy it there, or give one '
                f'file, such as {files[0]}'
            ) from error
        if len(files) != 1:
            raise unreadable(found, error) from error
        try:
            reader = _open(files[0], stack)
        except Exception as second:
            raise unreadable(found, second) from second
        logger.warning('%s is not used: %s', found / METADATA, _reason(error))
        return reader


def find_bag(path: Path) -> Path:
    """Give what can be opened at ``path``; raises BagError with what to do otherwise."""
    if not path.exists():
        raise BagError(f'{path} does not exist; give a rosbag2 folder or an .mcap or .db3 file')
    if path.suffix == '.bag' and path.is_file():
        raise BagError(
            f'{path} is a ROS 1 bag; convert it with '
            f'"rosbags-convert --src {path} --dst {path.with_suffix("")}"'
        )
    if not path.is_dir():
        if path.suffix not in ('.mcap', '.db3') or not path.is_file():
            raise BagError(f'{path} is no bag; give a rosbag2 folder or an .mcap or .db3 file')
        return path
    if (path / METADATA).exists():
        return path
    files = _storages(path)
    if len(files) == 1:
        return files[0]
    if files:
        raise BagError(f'{path} has no {METADATA}; write it with "ros2 bag reindex {path}"')
    compressed = sorted([*path.glob('*.db3.zstd'), *path.glob('*.mcap.zstd')])
    if compressed:
        raise BagError(
            f'{path} has compressed files and no {METADATA}; decompress them with '
            f'"zstd -d {compressed[0].name}" and give the folder or file again'
        )
    hint = '; ROS 1 bags are converted with rosbags-convert' if any(path.glob('*.bag')) else ''
    raise BagError(f'{path} holds no rosbag2 recording (.mcap or .db3){hint}')


def unreadable(path: Path, error: Exception) -> BagError:
    """Give the error of a bag whose storage, or ``rosbags``, has raised another one."""
    if isinstance(error, BagError):
        return error
    reason = _reason(error)
    if 'Profile is not ros2' in reason:
        return BagError(
            f'{path} is no recording of ROS 2; ROS 1 recordings are converted with '
            '"rosbags-convert", others have to be written again with the profile ros2'
        )
    remedy = '; look at the disk and the rights'
    if not isinstance(error, OSError | MemoryError):
        files = _storages(path) if path.is_dir() else [path]
        remedy = '; if its recording was cut off, repair it with "mcap recover"'
        if any(file.suffix == '.db3' for file in files):
            remedy = '; if it is damaged, save what is left with the command .recover of sqlite3'
    return BagError(f'{path} cannot be read ({reason}){remedy}')


def _reason(error: Exception) -> str:
    text = ' '.join(str(error).split()).rstrip('.')
    # What Python raises for data that are not what they should be says little without its type.
    own = isinstance(error, ValueError | OSError) or type(error).__module__ != 'builtins'
    return text if own and text else f'{type(error).__name__}: {text}'.rstrip(': ')


def _storages(folder: Path) -> list[Path]:
    files = [*folder.glob('*.mcap'), *folder.glob('*.db3')]
    return sorted(file for file in files if not is_hidden(file))


def _check_metadata(folder: Path) -> None:
    """Raise DocumentError where rosbags would take metadata.yaml's word for too much."""
    file = folder / METADATA
    values = read_yaml(file)
    found = values.get('rosbag2_bagfile_information') if isinstance(values, dict) else None
    if not isinstance(found, dict):
        raise DocumentError(f'{file} says nothing of a recording')
    if str(found.get('compression_mode')).lower() == 'file':
        from sg_depth_ros.bags.storage import unpacked_size

        free = shutil.disk_usage(tempfile.gettempdir()).free
        size = sum(unpacked_size(packed) for packed in folder.glob('*.zstd'))
        if size > free // 2:
            raise BagError(
                f'{folder} takes {size / 1e9:.1f} GB when it is decompressed, '
                f'{tempfile.gettempdir()} has {free / 1e9:.1f} GB left; make room there, or set '
                'TMPDIR to another folder'
            )


def _lacking(folder: Path, files: list[Path]) -> list[str]:
    """Give the files that metadata.yaml names and are not there, while others of it are."""
    try:
        named = read_yaml(folder / METADATA)['rosbag2_bagfile_information']['relative_file_paths']
        names = [Path(name).name for name in named]
    except (OSError, ValueError, TypeError, KeyError):  # it says nothing of files
        return []
    there = {file.name for file in files}
    return [name for name in names if name not in there] if there.intersection(names) else []


def _open(path: Path, stack: ExitStack) -> BoundedReader:
    from sg_depth_ros.bags.storage import BoundedReader

    reader = BoundedReader(_readable(path, stack))
    reader.open()
    stack.callback(reader.close)
    return reader


def _readable(path: Path, stack: ExitStack) -> Path:
    """Give the bag, or where its databases need it, another way to it in a temporary folder."""
    databases = [path] if path.suffix == '.db3' else []
    if path.is_dir():
        databases = [file for file in _storages(path) if file.suffix == '.db3']
    unfinished = [file for file in databases if _journals(file)]
    if not unfinished and not (databases and URI_SIGNS.intersection(str(path.resolve()))):
        return path
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='bag-')))
    for file in databases:
        if file in unfinished:
            _finish(file, folder / file.name)
        else:
            (folder / file.name).symlink_to(file.resolve())
    if not path.is_dir():
        return folder / path.name
    shutil.copy(path / METADATA, folder / METADATA)
    return folder


def _journals(database: Path) -> list[Path]:
    beside = [database.with_name(database.name + suffix) for suffix in _JOURNALS]
    return [file for file in beside if file.is_file() and file.stat().st_size > 0]


def _finish(database: Path, target: Path) -> None:
    """Write a copy of a database that has what its journal holds as well.

    The files of the recording stay as they are.
    """
    logger.warning(
        '%s was not closed by its recorder; it is read with what %s holds',
        database,
        ', '.join(file.name for file in _journals(database)),
    )
    for file in (database, *_journals(database)):
        shutil.copyfile(file, target.with_name(file.name))
    with closing(sqlite3.connect(target)) as connection:
        connection.execute('PRAGMA wal_checkpoint(TRUNCATE)').fetchall()
        connection.execute('PRAGMA journal_mode=DELETE').fetchall()
        # Rolls back what is in a journal of the older kind.
        connection.execute('SELECT count(*) FROM sqlite_master').fetchall()
