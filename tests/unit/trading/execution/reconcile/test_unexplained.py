"""Money of a change that no fill explains: every case by hand, and that no change makes a result."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made.execution import A

from kalshi_platform.trading.execution.orders.positions import MarketPosition, payout_e6
from kalshi_platform.trading.execution.reconcile.unexplained import corrections, cost_from_nothing_e6

# (ours, cost of one, mark of YES, theirs, cost of theirs as told, what the market paid, result at the mark,
#  cost of the position then): 1e-2 contract, 1e-4 dollar a contract of the own side, 1e-6 dollar
BY_HAND = {
    # 60 of 100 YES at 0.10 are gone, the bid is 0.10: they brought 6.00 and no result
    "shrank": (10_000, 1_000, 1_000, 4_000, 4_000_000, None, 0, 4_000_000),
    "shrank after a gain": (10_000, 1_000, 6_000, 4_000, 4_000_000, None, -6_000 * 5_000, 4_000_000),
    "shrank after a loss": (10_000, 9_000, 1_000, 4_000, 36_000_000, None, 0, 36_000_000),
    # 60 of 100 NO at 0.30 are gone, the ask is 0.70 (nothing won), 0.20 (0.50 won), 0.90 (0.20 lost)
    "NO shrank": (-10_000, 3_000, 7_000, -4_000, 12_000_000, None, 0, 12_000_000),
    "NO shrank after a gain": (-10_000, 3_000, 2_000, -4_000, 12_000_000, None, -6_000 * 5_000, 12_000_000),
    "NO shrank after a loss": (-10_000, 3_000, 9_000, -4_000, 12_000_000, None, 0, 12_000_000),
    "went to zero": (10_000, 1_000, 6_000, 0, 0, None, -10_000 * 5_000, 0),
    "NO went to zero": (-10_000, 3_000, 9_000, 0, 0, None, 0, 0),
    # 60 came; all 100 cost 34.00 by the exchange, the first 40 cost 4.00: 30.00, which is 12.00 too dear
    "grew dear": (4_000, 1_000, 3_000, 10_000, 34_000_000, None, -12_000_000, 34_000_000),
    "grew cheap": (4_000, 1_000, 3_000, 10_000, 10_000_000, None, 0, 4_000_000 + 6_000 * 3_000),
    "grew, cost not told": (4_000, 1_000, 3_000, 10_000, 0, None, 0, 4_000_000 + 6_000 * 3_000),
    "grew beyond a dollar each": (4_000, 1_000, 3_000, 10_000, 10**9, None, -6_000 * 7_000, 64_000_000),
    "NO grew": (-4_000, 3_000, 6_000, -10_000, 30_000_000, None, 0, 12_000_000 + 6_000 * 4_000),
    # from nothing: at what it cost, whatever it is worth; a dollar each where nobody tells
    "came": (0, 0, 6_000, 2_550, 1_000_000, None, 0, 1_000_000),
    "NO came": (0, 0, 6_000, -2_550, 1_000_000, None, 0, 1_000_000),
    "came, cost not told": (0, 0, None, 2_550, 0, None, 0, 25_500_000),
    # 100 YES at 0.10 left at their cost, 40 NO came at 0.30
    "turned round": (10_000, 1_000, 1_000, -4_000, 12_000_000, None, 0, 12_000_000),
    "turned round after a gain": (-10_000, 3_000, 2_000, 4_000, 800_000, None, -10_000 * 5_000, 800_000),
    # paid 0: 60 of 100 at 0.50 brought nothing. Paid 1: they brought the mark, 0.49, and no dollar
    "paid nothing": (10_000, 5_000, 4_900, 4_000, 0, 0, -6_000 * 4_900, 20_000_000),
    "paid a dollar": (10_000, 5_000, 4_900, 4_000, 0, 10_000, 0, 20_000_000),
    "NO paid nothing": (-10_000, 5_000, 5_100, -4_000, 0, 10_000, -6_000 * 4_900, 20_000_000),
    "paid, grew": (4_000, 5_000, 4_900, 10_000, 0, 10_000, -6_000 * 5_100, 20_000_000 + 60_000_000),
    "paid, came": (0, 0, 4_900, -4_000, 0, 2_500, 0, 4_000 * 7_500),
}  # fmt: skip


def market_of(position_e2, each_e4, mark_e4):
    market = MarketPosition(A, 0)
    if position_e2:
        market.correct(position_e2, each_e4 * abs(position_e2), 1)
    market.mark_e4 = mark_e4
    return market


def take_over(market, theirs_e2, told_e6, value_e4):
    for change_e2, cost_e6 in corrections(market, theirs_e2, told_e6, value_e4):
        market.correct(change_e2, cost_e6, 2)


@pytest.mark.parametrize("case", BY_HAND.values(), ids=BY_HAND)
def test_changes_by_hand(case):
    ours_e2, each_e4, mark_e4, theirs_e2, told_e6, value_e4, result_e6, cost_e6 = case
    market = market_of(ours_e2, each_e4, mark_e4)
    before_e6 = market.pnl_e6
    take_over(market, theirs_e2, told_e6, value_e4)
    assert (market.position_e2, market.cost_e6) == (theirs_e2, cost_e6)
    assert abs(market.pnl_e6 - before_e6 - result_e6) < max(abs(theirs_e2), 1)  # a mark is whole


def test_what_does_not_differ_is_not_corrected():
    assert corrections(market_of(100, 4_000, 5_000), 100, 5) == []
    assert corrections(MarketPosition(A, 0), 0) == []


def test_a_cost_below_nothing_is_none():
    assert cost_from_nothing_e6(-250, -1) == 2_500_000


POSITIONS, PRICES = st.integers(-5_000, 5_000), st.integers(0, 10_000)


@given(POSITIONS, PRICES, PRICES, POSITIONS, st.integers(-10, 10**8), st.none() | PRICES)
def test_no_change_raises_the_result_at_any_price_that_is_known(ours, each, mark, theirs, told, value):
    """Neither what was ours nor what came is worth more than before: at the mark, and at what was paid."""
    market = market_of(ours, each, mark)
    parts = corrections(market, theirs, told, value)
    assert sum(change_e2 for change_e2, _ in parts) == theirs - ours
    for change_e2, cost_e6 in parts:
        is_from_nothing = not market.position_e2
        prices = {value, None if is_from_nothing else market.mark_e4} - {None}
        before = {price: market.if_no_e6 + market.position_e2 * price for price in prices}
        market.correct(change_e2, cost_e6, 2)
        after = {price: market.if_no_e6 + market.position_e2 * price for price in prices}
        assert all(after[price] <= before[price] for price in prices)
        assert 0 <= cost_e6 <= 10_000 * abs(change_e2)
        if is_from_nothing:  # worth its cost until a price is seen
            assert 0 <= cost_e6 - payout_e6(market.position_e2, market.mark_e4) < abs(change_e2)
    assert market.position_e2 == theirs
