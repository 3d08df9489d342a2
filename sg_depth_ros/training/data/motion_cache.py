# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What was seen between neighbouring images, kept in the user's cache folder.

To look at all images of a large data set takes hours. What was seen depends on the images and the
step alone, not on the limits that a training sets for it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sg_depth_ros.files import atomic_path, cache_directory

VERSION = 1
"""Raised when pairs are looked at in another way."""

_log = logging.getLogger(__name__)


@dataclass
class Seen:
    """What was seen of a sequence.

    :ivar pairs: by the index of a pair's first image: its median flow in thousandths of the width
        and whether it is a cut, or a text that says why it cannot be used
    :ivar broken: what could not be read, a sentence each
    """

    pairs: dict[int, tuple[float, bool] | str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)


def remembered(
    frames: Any, step: int, pairs: Collection[int], look: Callable[[Collection[int]], Seen]
) -> Seen:
    """Give what was seen of pairs, looking only at those that nobody has looked at before.

    Of several processes that start together one looks, and the others wait for it. Frames that
    cannot be told again (they have no ``fingerprint``) are always looked at.

    :param step: images between those of a pair
    :param look: looks at pairs, which it is given in increasing order
    """
    if not pairs or not hasattr(frames, 'fingerprint'):
        return look(pairs)
    key = hashlib.sha256(f'{VERSION} {step} {frames.fingerprint()}'.encode()).hexdigest()[:24]
    file = cache_directory('motion') / f'{key}.json'
    with _locked(file.with_suffix('.lock')):
        known = _read(file)
        missing = sorted(set(pairs) - set(known.pairs))
        if missing:
            new = look(missing)
            known.pairs.update(new.pairs)
            known.broken += [problem for problem in new.broken if problem not in known.broken]
            _write(known, file)
    return known


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep other processes out; without a lock where the folder cannot be written."""
    with ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # The kernel frees the lock of a process that is killed.
            fcntl.flock(stack.enter_context(path.open('w')), fcntl.LOCK_EX)
        except OSError as error:
            _log.warning(
                '%s cannot be used (%s): images are looked at again at every start; set '
                'XDG_CACHE_HOME to a folder that can be written', path.parent, error,
            )  # fmt: skip
        yield


def _read(file: Path) -> Seen:
    """Read what was kept; nothing where there is none, or what is there is damaged."""
    try:
        content = json.loads(file.read_text())
        pairs = {
            int(first): seen if isinstance(seen, str) else (float(seen[0]), bool(seen[1]))
            for first, seen in content['pairs'].items()
        }
        return Seen(pairs, [str(problem) for problem in content['broken']])
    except FileNotFoundError:
        return Seen()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        _log.warning('%s is damaged (%s) and made again', file, error)
        return Seen()


def _write(seen: Seen, file: Path) -> None:
    try:
        with atomic_path(file) as temporary:
            temporary.write_text(json.dumps({'pairs': seen.pairs, 'broken': seen.broken}))
    except OSError as error:
        _log.warning('%s cannot be written: %s', file, error)
