"""Small files of every importable format, written for the importer tests, and a loader."""

import json
import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kalshi_platform.data.market_data.capture import CaptureWriter
from kalshi_platform.data.market_data.importers import ImportedMarket, discover, run_job

T0 = 1_700_000_000  # seconds


def write(
    path: Path, rows: list[dict[str, Any]], schema: dict[str, pa.DataType] | None = None, **options: Any
) -> Path:
    fields = pa.schema(list(schema.items())) if schema else None
    pq.write_table(pa.Table.from_pylist(rows, schema=fields), path, **options)
    return path


def trade(
    ticker: str, second: int, price: int, qty: int = 100, side: str = "yes", **more: Any
) -> dict[str, Any]:
    return {
        "ts_us": (T0 + second) * 10**6,
        "market_ticker": ticker,
        "yes_price_e4": price,
        "count_e2": qty,
        "taker_side": side,
        **more,
    }


def quote(ticker: str, second: int, bid: int | None, ask: int | None, **more: Any) -> dict[str, Any]:
    return {
        "recv_ts_ms": (T0 + second) * 1_000,
        "market_ticker": ticker,
        "yes_bid_e4": bid,
        "yes_ask_e4": ask,
        **more,
    }


def book(
    ticker: str,
    second: int,
    kind: str,
    side: str | None = None,
    price: int | None = None,
    size: int | None = None,
    **more: Any,
) -> dict[str, Any]:
    return {
        "recv_ts_us": (T0 + second) * 10**6,
        "market_ticker": ticker,
        "sid": None,
        "seq": None,
        "session": 0,
        "type": "delta" if kind == "delta" else "snapshot",
        "snap_start": None if kind == "delta" else kind == "start",
        "side": side,
        "price_e4": price,
        "size_e2": size,
        "taker_side": None,
        "is_fill": None,
        **more,
    }


BOOK_SCHEMA = {
    "recv_ts_us": pa.int64(),
    "market_ticker": pa.string(),
    "sid": pa.int64(),
    "seq": pa.int64(),
    "session": pa.int32(),
    "type": pa.string(),
    "snap_start": pa.bool_(),
    "side": pa.string(),
    "price_e4": pa.int32(),
    "size_e2": pa.int64(),
    "taker_side": pa.string(),
    "is_fill": pa.bool_(),
}


def load(*inputs: Path, **options: Any) -> tuple[dict[str, ImportedMarket], Counter[str]]:
    """Every market of the inputs, and all counters."""
    plan = discover(list(inputs), **options)
    counters = Counter(plan.counters)
    markets: dict[str, ImportedMarket] = {}
    for job in plan.jobs():
        for event in run_job(pickle.loads(pickle.dumps(job))):
            counters += event.counters
            markets.update({m.spec.ticker: m for m in event.markets})
    return markets, counters


def notes_of(*inputs: Path) -> str:
    """Words about everything that the import of ``inputs`` puts aside."""
    jobs = discover(list(inputs)).jobs()
    return "\n".join(note for job in jobs for event in run_job(job) for note in event.notes)


def table(market: ImportedMarket, *names: str) -> list[tuple[int, ...]]:
    columns = (getattr(market.rows, name).tolist() for name in names)
    return list(zip(*columns, strict=True))


CORE = ("kind", "side", "price_e4", "qty_e2", "flags")


def capture(path: Path, messages: list[tuple[int, int, dict[str, Any]]]) -> Path:
    with CaptureWriter(path) as writer:
        for second, conn, message in messages:
            writer.append((T0 + second) * 10**9, conn, json.dumps(message))
    return path


def snapshot(ticker: str, seq: int, yes: str = "0.4000", no: str = "0.5500", sid: int = 1) -> dict[str, Any]:
    msg = {"market_ticker": ticker, "yes_dollars_fp": [[yes, "5.00"]], "no_dollars_fp": [[no, "3.00"]]}
    return {"type": "orderbook_snapshot", "sid": sid, "seq": seq, "msg": msg}


def delta(ticker: str, seq: int, qty: str = "1.00", price: str = "0.4000", sid: int = 1) -> dict[str, Any]:
    msg = {"market_ticker": ticker, "price_dollars": price, "delta_fp": qty, "side": "yes"}
    return {"type": "orderbook_delta", "sid": sid, "seq": seq, "msg": msg}


def ws_trade(
    ticker: str, trade_id: str, ts: float, price: str = "0.4200", qty: str = "1.00"
) -> dict[str, Any]:
    msg = {"market_ticker": ticker, "trade_id": trade_id, "yes_price_dollars": price, "count_fp": qty}
    return {"type": "trade", "msg": {**msg, "taker_side": "yes", "ts_ms": round(ts * 1_000)}}


def meta(ticker: str, event: str, result: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "market_ticker": ticker,
        "event_ticker": event,
        "series_ticker": "S",
        "close_time": "2024-08-17T04:59:00Z",
        "result": result,
        **more,
    }


def rest(ticker: str, event: str, **more: Any) -> dict[str, Any]:
    return {
        "ticker": ticker,
        "event_ticker": event,
        "close_time": "2024-08-17T04:59:00.5Z",
        "status": "active",
        "result": "",
        **more,
    }


def simulated(path: Path, seconds: tuple[int, ...] = (1,), ticker: str = "E-A") -> Path:
    rows = [book(ticker, second, "start") for second in seconds]
    schema = pa.schema(list(BOOK_SCHEMA.items()), metadata={"kalshi_platform.provenance": "simulated"})
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    return path
