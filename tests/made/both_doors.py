"""The same frames through the importer and through a live session, to be held against each other."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic_core import from_json

from kalshi_platform.data.features.kernel import build_rows
from kalshi_platform.data.features.rows import Rows
from kalshi_platform.data.market_data.capture import (
    CaptureWriter,
    ConnectionEnd,
    ConnectionNote,
    Frame,
    read_capture,
)
from kalshi_platform.data.market_data.importers import ImportedMarket, discover, run_job
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.market import MarketSpec, PriceBand
from kalshi_platform.serving.live.books import LiveBooks
from kalshi_platform.simulation.replay.trading import TradingConfig

#: Counters of what happens to frames and rows.
FATES = (
    "deltas_before_snapshot", "deltas_quarantined", "books_ended:level_below_zero", "sequence_gaps",
    "messages_missing", "repeated_frames", "late_frames", "reconnections", "sequence_restarts",
    "seq_unreadable", "book_frames_without_seq", "subscriptions_ended:error_25", "refused_frames",
)  # fmt: skip
T0_NS = 1_700_000_000 * 10**9


class Imported(NamedTuple):
    """What importing gave: markets, the feature rows of each, and counters."""

    markets: dict[str, ImportedMarket]
    rows: dict[str, Rows]
    counters: Counter[str]


class Lived(NamedTuple):
    """What a live session gave: the feature rows of each market, counters, what was refused."""

    rows: dict[str, list[Rows]]
    counters: Counter[str]
    refused: list[str]
    specs: dict[str, MarketSpec]


def write_frames(path: Path, frames: Sequence[tuple[int, dict[str, Any]]]) -> Path:
    """A capture of (connection, message), one a millisecond, and of silences (:func:`silence`)."""
    now_ns = T0_NS
    with CaptureWriter(path) as writer:
        for conn, message in frames:
            if message:
                writer.append(now_ns, conn, json.dumps(message))
            now_ns += 10**6 if message else conn * 10**6
    return path


def silence(ms: int) -> tuple[int, dict[str, Any]]:
    """Time that passes between two frames of :func:`write_frames`."""
    return ms, {}


def imported(*inputs: Path) -> Imported:
    """The markets of ``inputs`` and the feature rows a dataset would hold; DataError where refused."""
    plan = discover(list(inputs))
    found = Imported({}, {}, Counter(plan.counters))
    for job in plan.jobs():
        for event in run_job(job):
            found.counters.update(event.counters)
            for market in event.markets:
                found.markets[market.spec.ticker] = market
                found.rows[market.spec.ticker] = build_rows(
                    market.rows, market.spec, None, market.tick_e4, market.history.known
                )
    return found


class _Watched(LiveBooks):
    """Live books that keep a copy of every row they put into a slot."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.kept: dict[str, list[Rows]] = {}

    def _add_group(self, named: Sequence[str]) -> None:
        super()._add_group(named)
        number, group = len(self.groups) - 1, self.groups[-1]
        put = group.put

        def watched(s: int, row: Rows) -> bool:
            kept = self.kept.setdefault(self.tickers[number][s], [])
            kept.append(Rows(*(column.copy() for column in row)))
            return put(s, row)

        group.put = watched  # type: ignore[method-assign]


def lived(capture: Path, specs: Sequence[MarketSpec] = ()) -> Lived:
    """The rows of a live session that is fed the frames of ``capture``; ``specs`` declare their grids."""
    entries = list(read_capture(capture))
    scale = any(isinstance(entry, ConnectionNote) and entry.use_yes_price for entry in entries)
    books = _Watched(TradingConfig(n_slots=1), 0, specs, (), scale)
    refused = []
    for entry in entries:
        if isinstance(entry, ConnectionEnd):
            books.end_connection(entry)
        elif isinstance(entry, Frame):
            try:
                books.feed(entry, from_json(entry.raw))
            except DataError as err:
                refused.append(str(err))
    known = {ticker: books.specification(ticker) for ticker in books.kept}
    return Lived(books.kept, Counter(books.counters), refused, known)


def assert_same_rows(live: list[Rows], replay: Rows, ticker: str) -> None:
    """Every column of every row is the same to the bit, but for ``burst_end``: live rows cannot know it."""
    assert len(live) == replay.recv_ns.size, ticker
    for name, column in replay._asdict().items():
        if name == "burst_end":
            continue
        got = np.array([getattr(row, name)[0] for row in live], column.dtype).reshape(column.shape)
        assert got.tobytes() == column.tobytes(), f"{ticker}: {name}"


def assert_doors_agree(capture: Path, *metadata: Path, specs: Sequence[MarketSpec] = ()) -> Imported:
    """Import ``capture`` and live through it; rows, fates and grids must be equal, and nothing refused.

    Every market of ``capture`` must show a book or a trade: others are not imported.
    """
    replay, live = imported(capture, *metadata), lived(capture, specs)
    assert not live.refused
    for ticker, rows in replay.rows.items():
        assert_same_rows(live.rows[ticker], rows, ticker)
        assert live.specs[ticker].price_ranges == replay.markets[ticker].spec.price_ranges
    assert live.rows.keys() == replay.rows.keys()
    for name in FATES:
        assert live.counters[name] == replay.counters[name], name
    return replay


TICKER = "KXDEMO-26DEC01-T50"


def snapshot(
    seq: int, yes: dict[str, str], no: dict[str, str] | None = None, ticker: str = TICKER
) -> dict[str, Any]:
    msg = {
        "market_ticker": ticker,
        "yes_dollars_fp": [list(level) for level in yes.items()],
        "no_dollars_fp": [list(level) for level in (no or {"0.5000": "10.00"}).items()],
    }
    return {"type": "orderbook_snapshot", "sid": 1, "seq": seq, "msg": msg}


def delta(seq: int, price: str, qty: str, side: str = "yes", ticker: str = TICKER) -> dict[str, Any]:
    msg = {"market_ticker": ticker, "price_dollars": price, "delta_fp": qty, "side": side}
    return {"type": "orderbook_delta", "sid": 1, "seq": seq, "msg": msg}


def trade(seq: int, price: str, qty: str, ticker: str = TICKER) -> dict[str, Any]:
    msg = {
        "market_ticker": ticker, "yes_price_dollars": price, "count_fp": qty, "taker_outcome_side": "yes",
    }  # fmt: skip
    return {"type": "trade", "sid": 2, "seq": seq, "msg": msg}


def lifecycle(event: str, grid: tuple[PriceBand, ...] | None = None, ticker: str = TICKER) -> dict[str, Any]:
    msg: dict[str, Any] = {"market_ticker": ticker, "event_type": event}
    if grid is not None:
        msg["price_ranges"] = dollars(grid)
    return {"type": "market_lifecycle_v2", "msg": msg}


def dollars(grid: tuple[PriceBand, ...]) -> list[dict[str, str]]:
    names = {"start_e4": "start", "end_e4": "end", "step_e4": "step"}
    return [{name: f"{getattr(band, field) / 10_000:.4f}" for field, name in names.items()} for band in grid]


def one_connection(*messages: dict[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    return [(1, message) for message in messages]
