# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest


@pytest.fixture
def rig():
    """Makes rigs that are closed at the end."""
    from rig import Rig

    rigs = []

    def make(*arguments, **options):
        rigs.append(Rig(*arguments, **options))
        return rigs[-1]

    yield make
    for made in rigs:
        made.close()
