# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What became of the frames of a replay, counted by reason."""

from types import SimpleNamespace

import pytest

from sg_depth_ros.replay.result import Replayed


def replayed(sent=10, answered=(), **status) -> Replayed:
    inputs = SimpleNamespace(total=14, left_out=1, broken=2)
    names = {name.replace('_', ' '): str(count) for name, count in status.items()}
    return Replayed(inputs, frames_in=sent, answered=set(answered), status=names)


def test_every_frame_is_counted_once() -> None:
    result = replayed(answered=range(4), received=9, bad=2, dropped_busy=2, published=5)
    result.bad_example = 'half an image'
    assert result.lost == {
        'broken messages in the bag': 2,
        'recorded at another time than all others': 1,
        'not played any more': 3,
        'could not be decoded (half an image)': 2,
        'dropped, since a newer one came while the node was busy': 2,
        'not taken in by the node: a newer one came first, or DDS lost them': 1,
        'taken in, but no depth came back in time': 1,
    }
    assert result.frames_out + sum(result.lost.values()) == 14 + 2


@pytest.mark.parametrize('count', [3, 99])
def test_counts_of_the_node_never_exceed_what_is_missing(count: int) -> None:
    """The node may have counted the first frames of somebody else, or lag behind."""
    result = replayed(sent=13, answered=range(10), received=13, bad=count, failed=7)
    assert result.lost['could not be decoded'] == 3
    assert sum(result.lost.values()) == 3 + 2 + 1


def test_withheld_frames_have_the_usual_reason() -> None:
    result = replayed(sent=13, answered=range(9), received=13)
    # A frame may be withheld, and its depth come after all when it is played again.
    result.withheld = {8: 'no road', 20: 'no road', 21: 'first image', 22: 'no road'}
    reasons = result.lost
    assert reasons['withheld, since the scale was not known: no road'] == 3
    assert reasons['taken in, but no depth came back in time'] == 1


def test_the_node_is_done_when_it_has_dealt_with_all_that_was_sent() -> None:
    assert replayed(received=10, published=7, withheld=1, bad=2).node_is_done
    assert not replayed(received=9, published=9).node_is_done  # one is under way
    assert not replayed(received=10, published=9).node_is_done  # one is in work
    assert not replayed().node_is_done  # nothing has been heard
