"""Entry of orders: kinds, options, and the reasons of refusals."""

import pytest
from made.core_exchange import SECOND_NS, cash_e6, open_exchange, position_e2, told
from made.core_twins import FINE

from kalshi_platform.domain.market import PriceBand

IOC, FOK = {"time_in_force": "immediate_or_cancel"}, {"time_in_force": "fill_or_kill"}


def with_asks():
    x = open_exchange()
    x.submit(1, 0, "ask", 5_000, 200)
    x.submit(1, 0, "ask", 5_100, 200)
    x.read_tape()
    return x


def test_ioc_fills_what_it_can_and_the_rest_goes():
    x = with_asks()
    answer = x.submit(0, 0, "bid", 5_000, 500, **IOC)
    assert (answer.filled_e2, answer.left_e2, answer.reduced_e2, answer.ended) == (
        200,
        0,
        300,
        "IOC_REMAINDER",
    )
    assert x.levels(0, "bid").size == 0


def test_fok_fills_all_or_nothing():
    x = with_asks()
    assert x.submit(0, 0, "bid", 5_100, 401, **FOK).reason == "FOK_INSUFFICIENT_VOLUME"
    assert told(x) == []
    assert x.submit(0, 0, "bid", 5_000, 201, **FOK).reason == "FOK_INSUFFICIENT_VOLUME"
    assert x.submit(0, 0, "bid", 5_100, 400, **FOK).filled_e2 == 400


def test_post_only_is_refused_where_it_would_cross_and_rests_elsewhere():
    x = with_asks()
    assert x.submit(0, 0, "bid", 5_000, 100, post_only=True).reason == "POST_ONLY_CROSS"
    assert x.submit(0, 0, "bid", 4_900, 100, post_only=True).left_e2 == 100


def test_reduce_only_is_cut_to_the_position():
    x = with_asks()
    assert x.submit(0, 0, "bid", 5_000, 150).filled_e2 == 150
    x.submit(1, 0, "bid", 4_500, 900)
    x.read_tape()
    answer = x.submit(0, 0, "ask", 4_500, 600, reduce_only=True, **IOC)
    assert (answer.filled_e2, answer.reduced_e2, answer.ended) == (150, 450, "REDUCE_ONLY_CANCEL")
    assert position_e2(x, 0) == 0
    answer = x.submit(0, 0, "ask", 4_500, 600, reduce_only=True, **IOC)
    assert (answer.reason, answer.filled_e2, answer.reduced_e2) == ("OK", 0, 600)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"reduce_only": True}, "INVALID_ORDER"),
        ({"reduce_only": True, **FOK}, "INVALID_ORDER"),
        ({"post_only": True, **IOC}, "INVALID_ORDER"),
        ({"expiry_ns": 5 * SECOND_NS, **IOC}, "INVALID_ORDER"),
        ({"expiry_ns": SECOND_NS}, "INVALID_ORDER"),  # now
        ({"price_e4": 4_950}, "INVALID_PRICE"),
        ({"price_e4": 0}, "INVALID_PRICE"),
        ({"price_e4": 10_000}, "INVALID_PRICE"),
        ({"price_e4": -100}, "INVALID_PRICE"),
        ({"price_e4": 2**40}, "INVALID_PRICE"),
        ({"qty_e2": 0}, "INVALID_ORDER_SIZE"),
        ({"qty_e2": -100}, "INVALID_ORDER_SIZE"),
        ({"qty_e2": 10**12}, "INVALID_ORDER_SIZE"),
        ({"group_id": 7}, "ORDER_GROUP_NOT_FOUND"),
        ({"market": 1}, "UNKNOWN_MARKET"),
        ({"market": -1}, "UNKNOWN_MARKET"),
        ({"account": 3}, "UNKNOWN_ACCOUNT"),
        ({"account": -1}, "UNKNOWN_ACCOUNT"),
        ({"qty_e2": 10**9}, "INSUFFICIENT_BALANCE"),
    ],
)
def test_a_refusal_names_its_reason_and_changes_nothing(options, reason):
    x = with_asks()
    x.wait(SECOND_NS)
    order = {"account": 0, "market": 0, "side": "bid", "price_e4": 4_900, "qty_e2": 100} | options
    before = [array.copy() for array in x.core if array is not x.core.state]
    assert x.submit(**order).reason == reason
    assert all(
        (a == b).all() for a, b in zip(before, [a for a in x.core if a is not x.core.state], strict=True)
    )
    assert told(x) == []


