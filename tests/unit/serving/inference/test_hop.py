"""Tier 3 inside the replica costs no hop, behind one it does."""

import math

from kalshi_platform.serving.inference.hop import hop_ms, is_asked_inside


def test_a_replica_asks_its_own_tier_3_where_that_is_quicker_than_the_bound():
    assert is_asked_inside(0.99, 1.0)
    assert not is_asked_inside(1.0, 1.0)
    assert not is_asked_inside(0.0, 0.0)  # 0: always the deployment
    assert not is_asked_inside(math.inf, 1.0)  # not measured


def test_only_behind_a_hop_the_overhead_is_paid():
    assert hop_ms(0.02, 1.0, 0.8) == 0.0
    assert hop_ms(1.5, 1.0, 0.8) == 0.8
