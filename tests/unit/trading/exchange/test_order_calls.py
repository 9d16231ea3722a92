import json
from decimal import Decimal

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made.exchange import run, transport

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.trading.exchange.new_orders import (
    Amendment,
    ClientOrderIds,
    NewOrder,
    count_text,
    price_text,
)
from kalshi_platform.trading.exchange.order_calls import OrderCalls
from kalshi_platform.trading.exchange.outcomes import Accepted, Refused, Unknown

ORDER = {
    "ticker": "KXDEMO-26DEC01-T50", "side": "bid", "price_e4": 4_370, "qty_e2": 2_000,
    "time_in_force": "good_till_canceled", "client_order_id": "rl-000042", "exchange_index": 2,
}  # fmt: skip
PLACED = {
    "order_id": "o1", "client_order_id": "rl-000042", "fill_count": "12.50", "remaining_count": "7.50",
    "ts_ms": 1_795_400_010_021,
}  # fmt: skip


class Exchange:
    """Handler with one answer; keeps what was asked."""

    def __init__(self, answer):
        self.answer, self.requests = answer, []

    def __call__(self, request):
        self.requests.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        status, body = self.answer
        return httpx.Response(status, json=body) if body is not None else httpx.Response(status)

    @property
    def asked(self):
        (request,) = self.requests
        path = request.url.raw_path.decode().removeprefix("/trade-api/v2")
        return request.method, path, json.loads(request.content) if request.content else None


def calls(exchange):
    return OrderCalls(transport(exchange))


def test_an_order_against_which_something_came_up_while_it_waited_for_tokens_is_not_sent():
    exchange = Exchange((201, PLACED))
    outcome = run(calls(exchange).create(NewOrder.parse(ORDER), lambda: "trading is HALTED"))
    where = "POST /portfolio/events/orders"
    assert outcome == Refused(f"{where}: not sent: trading is HALTED", None, None, sent=False)
    assert exchange.requests == []


def test_an_order_goes_out_in_dollar_and_count_strings_and_its_ack_comes_back_in_integers():
    exchange = Exchange((201, PLACED))
    outcome = run(calls(exchange).create(NewOrder.parse(ORDER)))
    assert exchange.asked == (
        "POST",
        "/portfolio/events/orders",
        {
            "ticker": "KXDEMO-26DEC01-T50", "side": "bid", "price": "0.4370", "count": "20.00",
            "client_order_id": "rl-000042", "time_in_force": "good_till_canceled",
            "self_trade_prevention_type": "taker_at_cross", "exchange_index": 2,
        },
    )  # fmt: skip
    assert isinstance(outcome, Accepted)
    placed = outcome.answer
    assert (placed.order_id, placed.filled_e2, placed.remaining_e2) == ("o1", 1_250, 750)
    assert placed.exch_ns == 1_795_400_010_021_000_000


@given(st.integers(1, 9_999), st.integers(1, 10**14))
def test_the_texts_of_price_and_count_are_exact(price_e4, qty_e2):
    assert Decimal(price_text(price_e4)) * 10_000 == price_e4
    assert Decimal(count_text(qty_e2)) * 100 == qty_e2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"price_e4": 0}, "price_e4"),
        ({"price_e4": 10_000}, "price_e4"),
        ({"qty_e2": 0}, "qty_e2"),
        ({"client_order_id": "a b"}, "client_order_id"),
        ({"client_order_id": "x" * 65}, "client_order_id"),
        ({"side": "yes"}, "side"),
        ({"time_in_force": "market"}, "time_in_force"),
        ({"time_in_force": "immediate_or_cancel", "expires_s": 5}, "only orders that rest expire"),
        ({"time_in_force": "fill_or_kill", "post_only": True}, "such an order can do nothing"),
        ({"reduce_only": True}, "immediate_or_cancel only"),
    ],
)
def test_an_order_that_cannot_be_meant_never_leaves(change, said):
    with pytest.raises(ContractError, match=said):
        NewOrder.parse({**ORDER, **change})


def test_a_duplicate_says_that_the_earlier_order_is_there():
    exchange = Exchange((409, {"error": {"code": "order_already_exists", "message": "duplicate"}}))
    outcome = run(calls(exchange).create(NewOrder.parse(ORDER)))
    assert isinstance(outcome, Refused)
    assert outcome.is_duplicate


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("fill_or_kill_insufficient_resting_volume", "unfillable"),
        ("trading_is_paused", "paused"),
        ("exchange_is_paused", "paused"),
        ("something_new", "other"),
    ],
)
def test_a_conflict_that_is_no_duplicate_says_that_no_order_is_there(code, kind):
    """The exchange answers 409 for killed orders and pauses too: taken for a duplicate they would be traded
    on as if the order rested."""
    outcome = run(calls(Exchange((409, {"error": {"code": code}}))).create(NewOrder.parse(ORDER)))
    assert isinstance(outcome, Refused)
    assert not outcome.is_duplicate
    assert outcome.conflict == kind


class Flaky:
    """Exchange that takes an order (or refuses it) and then loses its answer."""

    def __init__(self, takes):
        self.takes, self.orders = takes, {}

    def __call__(self, request):
        if request.method == "POST":
            order = json.loads(request.content)
            if order["client_order_id"] in self.orders:
                return httpx.Response(409, json={"code": "order_already_exists"})
            if self.takes:
                self.orders[order["client_order_id"]] = order
            raise httpx.ReadTimeout("no answer")
        return httpx.Response(200, json={"orders": [], "cursor": ""})


