"""Cancel, decrease and amend, and the place in the queue after each."""

import pytest
from made.core_exchange import cash_e6, open_exchange

from kalshi_platform.domain.errors import ContractError


def two_in_a_queue(**options):
    x = open_exchange(**options)
    first, second = (x.submit(0, 0, "bid", 4_000, 100).order_id for _ in range(2))
    return x, first, second


def ahead(x, order):
    return x.order(order)["ahead_e2"]


def test_a_cancelled_order_is_gone_and_cannot_be_cancelled_again():
    x, first, second = two_in_a_queue()
    assert x.cancel(1, first).reason == "ORDER_NOT_FOUND"  # another's
    assert x.cancel(0, first).reduced_e2 == 100
    assert x.cancel(0, first).reason == "ORDER_NOT_FOUND"
    assert ahead(x, second) == 0
    assert x.cancel(0, 10**15).reason == x.cancel(0, -1).reason == "ORDER_NOT_FOUND"


@pytest.mark.parametrize(("keeps", "first_in_line"), [(True, True), (False, False)])
def test_the_place_after_a_decrease_is_a_switch(keeps, first_in_line):
    x, first, second = two_in_a_queue(decrease_keeps_place=keeps)
    assert x.decrease(0, first, to_e2=60).left_e2 == 60
    assert (ahead(x, first) == 0) is first_in_line
    assert x.decrease(0, second, by_e2=99).reduced_e2 == 99


def test_an_increase_loses_the_place():
    x, first, second = two_in_a_queue()
    assert x.amend(0, first, 0, "bid", 4_000, 150).left_e2 == 150
    assert (ahead(x, second), ahead(x, first)) == (0, 100)


def test_an_amend_of_the_expiry_alone_keeps_the_place():
    x, first, _ = two_in_a_queue()
    assert x.amend(0, first, 0, "bid", 4_000, 100, expiry_ns=10).ok
    assert ahead(x, first) == 0
    x.wait(10)
    assert x.order(first) is None


@pytest.mark.parametrize(("keeps", "contracts_ahead"), [(False, 100), (True, 0)])
def test_the_place_after_a_change_of_price_is_a_switch(keeps, contracts_ahead):
    x = open_exchange(reprice_keeps_place=keeps)
    old = x.submit(0, 0, "bid", 4_000, 100).order_id
    x.submit(1, 0, "bid", 4_100, 100)
    assert x.amend(0, old, 0, "bid", 4_100, 100).ok
    assert ahead(x, old) == contracts_ahead


def test_the_count_of_an_amend_includes_what_was_filled():
    x, first, _ = two_in_a_queue()
    x.submit(1, 0, "ask", 4_000, 30)
    assert x.amend(0, first, 0, "bid", 4_000, 30).reason == "INVALID_ORDER_SIZE"
    assert x.amend(0, first, 0, "bid", 4_000, 50).left_e2 == 20


def test_an_amend_that_crosses_trades_under_the_same_number():
    x, first, _ = two_in_a_queue()
    x.submit(1, 0, "ask", 5_000, 60)
    answer = x.amend(0, first, 0, "bid", 5_000, 100)
    assert (answer.order_id, answer.filled_e2, answer.left_e2) == (first, 60, 40)
    assert cash_e6(x, 0)[1] == 4_000 * 100 + 5_000 * 40


def test_an_amend_is_refused_with_the_exchanges_reasons():
    x, first, _ = two_in_a_queue(n_markets=2)
    x.submit(1, 0, "ask", 5_000, 60)
    assert x.amend(0, first, 1, "bid", 4_000, 100).reason == "ORDER_TICKER_MISMATCH"
    assert x.amend(0, first, 0, "ask", 4_000, 100).reason == "ORDER_SIDE_MISMATCH"
    assert x.amend(0, first, 0, "bid", 4_050, 100).reason == "INVALID_PRICE"
    assert x.amend(0, first, 0, "bid", 4_000, 10**8).reason == "INSUFFICIENT_BALANCE"
    post = x.submit(0, 0, "bid", 4_900, 100, post_only=True).order_id
    assert x.amend(0, post, 0, "bid", 5_000, 100).reason == "POST_ONLY_CROSS"


def test_a_decrease_takes_one_size_and_never_makes_larger():
    x, first, _ = two_in_a_queue()
    with pytest.raises(ContractError, match="exactly one"):
        x.decrease(0, first)
    assert x.decrease(0, first, to_e2=100).reason == "INVALID_ORDER_SIZE"
    assert x.decrease(0, first, to_e2=0).ended == "DECREASE_CANCEL"


def test_cancel_all_takes_every_order_of_the_account_and_no_other():
    x, _, _ = two_in_a_queue()
    other = x.submit(1, 0, "bid", 3_900, 100).order_id
    assert x.cancel_all(0).reduced_e2 == 2
    assert x.open_orders() == [other]
