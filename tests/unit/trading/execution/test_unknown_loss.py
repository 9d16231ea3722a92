"""Loss of orders of unknown outcome, beside a plain count over everything that may have filled."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made.execution import ASK, BID, A
from made.plain_account import START_NS

from kalshi_platform.trading.execution.orders.intents import Intent
from kalshi_platform.trading.execution.orders.order import Order
from kalshi_platform.trading.execution.orders.positions import MarketPosition
from kalshi_platform.trading.execution.unknown_loss import unknown_loss_e6

PRICES = st.integers(1, 9_999)
SIDES = st.tuples(st.none() | PRICES, st.none() | PRICES)
ORDERS = st.lists(
    st.tuples(st.sampled_from([BID, ASK]), PRICES, st.integers(1, 3_000), st.integers(0, 50_000)), max_size=4
)


def order(side, price_e4, qty_e2, fee_e6=0):
    return Order(1, "kp-a-1", Intent(A, side, price_e4, qty_e2, START_NS), 0, 0, fee_bound_e6=fee_e6)


def market(position_e2=0, mark_e4=None, *, is_at_cost=False):
    return MarketPosition(A, 0, position_e2, mark_e4=mark_e4, is_at_cost=is_at_cost)


# (position, its mark, (best bid, best ask), orders, loss), 1e-2 contract, 1e-4 dollar, 1e-6 dollar
BY_HAND = {
    # 10 bought at 0.35 where 0.30 could be had
    "an opening bid": (0, None, (3_000, 3_100), [(BID, 3_500, 1_000)], 1_000 * 500),
    "an opening ask": (0, None, (3_000, 3_100), [(ASK, 2_600, 1_000)], 1_000 * 500),
    "no bid to sell to": (0, None, (None, 3_100), [(BID, 3_500, 1_000)], 1_000 * 3_500),
    "no price seen": (0, None, None, [(ASK, 2_600, 1_000)], 1_000 * 7_400),
    # 100 YES worth 0.40 are sold at 0.40, or at 0.37: who offers YES is nothing to it
    "an exit at the mark": (10_000, 4_000, (4_000, None), [(ASK, 4_000, 10_000)], 0),
    "an exit below it": (10_000, 4_000, (4_000, None), [(ASK, 3_700, 10_000)], 10_000 * 300),
    "an exit of a NO": (-10_000, 6_000, (None, 6_000), [(BID, 6_200, 4_000)], 4_000 * 200),
    # 60 close at 0.03 below the mark; 40 more are NO bought at 0.63, worth 0.45
    "more than is held": (6_000, 4_000, (4_000, 5_500), [(ASK, 3_700, 10_000)], 6_000 * 300 + 4_000 * 1_800),
    # two exits of 60 of 100: 20 of the second open
    "two exits": (
        10_000, 4_000, (4_000, 5_000), [(ASK, 4_000, 6_000), (ASK, 3_900, 6_000)], 6_000 * 100 + 2_000 * 1_000
    ),
    "a gain": (0, None, (9_000, 9_100), [(BID, 3_500, 1_000)], 0),
    # as the process before left it: 100 YES at its saved mark, no price seen
    "an exit at a saved mark": (10_000, 4_000, None, [(ASK, 3_700, 10_000)], 10_000 * 300),
    "more at a saved mark": (10_000, 4_000, None, [(BID, 4_100, 1_000)], 1_000 * 100),
}  # fmt: skip


@pytest.mark.parametrize("case", BY_HAND.values(), ids=BY_HAND)
def test_losses_by_hand(case):
    position_e2, mark_e4, prices, orders, loss_e6 = case
    assert unknown_loss_e6(market(position_e2, mark_e4), [order(*each) for each in orders], prices) == loss_e6


def test_what_is_added_to_a_position_that_stands_at_its_cost_is_worth_nothing_without_a_bid():
    held = market(10_000, 9_000, is_at_cost=True)
    for prices in (None, (None, 9_500)):
        assert unknown_loss_e6(held, [order(BID, 5_000, 100)], prices) == 100 * 5_000
        assert unknown_loss_e6(held, [order(ASK, 8_000, 100)], prices) == 100 * 1_000


def test_a_market_that_was_paid_is_worth_what_it_paid():
    paid = market(10_000, 4_000)
    paid.value_e4 = 10_000
    assert unknown_loss_e6(paid, [order(BID, 9_000, 100)], (100, 200)) == 0
    assert unknown_loss_e6(paid, [order(ASK, 9_000, 100)], (100, 200)) == 100 * 1_000


def test_fees_count_whatever_the_price():
    orders = [order(BID, 3_500, 1_000, 7), order(BID, 3_500, 1_000, 5)]
    assert unknown_loss_e6(market(), orders, (9_000, 9_100)) == 12


def plain_worth_e6(end_e2, position_e2, mark_e4, prices):
    """Worth of a position of ``end_e2`` by the marks: contracts held, contracts added, contracts turned."""
    bid, ask = (0 if prices[0] is None else prices[0]), (10_000 if prices[1] is None else prices[1])
    if not position_e2:
        return end_e2 * (bid if end_e2 > 0 else ask)
    added_e4, turned_e4 = (bid, ask) if position_e2 > 0 else (ask, bid)
    if end_e2 * position_e2 <= 0:
        return end_e2 * turned_e4
    held_e2 = position_e2 if abs(end_e2) > abs(position_e2) else end_e2
    return held_e2 * mark_e4 + (end_e2 - held_e2) * added_e4


def plain_worst_e6(position_e2, mark_e4, prices, orders, parts):
    """Worst loss over all that may have filled, each at its limit: ``parts`` of each order, in halves."""
    worst_e6 = 0
    for fills in product(parts, repeat=len(orders)):
        end_e2, paid_e6 = position_e2, 0
        for half, (side, price_e4, qty_e2, fee_e6) in zip(fills, orders, strict=True):
            signed_e2 = (qty_e2 * half // 2) * (1 if side is BID else -1)
            end_e2 += signed_e2
            paid_e6 += signed_e2 * price_e4 + fee_e6
        before_e6 = plain_worth_e6(position_e2, position_e2, mark_e4, prices)
        worst_e6 = max(worst_e6, before_e6 - plain_worth_e6(end_e2, position_e2, mark_e4, prices) + paid_e6)
    return worst_e6


@given(st.integers(-5_000, 5_000), PRICES, SIDES, ORDERS)
def test_it_is_never_less_than_the_worst_of_all_that_may_have_filled(position_e2, cost_e4, prices, orders):
    """Also where the book is crossed, and where a position stands at its cost beside an empty side."""
    best_e4 = prices[0] if position_e2 > 0 else prices[1]
    held = market(position_e2, cost_e4 if best_e4 is None else best_e4, is_at_cost=best_e4 is None)
    loss_e6 = unknown_loss_e6(held, [order(*each) for each in orders], prices)
    assert loss_e6 >= plain_worst_e6(position_e2, held.mark_e4, prices, orders, (0, 1, 2))


@given(st.integers(-5_000, 5_000), PRICES, PRICES, ORDERS)
def test_it_is_the_worst_of_all_that_may_have_filled(position_e2, one_e4, other_e4, orders):
    prices = (min(one_e4, other_e4), max(one_e4, other_e4))
    held = market(position_e2, prices[0] if position_e2 > 0 else prices[1])
    loss_e6 = unknown_loss_e6(held, [order(*each) for each in orders], prices)
    assert loss_e6 == plain_worst_e6(position_e2, held.mark_e4, prices, orders, (0, 2))