@pytest.mark.parametrize("takes", [True, False], ids=["the order was taken", "the order was not"])
def test_a_time_out_is_unknown_either_way_and_only_the_client_id_tells_them_apart(takes):
    exchange = Flaky(takes)
    orders = calls(exchange)
    outcome = run(orders.create(NewOrder.parse(ORDER)))
    assert isinstance(outcome, Unknown)
    assert len(exchange.orders) == int(takes)
    again = run(orders.create(NewOrder.parse(ORDER)))  # a caller's own decision, with the same id
    assert len(exchange.orders) == int(takes)
    assert (isinstance(again, Refused) and again.is_duplicate) == takes


def test_an_ack_about_another_order_is_no_answer():
    told = {**PLACED, "client_order_id": "somebody-else"}
    outcome = run(calls(Exchange((201, told))).create(NewOrder.parse(ORDER)))
    assert isinstance(outcome, Unknown)
    assert "somebody-else" in outcome.why


def test_a_cancel_names_market_and_shard_since_an_id_alone_would_go_to_shard_0():
    exchange = Exchange((200, {"order_id": "o/1", "reduced_by": "7.50", "ts_ms": 1}))
    outcome = run(calls(exchange).cancel("o/1", "KXA-1", 3))
    assert exchange.asked == (
        "DELETE", "/portfolio/events/orders/o%2F1?market_ticker=KXA-1&exchange_index=3", None
    )  # fmt: skip
    assert outcome.answer.reduced_e2 == 750


def test_a_cancel_answered_for_another_order_is_unknown():
    outcome = run(calls(Exchange((200, {"order_id": "o2", "reduced_by": "1.00"}))).cancel("o1", "KXA-1", 0))
    assert isinstance(outcome, Unknown)


def test_a_decrease_says_what_shall_be_left():
    exchange = Exchange((200, {"order_id": "o1", "remaining_count": "2.00", "ts_ms": 1}))
    outcome = run(calls(exchange).decrease("o1", "KXA-1", None, to_e2=200))
    path, body = "/portfolio/events/orders/o1/decrease", {"reduce_to": "2.00", "market_ticker": "KXA-1"}
    assert exchange.asked == ("POST", path, body)
    assert outcome.answer.remaining_e2 == 200


def test_an_amendment_counts_what_filled_and_what_shall_rest():
    exchange = Exchange((200, {"order_id": "o1", "remaining_count": "5.00", "ts_ms": 1}))
    change = {
        "ticker": "KXA-1",
        "side": "ask",
        "price_e4": 5_001,
        "qty_e2": 1_750,
        "new_client_order_id": "b",
    }
    run(calls(exchange).amend("o1", Amendment.parse(change)))
    assert exchange.asked[2] == {
        "ticker": "KXA-1", "side": "ask", "price": "0.5001", "count": "17.50", "updated_client_order_id": "b",
    }  # fmt: skip


def test_a_batch_of_cancels_answers_each_order_for_itself():
    body = {"orders": [
        {"order_id": "o1", "reduced_by": "1.00", "ts_ms": 1},
        {"order_id": "o2", "reduced_by": "0.00", "error": {"code": "not_found", "message": "gone"}},
    ]}  # fmt: skip
    exchange = Exchange((200, body))
    outcome = run(calls(exchange).cancel_batch([("o1", "KXA-1"), ("o2", "KXA-2")]))
    assert exchange.asked[0] == "DELETE"
    assert exchange.asked[2] == {"orders": [
        {"order_id": "o1", "market_ticker": "KXA-1"}, {"order_id": "o2", "market_ticker": "KXA-2"},
    ]}  # fmt: skip
    first, second = outcome.answer
    assert first.cancelled.reduced_e2 == 100
    assert (second.cancelled, second.error.code) == (None, "not_found")
    with pytest.raises(ContractError, match="split the batch"):
        run(calls(exchange).cancel_batch([(f"o{i}", "KXA-1") for i in range(51)]))  # 102 tokens of 100
    with pytest.raises(ContractError, match="empty batch"):
        run(calls(exchange).cancel_batch([]))


def test_cancelling_everything_is_one_delete_without_an_id():
    exchange = Exchange((204, None))
    assert run(calls(exchange).cancel_all()) == Accepted(None, 204)
    assert exchange.asked == ("DELETE", "/portfolio/events/orders", None)


def test_an_order_group_is_made_triggered_and_deleted():
    exchange = Exchange((201, {"order_group_id": "g1", "subaccount": 0}))
    assert run(calls(exchange).create_group(25_000, 1)).answer == "g1"
    made = {"contracts_limit_fp": "250.00", "exchange_index": 1}
    assert exchange.asked == ("POST", "/portfolio/order_groups/create", made)
    exchange = Exchange((200, {}))
    assert isinstance(run(calls(exchange).trigger_group("g1", 1)), Accepted)
    assert exchange.asked == ("PUT", "/portfolio/order_groups/g1/trigger?exchange_index=1", {})
    exchange = Exchange((200, {}))
    run(calls(exchange).delete_group("g1", None))
    assert exchange.asked == ("DELETE", "/portfolio/order_groups/g1", None)
    with pytest.raises(ContractError, match="limit_e2 = 99"):
        run(calls(exchange).create_group(99, None))


def test_client_ids_are_not_used_twice_and_fit_the_exchange():
    ids = ClientOrderIds("market maker", np.random.default_rng(1))
    given_out = [ids.next() for _ in range(100)]
    assert len(set(given_out)) == 100
    assert all(NewOrder.parse({**ORDER, "client_order_id": each}) for each in given_out)
    assert ClientOrderIds("market maker", np.random.default_rng(2)).next() not in given_out
