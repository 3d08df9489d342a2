# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Exceptions as sentences."""

from __future__ import annotations


def sentence(error: BaseException) -> str:
    """Give what an exception says, in one line and never empty.

    Python's own errors, but those that are raised to be read, have their kind before them:
    ``KeyError('x')`` alone says ``'x'``.
    """
    text, kind = ' '.join(str(error).split()), type(error)
    readable = isinstance(error, ValueError | RuntimeError | OSError)
    if text and (readable or kind.__module__ != 'builtins'):
        return text
    return f'{kind.__name__}: {text}' if text else kind.__name__
