# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""When the node has a bond to Nav2's lifecycle manager.

bondpy has no wheel: a stand-in with the names of its ``Bond`` shows when there is a bond, not that
the manager is content with it.
"""

from typing import ClassVar

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from lifecycle_msgs.msg import Transition

from sg_depth_ros.ros import manager_bond


class FakeBond:
    """Has what ``bondpy.bondpy.Bond`` of bond_core 4 has, as far as the node uses it."""

    made: ClassVar[list] = []

    def __init__(self, node, topic, bond_id, on_broken=None, on_formed=None):
        self.named = (node.get_name(), topic, bond_id)
        self.state = 'new'
        self.heartbeat_period = self.heartbeat_timeout = None
        FakeBond.made.append(self)

    def start(self):
        assert self.state == 'new'
        assert (self.heartbeat_period, self.heartbeat_timeout) == (0.25, 4.0)
        self.state = 'started'

    def shutdown(self):
        assert self.state == 'started'
        self.state = 'over'


@pytest.fixture
def bonds(monkeypatch):
    monkeypatch.setattr(FakeBond, 'made', [])
    monkeypatch.setattr(manager_bond, 'Bond', FakeBond)
    return FakeBond.made


def test_a_managed_node_has_a_bond_while_it_is_active(rig, bonds):
    made = rig(autostart=False)
    assert made.transition(Transition.TRANSITION_CONFIGURE)
    assert not bonds
    assert made.transition(Transition.TRANSITION_ACTIVATE)
    assert [(bond.named, bond.state) for bond in bonds] == [
        (('sg_depth', 'bond', 'sg_depth'), 'started')
    ]
    assert made.transition(Transition.TRANSITION_DEACTIVATE)
    assert [bond.state for bond in bonds] == ['over']
    assert made.transition(Transition.TRANSITION_ACTIVATE)
    assert made.transition(Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert [bond.state for bond in bonds] == ['over', 'over']


def test_a_node_that_starts_itself_has_none(rig, bonds):
    made = rig()
    made.until(lambda: made.node._active)
    assert not bonds


def test_without_bondpy_the_states_change_all_the_same(rig, monkeypatch):
    monkeypatch.setattr(manager_bond, 'Bond', None)
    made = rig(autostart=False)
    assert made.transition(Transition.TRANSITION_CONFIGURE)
    assert made.transition(Transition.TRANSITION_ACTIVATE)
    assert made.transition(Transition.TRANSITION_DEACTIVATE)
