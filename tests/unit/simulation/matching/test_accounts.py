"""Cash, reserves and netting against numbers worked by hand."""

import pytest
from made.core_exchange import cash_e6, open_exchange, position_e2, told

from kalshi_platform.domain.market import PriceBand
from kalshi_platform.simulation.matching import accounts

FINE = (PriceBand(start_e4=0, end_e4=10_000, step_e4=1),)
MAKER_FEES = "quadratic_with_maker_fees"


def test_a_resting_bid_reserves_its_price_and_an_ask_the_rest_of_the_dollar():
    x = open_exchange()
    x.submit(0, 0, "bid", 4_300, 1_000)
    x.submit(1, 0, "ask", 4_400, 500)
    assert cash_e6(x, 0) == (10**9, 4_300_000)  # 10 x 0.43
    assert cash_e6(x, 1) == (10**9, 2_800_000)  # 5 x 0.56


def test_a_cancel_gives_the_reserve_back():
    x = open_exchange()
    order = x.submit(0, 0, "bid", 4_300, 1_000).order_id
    assert x.cancel(0, order).reduced_e2 == 1_000
    assert cash_e6(x, 0) == (10**9, 0)


def test_a_fill_moves_cash_to_the_collateral_of_the_pair():
    x = open_exchange()
    x.submit(0, 0, "bid", 4_300, 1_000)
    x.submit(1, 0, "ask", 4_300, 1_000)
    # maker: 4.30; taker: 5.70 and 0.07 x 10 x 0.43 x 0.57 = 0.17157, up to the next 0.0001
    assert cash_e6(x, 0) == (10**9 - 4_300_000, 0)
    assert cash_e6(x, 1) == (10**9 - 5_700_000 - 171_600, 0)
    assert (position_e2(x, 0), position_e2(x, 1)) == (1_000, -1_000)
    assert int(x.core.markets[0]["open_interest_e2"]) == 1_000


def test_whoever_sells_what_it_holds_needs_no_cash_and_is_paid_the_price():
    x = open_exchange()
    x.submit(0, 0, "bid", 4_300, 1_000)
    x.submit(1, 0, "ask", 4_300, 1_000)
    spent = cash_e6(x, 0)[0]
    x.submit(0, 0, "ask", 6_000, 1_000)
    assert cash_e6(x, 0) == (spent, 0)
    x.submit(1, 0, "bid", 6_000, 1_000)
    assert cash_e6(x, 0) == (spent + 6_000_000, 0)
    assert position_e2(x, 0) == position_e2(x, 1) == 0
    assert int(x.core.markets[0]["open_interest_e2"]) == 0


def test_selling_more_than_is_held_closes_first_and_then_buys_no():
    x = open_exchange()
    x.submit(0, 0, "bid", 4_000, 300)
    x.submit(1, 0, "ask", 4_000, 300)
    before = cash_e6(x, 0)[0]
    x.submit(0, 0, "ask", 5_000, 1_000)
    # all ten cost 5.00, three of them bring a dollar back: 2.00
    assert cash_e6(x, 0)[1] == 2_000_000
    x.submit(1, 0, "bid", 5_000, 1_000)
    assert position_e2(x, 0) == -700
    # three sold at 0.50, seven NO bought at 0.50
    assert cash_e6(x, 0) == (before + 1_500_000 - 3_500_000, 0)


def test_an_order_beyond_the_cash_is_refused_with_fees_counted():
    x = open_exchange(cash_e6=10_000_000)
    assert x.submit(0, 0, "bid", 5_000, 2_000).reason == "INSUFFICIENT_BALANCE"  # 10.00, and a taker's fee
    # 19.3 contracts cost 9.65 and at most 0.337750 + 0.0001
    assert x.submit(0, 0, "bid", 5_000, 1_930).ok
    assert x.submit(0, 0, "bid", 100, 100).ok  # 0.01 for one contract at a cent
    assert x.submit(0, 0, "bid", 5_000, 100).reason == "INSUFFICIENT_BALANCE"


def test_the_fee_accumulator_of_an_order_gives_rounding_back_as_in_the_exchanges_own_example():
    # docs/exchange.md, "Fees": 12.50 at 0.437, then 3.25 and 0.25 at 0.438 as taker
    x = open_exchange(bands=FINE)
    for price, qty in ((4_370, 1_250), (4_380, 325)):
        x.submit(1, 0, "ask", price, qty)
    x.submit(2, 0, "ask", 4_380, 25)
    x.read_tape()
    x.submit(0, 0, "bid", 4_380, 1_600)
    fills = [r for r in x.read_tape() if r["maker_id"] >= 0]
    assert [int(r["fee_e6"]) for r in fills] == [215_300, 56_000, 4_300]
    assert cash_e6(x, 0)[0] == 10**9 - 5_677_800 - 1_479_500 - 113_800


def test_a_maker_that_cannot_pay_the_rounding_is_cancelled_and_the_next_one_filled():
    x = open_exchange(bands=FINE)
    poor = x.submit(0, 0, "bid", 4_337, 100).order_id
    x.submit(1, 0, "bid", 4_337, 100)
    held = cash_e6(x, 0)[1]
    assert held == 433_700 + 100  # and one step of the balance, because 0.004337 lies between two
    x.deposit(0, held - cash_e6(x, 0)[0])
    x.read_tape()
    # each bite of 0.01 contract costs 0.0044 instead of 0.004337: the step that was held pays the first one's
    # rounding and not the second's
    for _ in range(3):
        x.submit(2, 0, "ask", 4_337, 1)
    rows = told(x)
    assert ("CANCEL", poor, 99, "MARGIN_CANCEL") in rows
    assert position_e2(x, 2) == -3
    assert cash_e6(x, 0)[0] >= 0


@pytest.mark.parametrize(
    ("position", "side", "qty", "cost", "reserve"),
    [
        (0, 0, 100, 430_000, 430_000),
        (-100, 0, 100, 430_000, 0),  # every contract closes a NO and brings a dollar
        (-40, 0, 100, 430_000, 30_000),
        (500, 0, 100, 430_000, 430_000),
        (40, 1, 100, 570_000, 170_000),
    ],
)
def test_reserve_of_one_side(position, side, qty, cost, reserve):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accounts, "closes_e2", accounts.closes_e2.py_func)
        assert accounts.reserve_e6.py_func(position, side, qty, cost) == reserve


def test_maker_fees_are_held_while_the_order_rests():
    x = open_exchange(fee_type=MAKER_FEES)
    x.submit(0, 0, "bid", 5_000, 1_000)
    # 5.00, 0.0175 x 10 x 0.25 = 0.04375 and one step
    assert cash_e6(x, 0)[1] == 5_000_000 + 43_750 + 100
    x.submit(1, 0, "ask", 5_000, 1_000)
    assert cash_e6(x, 0) == (10**9 - 5_000_000 - 43_800, 0)
