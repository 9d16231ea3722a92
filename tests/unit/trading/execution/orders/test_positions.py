"""Positions and cash: numbers by hand, and the order of fills that changes nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made.execution import ASK, BID, A

from kalshi_platform.trading.execution.orders.positions import MarketPosition, fill_cash_out_e6, payout_e6


def test_numbers_worked_by_hand():
    # buy 10 YES at 0.42, fee 0.17: cash -4.37; YES pays 10 - 4.37 = 5.63, NO -4.37
    market = MarketPosition(A, 0)
    market.fill(BID, 4_200, 1_000, 170_000, 0)
    assert (market.flow_e6, market.if_yes_e6, market.if_no_e6) == (-4_370_000, 5_630_000, -4_370_000)
    # sell 15 at 0.50, fee 0: 10 close and bring 5.00, 5 are NO bought at 0.50 for 2.50
    market.fill(ASK, 5_000, 1_500, 0, 0)
    assert market.position_e2 == -500
    assert market.flow_e6 == -4_370_000 + 5_000_000 - 2_500_000
    # NO wins: 5 NO pay 5.00; in all -1.87 + 5.00
    market.value_e4 = 0
    assert market.cash_e6 == market.pnl_e6 == 3_130_000
    assert market.held_e2 == 0


@given(
    st.lists(
        st.tuples(
            st.sampled_from([BID, ASK]), st.integers(1, 9_999), st.integers(1, 5_000), st.integers(0, 999)
        )
    ),
    st.randoms(use_true_random=False),
    st.sampled_from([0, 10_000]),
)
def test_the_order_in_which_fills_arrive_changes_nothing(fills, random, value):
    """A plain count of YES and NO bought, each pair one dollar, gives the same cash."""
    first, other = MarketPosition(A, 0), MarketPosition(A, 0)
    shuffled = list(fills)
    random.shuffle(shuffled)
    for fill in fills:
        first.fill(*fill, 0)
    for fill in shuffled[: len(fills) // 2]:
        other.fill(*fill, 0)
    other.value_e4 = value  # the settlement is told before the last fills
    for fill in shuffled[len(fills) // 2 :]:
        other.fill(*fill, 0)
    first.value_e4 = value
    yes = sum(qty for side, _, qty, _ in fills if side is BID)
    no = sum(qty for side, _, qty, _ in fills if side is ASK)
    paid = sum((p if s is BID else 10_000 - p) * q + fee for s, p, q, fee in fills)
    plain = -paid + yes * value + no * (10_000 - value)
    assert first.cash_e6 == other.cash_e6 == first.pnl_e6 == plain


def test_cost_and_age_of_a_position_by_hand():
    market = MarketPosition(A, 0)
    told = []
    for at_ns, (side, price_e4, qty_e2) in enumerate(
        ((BID, 4_000, 300), (BID, 5_000, 100), (ASK, 6_000, 200), (ASK, 7_000, 500), (BID, 1_000, 300)), 1
    ):
        market.fill(side, price_e4, qty_e2, 9, at_ns)
        told.append((market.position_e2, market.cost_e6, market.opened_ns))
    assert told == [
        (300, 1_200_000, 1), (400, 1_700_000, 1), (200, 850_000, 1),
        (-300, 3_000 * 300, 4),  # 200 close, 300 NO are bought at 0.30
        (0, 0, 0),
    ]  # fmt: skip
    market.correct(200, 900_000, 6)
    assert (market.position_e2, market.cost_e6, market.opened_ns) == (200, 900_000, 6)
    market.correct(0, 0, 7)
    assert market.opened_ns == 6


def test_before_any_price_is_seen_the_last_fill_tells_the_mark():
    market = MarketPosition(A, 0)
    market.fill(BID, 6_000, 100, 0, 0)
    market.fill(BID, 2_000, 100, 0, 0)
    assert market.mark_e4 == 2_000
    assert market.pnl_e6 == -4_000 * 100  # two at 0.20, bought for 80 cents


def test_a_correction_knows_what_either_outcome_brings():
    market = MarketPosition(A, 0)
    market.correct(-300, 900_000, 5)  # 3 NO that cost 0.30 each
    assert (market.if_yes_e6, market.if_no_e6, market.position_e2) == (-900_000, 2_100_000, -300)
    assert market.mark_e4 == 7_000  # NO at 0.30 is YES at 0.70
    assert market.pnl_e6 == 0


def test_cash_that_leaves_is_the_own_sides_price_and_the_fee():
    assert fill_cash_out_e6(ASK, 9_000, 100, 7) == 100_007
    assert payout_e6(-250, 2_500) == 250 * 7_500


def test_the_time_of_the_last_close_is_kept():
    market = MarketPosition("M", 0)
    assert market.closed_ns is None
    market.fill(BID, 4_000, 100, 0, 10)
    assert (market.opened_ns, market.closed_ns) == (10, None)
    market.fill(ASK, 4_000, 100, 0, 20)
    assert (market.opened_ns, market.closed_ns) == (0, 20)
    market.fill(ASK, 4_000, 100, 0, 30)
    assert (market.opened_ns, market.closed_ns) == (30, 20)  # the last close, and its result
    assert market.closed_pnl_e6 == 0
    market.fill(BID, 3_000, 100, 5, 40)
    assert (market.closed_ns, market.closed_pnl_e6) == (40, 100 * 1_000 - 5)


@pytest.mark.parametrize(
    ("position_e2", "mark_e4", "worth_e6"), [(1_000, 4_000, 4_000_000), (-1_000, 4_000, 6_000_000)]
)
def test_a_position_is_worth_its_mark(position_e2, mark_e4, worth_e6):
    market = MarketPosition("M", 0, position_e2)
    assert market.worth_e6 == 0
    market.mark_e4 = mark_e4
    assert market.worth_e6 == worth_e6
    market.value_e4 = 10_000
    assert market.worth_e6 == 0


def test_a_position_that_was_taken_over_stands_at_its_cost_until_a_fill():
    market = MarketPosition(A, 0)
    market.fill(BID, 6_000, 100, 0, 0)
    market.fill(ASK, 6_000, 100, 0, 1)
    market.correct(200, 400_001, 2)
    assert (market.mark_e4, market.is_at_cost) == (
        2_000,
        True,
    )  # the last fill's price was another position's
    market.correct(200, 900_000, 3)
    assert (market.mark_e4, market.is_at_cost) == (2_000, True)
    market.fill(ASK, 7_000, 100, 0, 4)
    assert (market.mark_e4, market.is_at_cost) == (7_000, False)
    market.correct(100, 900_000, 5)
    assert (market.mark_e4, market.is_at_cost) == (7_000, False)
    market.correct(-400, 0, 6)
    assert (market.position_e2, market.is_at_cost) == (0, False)
