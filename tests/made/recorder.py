"""Scripted exchange for the recorder: a stream that says what it is told, and REST answers from a table."""

import asyncio
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pydantic_core import to_json

from kalshi_platform.domain.errors import ExchangeError
from kalshi_platform.trading.exchange import public_answers as answers
from kalshi_platform.trading.exchange import sink as kinds
from kalshi_platform.trading.exchange.clock import SystemClock
from kalshi_platform.trading.exchange.fields import AnswerFields
from kalshi_platform.trading.exchange.pages import PageSet

SERIES, EVENT = "KXDEMO", "KXDEMO-26DEC01"
A, B = f"{EVENT}-T50", f"{EVENT}-T60"


def market(ticker: str, **fields: Any) -> dict[str, Any]:
    """REST's market, active until it is told otherwise."""
    return {
        "ticker": ticker, "event_ticker": ticker.rpartition("-")[0], "status": "active",
        "market_type": "binary", "open_time": "2026-11-01T00:00:00Z", "close_time": "2099-12-01T05:00:00Z",
        "can_close_early": True, "result": "", "exchange_index": 0,
        "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}], **fields,
    }  # fmt: skip


class ScriptedReads:
    """Answers of REST; change its tables between two calls."""

    def __init__(self, tickers: Iterable[str] = (A, B)) -> None:
        self.markets_by_ticker = {t: market(t) for t in tickers}
        self.books_by_ticker: dict[str, dict[str, Any]] = {}
        self.trades_by_ticker: dict[str, list[dict[str, Any]]] = {}
        self.complete = True
        self.active = True
        self.failing: set[str] = set()  # names of calls that fail now
        self.calls: list[tuple[str, Any]] = []

    def _called(self, name: str, what: Any = None) -> None:
        self.calls.append((name, what))
        if name in self.failing:
            raise ExchangeError(f"{name}: 503 from the script")

    def _pages(self, items: Sequence[Any]) -> PageSet[Any]:
        return PageSet(tuple(items), self.complete, None if self.complete else "page 2 failed", 1, 0)

    def event_raw(self, ticker: str) -> dict[str, Any]:
        nested = [m for m in self.markets_by_ticker.values() if m["event_ticker"] == ticker]
        return {
            "event_ticker": ticker, "series_ticker": SERIES, "title": "Demo", "category": "Weather",
            "mutually_exclusive": True, "markets": nested,
        }  # fmt: skip

    async def status(self) -> answers.ExchangeStatus:
        self._called("status")
        return answers.ExchangeStatus(True, self.active, None, (), {})

    async def series(self, ticker: str) -> answers.SeriesAnswer:
        self._called("series", ticker)
        raw = {"ticker": ticker, "category": "Weather", "fee_type": "quadratic", "fee_multiplier": 1}
        return answers.read_series(AnswerFields(raw, "series"))

    async def series_list(self, category: str | None = None) -> tuple[answers.SeriesAnswer, ...]:
        self._called("series_list", category)
        return (await self.series(SERIES),)

    async def event(self, ticker: str) -> answers.EventAnswer:
        self._called("event", ticker)
        return answers.read_event(AnswerFields(self.event_raw(ticker), "event"))

    async def events(
        self, *, series: str | None = None, status: str | None = None, with_markets: bool = False
    ) -> PageSet[answers.EventAnswer]:
        self._called("events", (series, status))
        names = sorted({m["event_ticker"] for m in self.markets_by_ticker.values()})
        found = [name for name in names if series is None or name.startswith(f"{series}-")]
        return self._pages([
            answers.read_event(AnswerFields(self.event_raw(name), "event"))
            for name in (found if status == "open" else [])
        ])  # fmt: skip

    async def market(self, ticker: str) -> answers.MarketAnswer:
        self._called("market", ticker)
        return answers.read_market(AnswerFields(self.markets_by_ticker[ticker], "market"))

    async def markets(self, *, tickers: Iterable[str] = ()) -> PageSet[answers.MarketAnswer]:
        self._called("markets", tuple(tickers))
        known = [self.markets_by_ticker[t] for t in tickers if t in self.markets_by_ticker]
        return self._pages([answers.read_market(AnswerFields(raw, "market")) for raw in known])

    async def books(self, tickers: Sequence[str]) -> tuple[answers.BookAnswer, ...]:
        self._called("books", tuple(tickers))
        return tuple(
            answers.read_book(t, AnswerFields({"orderbook_fp": self.books_by_ticker[t]}, "book"))
            for t in tickers
            if t in self.books_by_ticker
        )

    async def trades(
        self, *, ticker: str | None = None, since_ns: int | None = None, until_ns: int | None = None
    ) -> PageSet[answers.TradeAnswer]:
        self._called("trades", (ticker, since_ns, until_ns))
        raws = self.trades_by_ticker.get(str(ticker), [])
        return self._pages([answers.read_trade(AnswerFields(raw, "trade")) for raw in raws])

    async def candles(
        self, series: str, ticker: str, since_ns: int, until_ns: int, minutes: int = 1
    ) -> tuple[answers.CandleAnswer, ...]:
        self._called("candles", (series, ticker, since_ns, until_ns))
        return ()

    async def series_fees(self, ticker: str | None = None) -> tuple[answers.FeeChange, ...]:
        self._called("series_fees", ticker)
        return ()

    async def event_fees(self) -> PageSet[answers.FeeChange]:
        self._called("event_fees")
        change = {
            "fee_type_override": "quadratic_with_maker_fees", "fee_multiplier_override": 1,
            "scheduled_ts": "2026-11-30T00:00:00Z",
        }  # fmt: skip
        raws = [{"event_ticker": event, **change} for event in (EVENT, "KXOTHER-26DEC01")]
        return self._pages([answers.read_event_fee(AnswerFields(raw, "fee")) for raw in raws])


