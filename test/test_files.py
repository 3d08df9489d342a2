# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
import errno
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from sg_depth_ros.files import atomic_path, read_bounded
from sg_depth_ros.images.files import write_image


def test_a_link_under_the_name_of_the_old_temporary_is_not_written_through(
    tmp_path: Path,
) -> None:
    victim = tmp_path / 'victim'
    victim.write_text('mine')
    (tmp_path / f'.a.{os.getpid()}.tmp.txt').symlink_to(victim)
    names = set()
    for _ in range(2):
        with atomic_path(tmp_path / 'a.txt') as temporary:
            names.add(temporary.name)
            assert not temporary.exists()
            temporary.write_text('yours')
    assert len(names) == 2  # nobody can wait under the next one
    assert victim.read_text() == 'mine'
    assert (tmp_path / 'a.txt').read_text() == 'yours'


def test_a_full_disk_names_the_file(tmp_path: Path) -> None:
    with (
        pytest.raises(OSError, match=r'No space left on device: .*a\.txt') as caught,
        atomic_path(tmp_path / 'a.txt'),
        open('/dev/full', 'wb', buffering=0) as full,
    ):
        full.write(b'x')  # what this raises names no file
    assert caught.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_another_file_keeps_its_name(tmp_path: Path) -> None:
    with (
        pytest.raises(FileNotFoundError, match='other'),
        atomic_path(tmp_path / 'a.txt'),
    ):
        (tmp_path / 'other').read_text()


def test_images_are_written_through_python_so_that_errors_are_told(tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('')
    with pytest.raises(OSError, match='file'):
        write_image(tmp_path / 'file' / 'a.png', np.zeros((2, 2), np.uint8))


def test_reading_is_bounded(tmp_path: Path) -> None:
    (tmp_path / 'a').write_bytes(b'12345')
    assert read_bounded(tmp_path / 'a', 5) == b'12345'
    tracemalloc.start()
    read_bounded(tmp_path / 'a', 1 << 30)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    with pytest.raises(ValueError, match='more than the 4 bytes'):
        read_bounded(tmp_path / 'a', 4)
    with pytest.raises(ValueError, match='is no file'):
        read_bounded('/dev/zero', 4)
