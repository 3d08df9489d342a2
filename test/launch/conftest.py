# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest
from installation import Installation


@pytest.fixture
def installation(tmp_path):
    """One without programs."""
    return Installation(tmp_path / 'installed')
