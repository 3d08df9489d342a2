# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Score all frames of a source, one line of JSON each, so that a run can be taken up again."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from io import FileIO
from pathlib import Path
from typing import Any

from sg_depth_ros.evaluation.frames import EvaluationError, Model, Source
from sg_depth_ros.evaluation.protocols import Protocol
from sg_depth_ros.evaluation.scoring import score_frame
from sg_depth_ros.files import atomic_path

RECORDS = 'frames.jsonl'

OnProgress = Callable[[int, int], None]
"""Called with (frames done, all frames) after each frame and once at the beginning."""


def run_settings(
    source: Source, names: Sequence[str], models: Sequence[Model], protocol: Protocol
) -> dict[str, Any]:
    """Give what the figures depend on; a run is only taken up again where this is equal."""
    return {
        'dataset': source.name,
        'frames': len(names),
        'frames_digest': hashlib.sha256('\n'.join(names).encode()).hexdigest()[:16],
        'protocol': protocol.name,
        'models': {model.name: model.identity for model in models},
    }


def run(
    source: Source,
    names: Sequence[str],
    models: Sequence[Model],
    protocol: Protocol,
    out: Path,
    resume: bool = False,
    on_progress: OnProgress = lambda done, total: None,
) -> list[dict[str, Any]]:
    """Score the frames ``names`` and give their records in that order.

    Every record is appended to ``out/frames.jsonl`` at once and kept in memory only by its name,
    so that memory does not grow with the frames until all are read at the end. With ``resume``
    what is there already is kept; raises EvaluationError if it was made with other settings, or
    if the records cannot be written.
    """
    settings = run_settings(source, names, models, protocol)
    path = out / RECORDS
    kept = _read_records(path, settings) if resume and path.is_file() else {}
    # Rewriting also drops a last line that an interruption may have cut.
    lines = [settings, *kept.values()]
    with atomic_path(path) as temporary:
        temporary.write_text(''.join(json.dumps(line) + '\n' for line in lines))
    done = set(kept)
    del kept, lines
    on_progress(len(done), len(names))
    missing = {name for name in names if name not in done}
    # Without a buffer, which would fail once more when it is closed.
    with FileIO(path, 'a') as file:
        for frame in source.frames(missing) if missing else ():
            record = score_frame(frame, models, protocol)
            _append(file, record)
            done.add(frame.name)
            on_progress(len(done), len(names))
    records = _read_records(path, settings)
    return [records[name] for name in names if name in records]


def _append(file: FileIO, record: dict[str, Any]) -> None:
    line = (json.dumps(record) + '\n').encode()
    try:
        if file.write(line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        raise EvaluationError(
            f'{file.name} cannot be written ({error.strerror}); make room on the disk, and go on '
            'with --resume'
        ) from error


def _read_records(path: Path, settings: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Read the records of an interrupted run by frame name."""
    values = []
    for line in path.read_text().splitlines():
        try:
            values.append(json.loads(line))
        except json.JSONDecodeError:
            break
    if not values or values[0] != settings:
        raise EvaluationError(
            f'{path} is not from a run with these frames, models and this protocol; run without '
            '--resume or with another --out'
        )
    return {record['name']: record for record in values[1:]}