def test_a_full_core_refuses_the_next_order():
    x = open_exchange(orders=2)
    for price in (4_000, 4_100):
        x.submit(0, 0, "bid", price, 100)
    assert x.submit(0, 0, "bid", 4_200, 100).reason == "CORE_FULL"
    x.cancel_all(0)
    assert x.submit(0, 0, "bid", 4_200, 100).ok


def test_an_empty_reduction_needs_no_cash():
    # at 0.4337 a fill could cost a step of the balance; nothing can fill, so nothing is asked for
    x = open_exchange(cash_e6=1, bands=FINE)
    order = x.submit(0, 0, "bid", 4_337, 17, time_in_force="immediate_or_cancel", reduce_only=True)
    assert (order.reason, order.ended, order.reduced_e2) == ("OK", "REDUCE_ONLY_CANCEL", 17)


def test_an_account_has_at_most_so_many_open_orders():
    x = open_exchange(most_open_orders=2)
    first, second = (x.submit(0, 0, "bid", price, 100).order_id for price in (4_000, 4_100))
    assert x.submit(0, 0, "bid", 4_200, 100).reason == "OPEN_ORDER_LIMIT"
    assert x.submit(1, 0, "bid", 4_200, 100).ok  # the cap is an account's
    assert x.submit(0, 0, "ask", 4_200, 100, time_in_force="immediate_or_cancel").filled_e2 == 100
    assert x.amend(0, first, 0, "bid", 3_900, 100).ok
    assert x.submit(2, 0, "ask", 4_100, 100).filled_e2 == 100  # a fill makes room, as a cancel does
    assert x.submit(0, 0, "bid", 4_200, 100).ok
    assert x.cancel(0, second).reason == "ORDER_NOT_FOUND"
    assert x.cancel(0, first).ok
    assert x.submit(0, 0, "bid", 4_300, 100).ok
    assert x.core.n_resting.tolist() == [2, 0, 0]


def test_the_position_limit_of_a_market_counts_what_rests():
    x = open_exchange()
    x.set_position_limit(0, 500)
    assert x.submit(0, 0, "bid", 4_000, 300).ok
    assert x.submit(0, 0, "bid", 4_000, 300).reason == "EXCEEDED_PER_MARKET_RISK_LIMIT"
    assert x.submit(0, 0, "ask", 6_000, 500).ok


def test_bands_change_while_orders_rest_off_the_new_grid():
    x = open_exchange(bands=(PriceBand(start_e4=0, end_e4=10_000, step_e4=10),))
    fine = x.submit(0, 0, "bid", 4_330, 100).order_id
    x.set_bands(0, (PriceBand(start_e4=0, end_e4=10_000, step_e4=100),))
    assert x.submit(1, 0, "bid", 4_330, 100).reason == "INVALID_PRICE"
    assert x.submit(1, 0, "ask", 4_300, 50).filled_e2 == 50
    assert x.order(fine)["qty_e2"] == 50
    assert x.amend(0, fine, 0, "bid", 4_330, 120).left_e2 == 70  # the price that stays is not asked about


def test_a_price_on_the_edge_of_two_bands_is_valid():
    bands = (
        PriceBand(start_e4=0, end_e4=1_005, step_e4=15),
        PriceBand(start_e4=1_005, end_e4=9_995, step_e4=10),
    )
    x = open_exchange(bands=bands)
    assert x.submit(0, 0, "bid", 1_005, 100).ok
    assert x.submit(0, 0, "bid", 1_015, 100).ok
    assert x.submit(0, 0, "bid", 1_010, 100).reason == "INVALID_PRICE"


def test_a_fraction_of_a_contract_trades_exactly():
    x = open_exchange()
    x.submit(0, 0, "bid", 4_300, 1)
    x.submit(1, 0, "ask", 4_300, 1)
    assert cash_e6(x, 0)[0] == 10**9 - 4_300
