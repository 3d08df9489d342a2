# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The cache of engines under attack; needs no TensorRT."""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sg_depth_ros.engines.protocol import EngineCancelled, go_on
from sg_depth_ros.engines.tensorrt.cache import (
    EngineCache,
    EngineKey,
    Entry,
    default_directory,
    read_entry,
    write_entry,
)

TIMEOUT = 60
KEY = EngineKey(
    bundle='small',
    digest='0' * 64,
    precision='fp32',
    size='640x192',
    flavour='tensorrt',
    version='10.3.0',
    capability='8.7',
    gpu='Orin',
    driver='540.4.0',
    platform='linux aarch64',
    recipe=1,
)
ENTRY = Entry(KEY, b'segmentation' * 5000, b'depth' * 5000)

# A process that gets KEY's entry. Building writes a line to the file builds, and waits for the
# file go; waiting for another process writes the file waiting. What it got is printed.
WORKER = """
import sys, time
from pathlib import Path
from test_tensorrt_cache import ENTRY, KEY
from sg_depth_ros.engines.tensorrt.cache import EngineCache
folder = Path(sys.argv[1])
def build():
    with (folder / 'builds').open('a') as file:
        file.write('built\\n')
    while not (folder / 'go').exists():
        time.sleep(0.02)
    return ENTRY
def progress(phase, fraction):
    (folder / 'waiting').touch()
    return True
{setup}
print(EngineCache(folder / 'engines').get(KEY, build, progress) == ENTRY)
"""
HANG_IN_WRITING = """
def hang(self, target):
    (folder / 'written').touch()
    time.sleep(600)
Path.replace = hang
"""
LITTLE_ROOM = """
import logging, resource
logging.basicConfig()
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
"""

Start = Callable[..., 'subprocess.Popen[str]']


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / 'engines')


@pytest.fixture
def path(cache: EngineCache) -> Path:
    return cache.directory / KEY.file


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts workers and ends those that are left."""
    processes = []
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(map(str, sys.path))}

    def run(setup: str = '') -> subprocess.Popen[str]:
        processes.append(
            subprocess.Popen(
                [sys.executable, '-c', WORKER.format(setup=setup), str(tmp_path)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=environment,
            )
        )
        return processes[-1]

    yield run
    for process in processes:
        process.kill()
        process.communicate()


def wait_for(file: Path) -> None:
    end = time.monotonic() + TIMEOUT
    while not file.exists():
        assert time.monotonic() < end, f'{file} did not come'
        time.sleep(0.02)


def never() -> Entry:
    raise AssertionError('built although it is there')


def names(cache: EngineCache) -> set[str]:
    return {file.name for file in cache.directory.iterdir() if file.suffix != '.lock'}


def test_what_was_built_is_read_the_next_time(cache: EngineCache, path: Path) -> None:
    assert cache.get(KEY, lambda: ENTRY, go_on) is ENTRY
    assert cache.get(KEY, never, go_on) == ENTRY
    assert names(cache) == {path.name}


@pytest.mark.parametrize('field', [f.name for f in dataclasses.fields(EngineKey)])
def test_every_field_of_the_key_makes_another_engine(cache: EngineCache, field: str) -> None:
    other = dataclasses.replace(KEY, **{field: 2 if field == 'recipe' else 'other'})
    assert other.file != KEY.file
    cache.get(KEY, lambda: ENTRY, go_on)
    made = dataclasses.replace(ENTRY, key=other)
    assert cache.get(other, lambda: made, go_on) is made
    assert len(cache.list()) == 2


def test_two_builders_at_once_make_one_engine(tmp_path: Path, start: Start) -> None:
    first = start()
    wait_for(tmp_path / 'builds')
    second = start()
    wait_for(tmp_path / 'waiting')
    (tmp_path / 'go').touch()
    outputs = [process.communicate(timeout=TIMEOUT)[0] for process in (first, second)]
    assert outputs == ['True\n', 'True\n']
    assert (tmp_path / 'builds').read_text() == 'built\n'


def test_who_waits_says_so_and_can_be_stopped(
    tmp_path: Path,
    cache: EngineCache,
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr('sg_depth_ros.engines.tensorrt.cache._SAY_AFTER', 0.0)
    start()
    wait_for(tmp_path / 'builds')
    phases: list[str] = []

    def progress(phase: str, fraction: float) -> bool:
        phases.append(phase)
        return len(phases) < 3

    with pytest.raises(EngineCancelled):
        cache.get(KEY, never, progress)
    assert phases == ['waiting for another process that builds this engine'] * 3
    assert [r.message for r in caplog.records] == [
        f'another process builds {cache.directory / KEY.file}; waiting for it'
    ]


def test_a_killed_builder_leaves_the_way_free(
    tmp_path: Path, cache: EngineCache, start: Start
) -> None:
    builder = start()
    wait_for(tmp_path / 'builds')
    builder.send_signal(signal.SIGKILL)
    builder.wait(TIMEOUT)
    assert cache.get(KEY, lambda: ENTRY, lambda *_: pytest.fail('waited')) is ENTRY


def test_a_writer_killed_midway_leaves_no_engine_and_no_rubbish(
    tmp_path: Path, cache: EngineCache, path: Path, start: Start
) -> None:
    (tmp_path / 'go').touch()
    writer = start(HANG_IN_WRITING)
    wait_for(tmp_path / 'written')
    writer.send_signal(signal.SIGKILL)
    writer.wait(TIMEOUT)
    assert len(names(cache)) == 1 and not path.exists()
    assert cache.list() == []
    assert cache.get(KEY, lambda: ENTRY, go_on) is ENTRY
    assert names(cache) == {path.name}


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def another_plan(path: Path) -> None:
    """Change a plan and leave the archive intact."""
    import zipfile

    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, 'w') as archive:
        for name, data in files.items():
            archive.writestr(name, b'other' if name == 'depth.plan' else data)


def another_key(path: Path) -> None:
    write_entry(path, dataclasses.replace(ENTRY, key=dataclasses.replace(KEY, gpu='Xavier')))


@pytest.mark.parametrize(
    ('damage', 'reason'),
    [
        (truncate, 'it is no whole engine'),
        (flip_a_bit, 'it is no whole engine'),
        (lambda path: path.write_bytes(b''), 'it is no whole engine'),
        (lambda path: path.write_bytes(b'\x7fELF' * 1000), 'it is no whole engine'),
        (another_plan, 'its checksum is wrong'),
        (another_key, 'it was built for something else'),
    ],
    ids=['truncated', 'bit', 'empty', 'foreign', 'plan', 'key'],
)
def test_a_damaged_engine_is_built_again_with_one_line(
    cache: EngineCache,
    path: Path,
    damage: Callable[[Path], None],
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    cache.get(KEY, lambda: ENTRY, go_on)
    damage(path)
    assert cache.get(KEY, lambda: ENTRY, go_on) is ENTRY
    assert len(caplog.records) == 1
    assert caplog.records[0].message.startswith(f'{path} is not used but built again: {reason}')
    assert read_entry(path, KEY) == ENTRY


def test_a_cache_that_cannot_be_written_costs_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file where the folder should be stops root as well."""
    (tmp_path / 'file').touch()
    cache = EngineCache(tmp_path / 'file' / 'engines')
    assert cache.get(KEY, lambda: ENTRY, go_on) is ENTRY
    assert len(caplog.records) == 1
    assert 'the engine cannot be kept for the next start' in caplog.text
    assert 'XDG_CACHE_HOME' in caplog.text


