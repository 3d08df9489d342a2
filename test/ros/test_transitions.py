# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lifecycle transitions that are not possible; until Jazzy rclpy raises at them."""

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rig import make_image, make_info


def ask(rig, kind, service, request):
    client = rig.peer.create_client(kind, f'sg_depth/{service}')
    assert client.wait_for_service(30)
    future = client.call_async(request)
    rig.until(future.done)
    return future.result()


@pytest.mark.parametrize(
    'transition',
    [
        Transition(id=Transition.TRANSITION_CONFIGURE),
        Transition(label='configure'),
        Transition(id=Transition.TRANSITION_CLEANUP),
        Transition(id=200),
        Transition(label='fly'),
    ],
)
def test_an_impossible_transition_is_refused_and_changes_nothing(rig, transition):
    """Nav2's lifecycle manager configures nodes that have started themselves."""
    made = rig()
    made.listen('depth/image_rect')
    made.connect()
    assert made.estimator
    assert not ask(
        made, ChangeState, 'change_state', ChangeState.Request(transition=transition)
    ).success
    assert ask(made, GetState, 'get_state', GetState.Request()).current_state.label == 'active'
    made.send(make_info())
    made.send(make_image())
    made.until(lambda: made.received['depth/image_rect'])


def test_possible_transitions_still_happen(rig):
    made = rig()
    for label, state in (('deactivate', 'inactive'), ('cleanup', 'unconfigured')):
        request = ChangeState.Request(transition=Transition(label=label))
        assert ask(made, ChangeState, 'change_state', request).success
        answer = ask(made, GetState, 'get_state', GetState.Request())
        assert answer.current_state.label == state
