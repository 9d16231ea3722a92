"""Order groups: contracts matched within 15 s that exceed the limit cancel the group."""

import pytest
from made.core_exchange import SECOND_NS, open_exchange, told

IOC = {"time_in_force": "immediate_or_cancel"}


def with_group(limit_e2=500, **options):
    x = open_exchange(**options)
    group = x.create_group(0, limit_e2).order_id
    for price in (5_000, 5_100, 5_200):
        x.submit(0, 0, "ask", price, 400, group_id=group)
    x.read_tape()
    return x, group


def hit(x, qty_e2, at_ns=0):
    return x.submit(1, 0, "bid", 5_200, qty_e2, at_ns=at_ns, **IOC)


def test_a_group_at_its_limit_lives_and_beyond_it_falls():
    x, group = with_group()
    assert hit(x, 500).filled_e2 == 500
    assert len(x.open_orders(0)) == 2
    assert hit(x, 1).filled_e2 == 1
    assert x.open_orders(0) == []
    assert x.submit(0, 0, "ask", 5_000, 100, group_id=group).reason == "EXCEEDED_ORDER_GROUP_RISK_LIMIT"
    assert x.submit(0, 0, "ask", 5_000, 100).ok


def test_a_group_falls_in_the_middle_of_a_sweep_and_the_taker_finds_nothing_more():
    x, _ = with_group()
    answer = hit(x, 1_200)
    assert answer.filled_e2 == 800  # 400 and 400: the second fill exceeds the limit
    cancels = [row for row in told(x) if row[0] == "CANCEL"]
    assert [(row[2], row[3]) for row in cancels] == [
        (400, "EXCEEDED_ORDER_GROUP_RISK_LIMIT"),  # the maker's third order
        (400, "IOC_REMAINDER"),
    ]
    assert x.levels(0, "ask").size == 0


def test_matches_leave_the_window_after_fifteen_seconds():
    x, _ = with_group()
    hit(x, 300, at_ns=SECOND_NS)
    assert hit(x, 300, at_ns=16 * SECOND_NS).filled_e2 == 300  # the first is 15 s old: 300 in the window
    assert len(x.open_orders(0)) == 2
    hit(x, 300, at_ns=16 * SECOND_NS + 1)
    assert x.open_orders(0) == []


def test_a_reset_forgets_the_matches():
    x, group = with_group()
    hit(x, 800)
    assert x.reset_group(0, group).ok
    assert x.submit(0, 0, "ask", 5_000, 500, group_id=group).ok
    assert hit(x, 500).filled_e2 == 500
    assert x.submit(0, 0, "ask", 5_000, 100, group_id=group).ok


def test_a_limit_below_the_matches_of_the_window_triggers_at_once():
    x, group = with_group()
    hit(x, 400)
    assert x.limit_group(0, group, 400).ok
    assert len(x.open_orders(0)) == 2
    assert x.limit_group(0, group, 300).ok
    assert x.open_orders(0) == []


@pytest.mark.parametrize("act", ["trigger_group", "delete_group"])
def test_a_group_is_cancelled_by_hand(act):
    x, group = with_group()
    assert getattr(x, act)(0, group).ok
    assert x.open_orders(0) == []
    reason = "ORDER_GROUP_NOT_FOUND" if act == "delete_group" else "EXCEEDED_ORDER_GROUP_RISK_LIMIT"
    assert x.submit(0, 0, "ask", 5_000, 100, group_id=group).reason == reason


def test_the_takers_own_group_stops_it():
    x, group = with_group()
    x.submit(1, 0, "ask", 4_900, 700)
    x.submit(1, 0, "ask", 4_900, 700)
    answer = x.submit(0, 0, "bid", 4_900, 1_400, group_id=group)
    assert (answer.filled_e2, answer.ended) == (700, "EXCEEDED_ORDER_GROUP_RISK_LIMIT")
    assert x.open_orders(0) == []


def test_groups_belong_to_their_account_and_shard():
    x, group = with_group(n_markets=2, n_shards=2, shards=[0, 1])
    assert x.submit(1, 0, "bid", 4_000, 100, group_id=group).reason == "ORDER_GROUP_NOT_FOUND"
    assert x.submit(0, 1, "bid", 4_000, 100, group_id=group).reason == "ORDER_GROUP_NOT_FOUND"
    assert x.reset_group(1, group).reason == "ORDER_GROUP_NOT_FOUND"
    for limit in (0, 99, 150, 100_000_100):
        assert x.create_group(0, limit).reason == "INVALID_ORDER_GROUP_LIMIT"
    for _ in range(3):
        assert x.create_group(0, 100).ok
    assert x.create_group(0, 100).reason == "CORE_FULL"


def test_more_matches_than_the_ring_holds_trigger_rather_too_early():
    x, _ = with_group(limit_e2=600, matches=2)
    for second in (1, 6, 11, 17):
        hit(x, 200, at_ns=second * SECOND_NS)
    assert len(x.open_orders(0)) == 1
    # at 21.5 s the match of 6 s has left, which makes 600; but the ring has room for two and counts it with
    # the third, of 11 s
    hit(x, 200, at_ns=21 * SECOND_NS + SECOND_NS // 2)
    assert x.open_orders(0) == []