def test_a_file_system_without_locks_costs_a_warning(
    cache: EngineCache,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As NFS may be."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, 'flock', refuse)
    assert cache.get(KEY, lambda: ENTRY, go_on) is ENTRY
    assert 'the engine cannot be kept for the next start' in caplog.text
    assert 'No locks available' in caplog.text
    write_entry(path, ENTRY)
    assert cache.get(KEY, never, go_on) == ENTRY


def test_a_clock_that_was_never_set_is_no_hindrance(
    cache: EngineCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Robots without a battery for it begin in 1970, before the first date of ZIP."""
    monkeypatch.setattr(time, 'time', lambda: 1000.0)
    cache.get(KEY, lambda: ENTRY, go_on)
    assert cache.get(KEY, never, go_on) == ENTRY


@pytest.fixture
def read_only(cache: EngineCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the folder refuse new files, as a read-only file system does, for root as well."""
    open_file = os.open

    def refuse(path: str, flags: int, *arguments: int, **keywords: int) -> int:
        if flags & os.O_CREAT and str(path).startswith(str(cache.directory)):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return open_file(path, flags, *arguments, **keywords)

    cache.directory.mkdir()
    monkeypatch.setattr(os, 'open', refuse)


@pytest.mark.usefixtures('read_only')
def test_a_read_only_cache_is_read(
    cache: EngineCache, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert cache.get(KEY, lambda: ENTRY, go_on) is ENTRY
    assert 'Read-only file system' in caplog.text
    caplog.clear()
    write_entry(path, ENTRY)
    assert cache.get(KEY, never, go_on) == ENTRY
    assert not caplog.records


@pytest.mark.skipif(os.geteuid() == 0, reason='root may write everywhere')
def test_a_folder_without_the_right_to_write_costs_a_warning(
    cache: EngineCache, caplog: pytest.LogCaptureFixture
) -> None:
    cache.directory.mkdir(mode=0o555)
    assert cache.get(KEY, lambda: ENTRY, go_on) is ENTRY
    assert 'Permission denied' in caplog.text


def test_a_full_disk_costs_a_warning_and_leaves_nothing(
    tmp_path: Path, cache: EngineCache, start: Start
) -> None:
    (tmp_path / 'go').touch()
    output, errors = start(LITTLE_ROOM).communicate(timeout=TIMEOUT)
    assert output == 'True\n'
    assert errors.count('WARNING') == 1
    assert 'the engine cannot be kept for the next start' in errors
    assert 'File too large' in errors
    assert names(cache) == set()


def test_another_version_builds_anew_and_leaves_the_old_one(cache: EngineCache) -> None:
    cache.get(KEY, lambda: ENTRY, go_on)
    newer = dataclasses.replace(KEY, version='10.4.0')
    made = dataclasses.replace(ENTRY, key=newer)
    assert cache.get(newer, lambda: made, go_on) is made
    assert cache.get(KEY, never, go_on) == ENTRY
    assert {x.entry.key.version for x in cache.list() if x.entry} == {'10.3.0', '10.4.0'}


def test_a_review_is_kept_and_may_refuse(cache: EngineCache) -> None:
    cache.get(KEY, lambda: ENTRY, go_on)
    reviewed = cache.get(KEY, never, go_on, lambda e: dataclasses.replace(e, check='fine'))
    assert reviewed.check == 'fine'
    assert cache.get(KEY, never, go_on).check == 'fine'

    def refuse(entry: Entry) -> Entry:
        raise ValueError('wrong')

    with pytest.raises(ValueError, match='wrong'):
        cache.get(KEY, never, go_on, refuse)


def test_a_build_that_fails_leaves_nothing(cache: EngineCache) -> None:
    def fail() -> Entry:
        raise ValueError('no')

    with pytest.raises(ValueError, match='no'):
        cache.get(KEY, fail, go_on)
    assert names(cache) == set()
    assert cache.get(KEY, lambda: ENTRY, go_on) is ENTRY


def test_listing_tells_what_is_damaged(cache: EngineCache, path: Path) -> None:
    cache.get(KEY, lambda: ENTRY, go_on)
    (cache.directory / 'foreign.engine').write_text('?')
    foreign, good = cache.list()
    assert foreign.entry is None and 'no whole engine' in foreign.problem
    assert good.entry == ENTRY and good.size == path.stat().st_size


def test_removing_spares_what_a_process_works_on(
    tmp_path: Path, cache: EngineCache, path: Path, start: Start
) -> None:
    start()
    wait_for(tmp_path / 'builds')
    write_entry(path, ENTRY)
    (listed,) = cache.list()
    assert not cache.remove(listed)
    assert path.exists()


def test_removing_takes_engine_and_lock(cache: EngineCache) -> None:
    cache.get(KEY, lambda: ENTRY, go_on)
    (listed,) = cache.list()
    assert cache.remove(listed)
    assert list(cache.directory.iterdir()) == []


def test_who_waited_for_a_removed_lock_takes_the_new_one(
    tmp_path: Path, cache: EngineCache, path: Path
) -> None:
    """Otherwise it would build beside one that locks the new file."""
    waiting, inside, leave = threading.Event(), threading.Event(), threading.Event()

    def hold() -> Entry:
        inside.set()
        assert leave.wait(TIMEOUT)
        path.with_suffix('.lock').unlink()
        return ENTRY

    def progress(phase: str, fraction: float) -> bool:
        waiting.set()
        return True

    holder = threading.Thread(target=cache.get, args=(KEY, hold, go_on))
    holder.start()
    assert inside.wait(TIMEOUT)
    found: list[Entry] = []
    second = threading.Thread(target=lambda: found.append(cache.get(KEY, never, progress)))
    second.start()
    assert waiting.wait(TIMEOUT)
    leave.set()
    for thread in (holder, second):
        thread.join(TIMEOUT)
    assert found == [ENTRY]
    assert path.with_suffix('.lock').exists()


def test_a_folder_that_is_removed_while_one_waits_costs_a_warning(
    cache: EngineCache, caplog: pytest.LogCaptureFixture
) -> None:
    inside, leave, waiting = threading.Event(), threading.Event(), threading.Event()

    def hold() -> Entry:
        inside.set()
        assert leave.wait(TIMEOUT)
        raise ValueError('stopped')

    def progress(phase: str, fraction: float) -> bool:
        if not waiting.is_set():
            shutil.rmtree(cache.directory)
            waiting.set()
            leave.set()
        return True

    def first() -> None:
        with pytest.raises(ValueError, match='stopped'):
            cache.get(KEY, hold, go_on)

    holder = threading.Thread(target=first)
    holder.start()
    assert inside.wait(TIMEOUT)
    assert cache.get(KEY, lambda: ENTRY, progress) is ENTRY
    holder.join(TIMEOUT)
    assert 'the engine cannot be kept for the next start' in caplog.text


def test_the_folder_is_that_of_the_xdg_specification(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    assert default_directory() == tmp_path / 'sg_depth_ros' / 'engines'
    monkeypatch.setenv('HOME', str(tmp_path / 'home'))
    for value in ('', 'relative'):
        monkeypatch.setenv('XDG_CACHE_HOME', value)
        assert default_directory() == tmp_path / 'home/.cache/sg_depth_ros/engines'
