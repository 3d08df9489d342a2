# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0

import numpy as np

from sg_depth_ros.training.data.order import OrderedSampler, sample_order


def test_sources_get_their_share_and_show_all_before_any_again():
    order = sample_order([10, 500], [3.0, 1.0], 4000, seed=1)
    first = order[order < 10]
    assert abs(len(first) / 4000 - 0.75) < 0.03
    for start in range(0, len(first) // 10 * 10, 10):
        assert sorted(first[start : start + 10]) == list(range(10))
    second = order[order >= 10]
    assert len(set(second[:500])) == 500
    assert second.max() == 509


def test_the_order_depends_on_the_seed_alone():
    same = [sample_order([7, 5], [1, 2], 100, seed=3) for _ in range(2)]
    np.testing.assert_array_equal(*same)
    assert (same[0] != sample_order([7, 5], [1, 2], 100, seed=4)).any()


def test_a_resumed_sampler_goes_on_where_it_stopped():
    order = sample_order([9], [1], 40, seed=0)
    whole = list(OrderedSampler(order, 0, batch=4))
    assert [draw.sample for draw in whole] == order.tolist()
    assert len({draw.seed for draw in whole}) == 40
    resumed = OrderedSampler(order, 0, batch=4, start=6)
    assert list(resumed) == whole[24:]
    assert len(resumed) == 40


def test_processes_share_each_global_batch():
    order = sample_order([9], [1], 40, seed=0)
    whole = list(OrderedSampler(order, 0, batch=4))
    shares = [list(OrderedSampler(order, 0, 2, rank=rank, world=2)) for rank in (0, 1)]
    for step in range(10):
        together = [draw for share in shares for draw in share[2 * step : 2 * step + 2]]
        assert together == whole[4 * step : 4 * step + 4]
