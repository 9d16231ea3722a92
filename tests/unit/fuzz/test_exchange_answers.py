"""Fuzz target: answers of the exchange over REST, damaged in body, status and headers.

Taken     then money and times are integers, and the object answers its own ``raw``.
Refused   a DataError or an ExchangeError that names the call; a list says that it is not whole and why.
"""

import asyncio
import json
from dataclasses import fields, is_dataclass

import httpx
from made.exchange import transport
from made.fuzzing import FindingError, fuzz, refusal
from made.mutations import odd_bytes, odd_document
from made.recorder import market, trade_raw

from kalshi_platform.trading.exchange.account_calls import AccountCalls
from kalshi_platform.trading.exchange.pages import PageSet
from kalshi_platform.trading.exchange.public_calls import PublicCalls

A = "KXA-26DEC01-T1"
EVENT = {
    "event_ticker": "KXA-26DEC01",
    "series_ticker": "KXA",
    "title": "t",
    "category": "c",
    "mutually_exclusive": True,
    "markets": [
        market(A, last_price_dollars="0.4000", volume_fp="12.00", settlement_ts="2026-12-01T05:00:00Z")
    ],
}
ORDER = {
    "order_id": "o",
    "client_order_id": "c",
    "ticker": A,
    "book_side": "yes",
    "status": "resting",
    "yes_price_dollars": "0.4000",
    "initial_count_fp": "3.00",
    "remaining_count_fp": "3.00",
    "fill_count_fp": "0.00",
    "created_time": "2026-11-23T02:13:20Z",
    "taker_fees_dollars": "0.0100",
    "maker_fees_dollars": "0.0000",
}
FEE = {"fee_type": "quadratic", "fee_multiplier": 1, "scheduled_ts": "2026-11-30T00:00:00Z"}
#: Name of a call -> (the call, an answer to it).
CALLS = {
    "status": (
        lambda p, a: p.status(),
        {
            "exchange_active": True,
            "trading_active": True,
            "exchange_index_statuses": [
                {"exchange_index": 0, "trading_active": True, "exchange_active": True}
            ],
        },
    ),
    "schedule": (lambda p, a: p.schedule(), {"schedule": {"standard_hours": [], "maintenance_windows": []}}),
    "cutoff": (
        lambda p, a: p.cutoff(),
        {
            "market_settled_ts": "2026-01-01T00:00:00Z",
            "trades_created_ts": "2026-01-01T00:00:00Z",
            "orders_updated_ts": "2026-01-01T00:00:00Z",
        },
    ),
    "series": (lambda p, a: p.series("KXA"), {"series": {"ticker": "KXA", "category": "c", **FEE}}),
    "event": (lambda p, a: p.event("KXA-26DEC01"), {"event": EVENT}),
    "events": (lambda p, a: p.events(most_pages=3), {"events": [EVENT], "cursor": ""}),
    "market": (lambda p, a: p.market(A), {"market": market(A)}),
    "markets": (
        lambda p, a: p.markets(most_pages=3),
        {"markets": [market(A), market(f"{A}2")], "cursor": ""},
    ),
    "book": (
        lambda p, a: p.book(A),
        {"orderbook_fp": {"yes_dollars": [["0.4000", "5.00"]], "no_dollars": []}},
    ),
    "books": (
        lambda p, a: p.books([A]),
        {
            "orderbooks": [
                {"ticker": A, "orderbook_fp": {"yes_dollars": [["0.4000", "5.00"]], "no_dollars": None}}
            ]
        },
    ),
    "trades": (
        lambda p, a: p.trades(ticker=A, most_pages=3),
        {"trades": [trade_raw("1"), trade_raw("2")], "cursor": "x"},
    ),
    "candles": (
        lambda p, a: p.candles("KXA", A, 0, 60_000_000_000),
        {
            "candlesticks": [
                {
                    "end_period_ts": 1_795_400_060,
                    "volume_fp": "3.00",
                    "open_interest_fp": "4.00",
                    "price": {"open_dollars": "0.4000", "close_dollars": "0.4100"},
                    "yes_bid": {"close_dollars": "0.4000"},
                    "yes_ask": {"close_dollars": "0.4200"},
                }
            ]
        },
    ),
    "fees": (lambda p, a: p.series_fees(), {"series_fee_change_arr": [{"series_ticker": "KXA", **FEE}]}),
    "event fees": (
        lambda p, a: p.event_fees(most_pages=2),
        {
            "event_fee_changes": [
                {
                    "event_ticker": "KXA-26DEC01",
                    "fee_type_override": "quadratic",
                    "fee_multiplier_override": 1,
                    "scheduled_ts": "2026-11-30T00:00:00Z",
                }
            ],
            "cursor": "",
        },
    ),
    "balance": (
        lambda p, a: a.balance(),
        {"balance_dollars": "12.345600", "balance": 1_234, "portfolio_value": 5, "updated_ts": 1_795_400_000},
    ),
    "positions": (
        lambda p, a: a.positions(),
        {
            "market_positions": [
                {
                    "ticker": A,
                    "position_fp": "-3.00",
                    "market_exposure_dollars": "1.0000",
                    "realized_pnl_dollars": "0.0000",
                    "fees_paid_dollars": "0.0100",
                    "total_traded_dollars": "2.0000",
                    "last_updated_ts": "2026-11-23T02:13:20Z",
                }
            ],
            "cursor": "",
        },
    ),
    "fills": (
        lambda p, a: a.fills(),
        {
            "fills": [
                {
                    "fill_id": "f",
                    "trade_id": "t",
                    "order_id": "o",
                    "ticker": A,
                    "side": "yes",
                    "action": "buy",
                    "count_fp": "1.00",
                    "yes_price_dollars": "0.4000",
                    "is_taker": True,
                    "fee_cost": "0.0100",
                    "created_time": "2026-11-23T02:13:20Z",
                }
            ],
            "cursor": "",
        },
    ),
    "order": (lambda p, a: a.order("o"), {"order": ORDER}),
    "orders": (lambda p, a: a.orders(), {"orders": [ORDER], "cursor": ""}),
    "settlements": (
        lambda p, a: a.settlements(),
        {
            "settlements": [
                {
                    "ticker": A,
                    "market_result": "yes",
                    "yes_count_fp": "1.00",
                    "no_count_fp": "0.00",
                    "yes_total_cost_dollars": "0.4000",
                    "revenue": 100,
                    "settled_time": "2026-11-23T02:13:20Z",
                    "fee_cost": "0.0100",
                    "value": 100,
                }
            ],
            "cursor": "",
        },
    ),
    "limits": (
        lambda p, a: a.learn_limits(),
        {
            "usage_tier": "basic",
            "read": {"bucket_capacity": 200, "refill_rate": 20},
            "write": {"bucket_capacity": 100, "refill_rate": 10},
            "default_cost": 10,
            "endpoint_costs": [{"method": "GET", "path": "/markets", "cost": 5}],
        },
    ),
}