class ScriptedStream:
    """A stream that subscribes and snapshots as the exchange does, and sends what a test tells it."""

    def __init__(self, sink: kinds.FrameSink) -> None:
        self.sink, self.clock = sink, SystemClock()
        self.conn, self.seq, self.backlog = 0, itertools.count(1), 0
        self.taken_hooks: list[Callable[[], None]] = []
        self.tickers: list[str] = []
        self._end = asyncio.Event()
        self.error: Exception | None = None

    async def run(self) -> None:
        self.connect()
        await self._end.wait()
        if self.error is not None:
            raise self.error
        self.note(kinds.DISCONNECTED, why="stopped", frames=0)

    def fail(self, error: Exception) -> None:
        self.error = error
        self._end.set()

    async def stop(self) -> None:
        self._end.set()

    def connect(self) -> None:
        self.conn, self.seq = self.conn + 1, itertools.count(1)
        self.note(kinds.CONNECTED, url="wss://script", attempt=1)
        if self.tickers:
            self.subscribe(self.tickers)

    async def add(self, tickers: list[str]) -> None:
        self.tickers += [t for t in tickers if t not in self.tickers]
        if self.conn:
            self.subscribe(tickers)

    async def remove(self, tickers: list[str]) -> None:
        self.tickers = [t for t in self.tickers if t not in tickers]
        params = {"sids": [1], "action": "delete_markets", "market_tickers": tickers}
        self.note(kinds.UPDATED, sid=1, channel="orderbook_delta", action="delete_markets", params=params)

    async def request_books(self, tickers: list[str]) -> None:
        self.note(kinds.RESYNC, sid=1, tickers=tickers, why="asked for")
        for ticker in tickers:
            self.snapshot(ticker)

    def subscribe(self, tickers: list[str]) -> None:
        params = {"channels": ["orderbook_delta"], "market_tickers": tickers, "use_yes_price": True}
        self.note(kinds.SUBSCRIBED, sid=1, channel="orderbook_delta", params=params)
        for ticker in tickers:
            self.snapshot(ticker)

    def note(self, kind: str, **detail: Any) -> None:
        self.sink.note(self.conn, self.clock.wall_ns(), self.clock.mono_ns(), kind, detail)

    def send(self, kind: str, msg: dict[str, Any], sid: int = 1, seq: int | None = None) -> None:
        number = next(self.seq) if seq is None and sid == 1 else seq
        message: dict[str, Any] = {"type": kind, "sid": sid}
        message |= {"seq": number} if number is not None else {}
        message |= {"sending_ts_ms": self.clock.wall_ns() // 1_000_000, "msg": msg}
        self.sink.frame(self.conn, self.clock.wall_ns(), self.clock.mono_ns(), to_json(message))
        for hear in self.taken_hooks:
            hear()

    def snapshot(self, ticker: str) -> None:
        levels = {"yes_dollars_fp": [["0.4200", "75.00"]], "no_dollars_fp": [["0.4500", "40.00"]]}
        self.send("orderbook_snapshot", {"market_ticker": ticker, **levels})

    def delta(self, ticker: str, price: str = "0.4100", by: str = "1.00", seq: int | None = None) -> None:
        msg = {"market_ticker": ticker, "price_dollars": price, "delta_fp": by, "side": "yes"}
        self.send("orderbook_delta", msg, seq=seq)

    def lifecycle(self, ticker: str, event_type: str, **fields: Any) -> None:
        self.send("market_lifecycle_v2", {"market_ticker": ticker, "event_type": event_type, **fields}, sid=6)


#: REST's book that agrees with ScriptedStream.snapshot: 0.45 YES ask = 0.55 NO bid.
AGREEING = {"yes_dollars": [["0.4200", "75.00"]], "no_dollars": [["0.5500", "40.00"]]}


def trade_raw(trade_id: str, ticker: str = A) -> dict[str, Any]:
    """REST's trade."""
    return {
        "trade_id": trade_id, "ticker": ticker, "yes_price_dollars": "0.4300", "no_price_dollars": "0.5700",
        "count_fp": "2.25", "taker_side": "no", "taker_outcome_side": "no",
        "created_time": "2026-11-23T02:13:20.388Z", "is_block_trade": False,
    }  # fmt: skip
