"""Cash that orders hold and fills pay, by hand, while the fees of a market change under resting orders."""

import pytest
from made.core_exchange import cash_e6, open_exchange, position_e2, told

from kalshi_platform.domain.fee_schedule import FeeTerms

RISEN = FeeTerms(fee_type="quadratic_with_maker_fees")
FREE = FeeTerms(fee_multiplier_e6=0)


def without_spare_cash():
    """(exchange where account 0 bids for 10 contracts at 0.50 with all it has, the order's number)."""
    x = open_exchange()
    order = x.submit(0, 0, "bid", 5_000, 1_000).order_id
    assert x.deposit(0, 5_000_000 - 10**9).ok
    return x, order


def test_a_fill_pays_the_fees_of_its_own_time_on_both_sides():
    x = open_exchange()
    order = x.submit(0, 0, "bid", 5_000, 1_000).order_id
    assert x.set_fees(0, RISEN).ok
    assert x.order(order)["hold_e6"] == 0  # it came when makers paid nothing
    assert x.submit(1, 0, "ask", 5_000, 1_000, time_in_force="immediate_or_cancel").filled_e2 == 1_000
    # maker: 0.0175 * 10 * 0.25 = 0.04375; -5.04375 is aligned to -5.0438
    assert cash_e6(x, 0) == (10**9 - 5_043_800, 0)
    # taker: 0.07 * 10 * 0.25 = 0.175
    assert cash_e6(x, 1) == (10**9 - 5_175_000, 0)


def test_a_rise_between_two_fills_of_one_order_charges_the_second_alone():
    x = open_exchange()
    order = x.submit(0, 0, "bid", 5_000, 2_000).order_id
    x.submit(1, 0, "ask", 5_000, 1_000)
    assert cash_e6(x, 0) == (10**9 - 5_000_000, 5_000_000)
    x.set_fees(0, RISEN)
    x.submit(1, 0, "ask", 5_000, 400)
    # 0.0175 * 4 * 0.25 = 0.0175: no rounding. Left are 6: 3.00 and 0.02625 of fees and a step of 0.0001
    assert cash_e6(x, 0) == (10**9 - 5_000_000 - 2_017_500, 3_000_000 + 26_250 + 100)
    assert x.order(order)["hold_e6"] == 26_350


def test_fees_that_fall_are_not_charged_and_their_hold_ends_with_the_order():
    x = open_exchange(fee_type="quadratic_with_maker_fees")
    x.submit(0, 0, "bid", 5_000, 1_000)
    assert cash_e6(x, 0) == (10**9, 5_000_000 + 43_750 + 100)
    x.set_fees(0, FREE)
    x.submit(1, 0, "ask", 5_000, 1_000)
    assert cash_e6(x, 0) == (10**9 - 5_000_000, 0)
    assert cash_e6(x, 1) == (10**9 - 5_000_000, 0)


def test_an_order_that_cannot_pay_the_risen_fee_ends_and_does_not_fill():
    x, _ = without_spare_cash()
    x.set_fees(0, RISEN)
    told(x)
    assert x.submit(1, 0, "ask", 5_000, 100).left_e2 == 100
    assert ("CANCEL", "MARGIN_CANCEL") in [(row[0], row[3]) for row in told(x)]
    assert cash_e6(x, 0) == (5_000_000, 0)
    assert position_e2(x, 0) == 0


@pytest.mark.parametrize("way", ["decrease", "amend"])
def test_an_order_made_smaller_never_holds_more_for_fees_that_have_risen(way):
    x, order = without_spare_cash()
    x.set_fees(0, RISEN)
    answer = x.decrease(0, order, by_e2=1) if way == "decrease" else x.amend(0, order, 0, "bid", 5_000, 999)
    assert answer.ok
    assert cash_e6(x, 0) == (5_000_000, 4_995_000)  # 9.99 at 0.50


def test_an_order_made_larger_holds_for_the_fees_of_now_or_is_refused():
    x = open_exchange(cash_e6=10_100_000)
    order = x.submit(0, 0, "bid", 5_000, 1_000).order_id
    x.set_fees(0, RISEN)
    # 20 at 0.50: 10.00 and 0.0875 and a step; 20.02 cost 10.01 and 0.0875875
    assert x.amend(0, order, 0, "bid", 5_000, 2_003).reason == "INSUFFICIENT_BALANCE"
    assert x.amend(0, order, 0, "bid", 5_000, 2_000).ok
    assert cash_e6(x, 0) == (10_100_000, 10_000_000 + 87_500 + 100)
