# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Model bundles: the folder that passes from training to the run-time, and what it holds."""

from sg_depth_ros.bundle.manifest import BundleError, Manifest, manifest_values
from sg_depth_ros.bundle.storage import (
    Bundle,
    add_metric,
    load_bundle,
    require_free,
    write_bundle,
)

__all__ = [
    'Bundle',
    'BundleError',
    'Manifest',
    'add_metric',
    'load_bundle',
    'manifest_values',
    'require_free',
    'write_bundle',
]
