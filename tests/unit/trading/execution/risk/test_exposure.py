"""Exposures: numbers by hand, and sums that a plain recount confirms."""

from hypothesis import given
from hypothesis import strategies as st
from made.execution import ASK, BID, A, intent
from made.plain_account import HandClock

from kalshi_platform.trading.execution.orders.positions import MarketPosition
from kalshi_platform.trading.execution.risk.exposure import (
    Working,
    fee_bound_e6,
    reserve_e6,
    worst_loss_e6,
)


def test_numbers_worked_by_hand():
    market = MarketPosition(A, 0)
    market.fill(BID, 4_200, 1_000, 170_000, 0)  # NO loses 4.37
    working = Working().plus(BID, 3_000, 500, 1_000).plus(ASK, 4_000, 2_000, 2_000)
    # NO: 4.37 + 5 x 0.30 + 0.003 = 5.873; YES: -5.63 + 20 x 0.40 + 0.003 = 2.373
    assert worst_loss_e6(market, working) == 5_873_000
    # bids reserve 1.50; asks cost 8.00, of which 10 close the position and are paid by it: 0; fees 0.003
    assert reserve_e6(1_000, working) == 1_503_000
    market.value_e4 = 0
    assert worst_loss_e6(market, working) == 0


def test_a_fee_is_bound_by_the_limit_price_and_one_step():
    wanted = intent(HandClock(), price_e4=5_000, qty_e2=100)
    assert fee_bound_e6(wanted, 70_000) == 17_500 + 100 + 100
    assert fee_bound_e6(wanted, 0) == 100 * 100 + 100  # in crumbs


orders = st.lists(
    st.tuples(st.sampled_from([BID, ASK]), st.integers(1, 9_999), st.integers(1, 999)), max_size=5
)


@given(orders, orders, st.integers(0, 500))
def test_the_worst_loss_is_the_worst_over_every_set_of_fills_and_both_outcomes(held, resting, fee):
    market, working = MarketPosition(A, 0), Working()
    for side, price, qty in held:
        market.fill(side, price, qty, fee, 0)
    for side, price, qty in resting:
        working = working.plus(side, price if side is BID else 10_000 - price, qty, fee)

    def result(fills, value):
        paid = sum((p if s is BID else 10_000 - p) * q + fee for s, p, q in fills)
        return sum(q * (value if s is BID else 10_000 - value) for s, _, q in fills) - paid

    worst = 0
    for chosen in range(2 ** len(resting)):
        fills = held + [each for n, each in enumerate(resting) if chosen >> n & 1]
        worst = max(worst, -result(fills, 0), -result(fills, 10_000))
    # The bound takes the fees of all orders, the worst set only those that fill.
    assert worst <= worst_loss_e6(market, working) <= worst + fee * len(resting)
