# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Monocular depth guided by semantics, for robots.

    from sg_depth_ros import Estimator, PinholeCamera

    estimator = Estimator.load('sg_depth_small')
    prediction = estimator.predict(rgb, PinholeCamera.from_json('camera.json'))

What is named here is imported when it is first used, so that the package itself imports nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sg_depth_ros.bundle import Bundle, load_bundle
    from sg_depth_ros.estimator import Estimator, Prediction
    from sg_depth_ros.geometry.camera import PinholeCamera

__version__ = '0.1.0'
"""The only place of the version in code; package.xml and CHANGELOG.rst agree with it."""

__all__ = [
    'Bundle',
    'Estimator',
    'PinholeCamera',
    'Prediction',
    '__version__',
    'load_bundle',
]

_HOMES = {
    'Bundle': 'bundle',
    'Estimator': 'estimator',
    'PinholeCamera': 'geometry.camera',
    'Prediction': 'estimator',
    'load_bundle': 'bundle',
}


def __getattr__(name: str) -> Any:
    """Import a public name from the module that defines it."""
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    value = globals()[name] = getattr(import_module(f'{__name__}.{_HOMES[name]}'), name)
    return value


def __dir__() -> list[str]:
    """List the public names, those that are not imported yet among them."""
    return sorted({*globals(), *__all__})
