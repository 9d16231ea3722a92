"""Self-trade prevention: an account never meets itself."""

import pytest
from made.core_exchange import open_exchange, position_e2, told


def own_behind_other():
    x = open_exchange()
    x.submit(1, 0, "ask", 5_000, 200)
    own = x.submit(0, 0, "ask", 5_100, 300).order_id
    x.submit(1, 0, "ask", 5_200, 200)
    x.read_tape()
    return x, own


def test_taker_at_cross_ends_the_arriving_order_and_its_fills_stand():
    x, own = own_behind_other()
    answer = x.submit(0, 0, "bid", 5_200, 700)
    assert (answer.filled_e2, answer.left_e2, answer.reduced_e2) == (200, 0, 500)
    assert answer.ended == "SELF_CROSS_ATTEMPT"
    assert x.order(own)["qty_e2"] == 300


def test_maker_cancels_the_resting_order_and_goes_on():
    x, own = own_behind_other()
    answer = x.submit(0, 0, "bid", 5_200, 700, self_trade_prevention="maker")
    assert (answer.filled_e2, answer.left_e2) == (400, 300)
    assert x.order(own) is None
    assert ("CANCEL", own, 300, "SELF_CROSS_ATTEMPT") in told(x)
    assert position_e2(x, 0) == 400


@pytest.mark.parametrize(("mode", "filled"), [("taker_at_cross", 200), ("maker", 400)])
def test_a_fill_or_kill_that_meets_its_own_order_counts_as_ioc(mode, filled):
    x, _ = own_behind_other()
    answer = x.submit(0, 0, "bid", 5_200, 700, time_in_force="fill_or_kill", self_trade_prevention=mode)
    assert (answer.reason, answer.filled_e2, answer.left_e2) == ("OK", filled, 0)


def test_a_taker_pays_the_price_that_rests_never_its_own_limit():
    x = open_exchange()
    x.submit(0, 0, "bid", 6_000, 100)
    x.submit(1, 0, "ask", 3_000, 100)
    assert {int(r["price_e4"]) for r in x.read_tape() if r["maker_id"] >= 0} == {6_000}