def test_answers():
    with asyncio.Runner() as runner:

        def one(rng):
            call, answer = CALLS[rng.choice(sorted(CALLS))]
            text = odd_document(rng, answer).encode("utf-8", "surrogatepass")
            body = odd_bytes(rng, text) if rng.randrange(5) == 0 else text
            status = rng.choice((200,) * 12 + (204, 301, 400, 404, 429, 500, 503))
            headers = {
                "Date": rng.choice(("", "x", "Mon, 23 Nov 2026 02:13:20 GMT", "Mon, 99 Foo 2026 02:13:20"))
            }

            async def ask():
                rest = transport(
                    lambda request: httpx.Response(status, content=body, headers=headers), attempts=2
                )
                async with rest:
                    return await call(PublicCalls(rest), AccountCalls(rest))

            return refusal(lambda: check(runner.run(ask())), "GET /")

        counts = fuzz("answers", 300, one)
    assert counts["refused"]
    assert counts["taken"]


def check(found):
    """Refuse numbers that are no integers where units stand in the name; a set that is not whole says why."""
    if isinstance(found, PageSet):
        if not found.complete and not found.why:
            raise FindingError("a list is not whole and does not say why")
        found = found.items
    for each in found if isinstance(found, tuple) else (found,):
        if not is_dataclass(each):
            continue
        for field in fields(each):
            value = getattr(each, field.name)
            if field.name.endswith(("_e2", "_e4", "_e6", "_ns")) and isinstance(value, float | str | bool):
                raise FindingError(f"{type(each).__name__}.{field.name} is {value!r}")


def test_every_answer_is_read_when_it_is_sound():
    async def ask():
        for name, (call, answer) in CALLS.items():
            rest = transport(lambda request, answer=answer: httpx.Response(200, content=json.dumps(answer)))
            async with rest:
                try:
                    await call(PublicCalls(rest), AccountCalls(rest))
                except Exception as error:
                    raise AssertionError(f"{name}: {error}") from error

    asyncio.run(ask())
