"""Files as other people keep them: the same two trades, and one book, in every form."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

M = "KXMADE-26DEC01-T50"
T0_S = 1_795_400_000  # 2026-11-23T02:13:20Z
T0_MS = T0_S * 1_000


def snapshot(**more: Any) -> dict[str, Any]:
    msg = {
        "market_ticker": M,
        "yes_dollars_fp": [["0.4200", "75.00"]],
        "no_dollars_fp": [["0.5500", "40.00"]],
    }
    return {"type": "orderbook_snapshot", "sid": 1, "seq": 1, "msg": msg, **more}


def delta(seq: int, ts_ms: int, **more: Any) -> dict[str, Any]:
    msg = {
        "market_ticker": M,
        "price_dollars": "0.4200",
        "delta_fp": "-1.00",
        "side": "yes",
        "ts_ms": ts_ms,
    }
    return {"type": "orderbook_delta", "sid": 1, "seq": seq, "msg": msg, **more}


def lines(path: Path, records: list[Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def document(path: Path, content: Any, **options: Any) -> Path:
    path.write_text(json.dumps(content, **options))
    return path


def text(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


def rest_trade(second: int, cents: int, contracts: str, taker: str, **more: Any) -> dict[str, Any]:
    """Trade as ``GET /markets/trades`` answers it."""
    return {
        "trade_id": f"t{second}",
        "ticker": M,
        "yes_price_dollars": f"0.{cents:02}00",
        "no_price_dollars": f"0.{100 - cents:02}00",
        "count_fp": contracts,
        "taker_side": taker,
        "taker_outcome_side": taker,
        "created_time": f"2026-11-23T02:13:{20 + second}Z",
        "is_block_trade": False,
        **more,
    }


def candle(end_s: int, bid: str | None, ask: str | None, key: str = "close_dollars") -> dict[str, Any]:
    return {
        "end_period_ts": end_s,
        "yes_bid": {key: bid, "open_dollars": "0.0100"},
        "yes_ask": {key: ask},
        "price": {key: None},
        "volume_fp": "1.00",
    }


def same_trades(folder: Path) -> dict[str, Path]:
    """Three trades in every form that holds trades, the REST answers from the newest to the oldest.

    Their takers are those that the tick rule finds, so that the daily file, which names none, agrees.
    """
    trades = [(0, 43, 2, "yes"), (1, 44, 1, "yes"), (2, 41, 3, "no")]
    rest = [rest_trade(s, cents, f"{n}.00", taker) for s, cents, n, taker in reversed(trades)]
    house = {
        "ts_us": [(T0_S + s) * 10**6 for s, *_ in trades],
        "market_ticker": [M] * 3,
        "yes_price_e4": [cents * 100 for _, cents, *_ in trades],
        "count_e2": [n * 100 for *_, n, _ in trades],
        "taker_side": [taker for *_, taker in trades],
    }
    public = {
        "trade_id": [f"t{s}" for s, *_ in trades],
        "ticker": [M] * 3,
        "count": [n for *_, n, _ in trades],
        "yes_price": [cents for _, cents, *_ in trades],
        "no_price": [100 - cents for _, cents, *_ in trades],
        "taker_side": [taker for *_, taker in trades],
        "created_time": pa.array([(T0_S + s) * 10**6 for s, *_ in trades], pa.timestamp("us", "UTC")),
    }
    daily = [
        {
            "create_ts": f"2026-11-23T02:13:{20 + s}Z",
            "ticker_name": M,
            "contracts_traded": n,
            "price": cents,
        }
        for s, cents, n, _ in trades
    ]
    csv = "Ticker;Yes_Price;Count;Taker_Side;Timestamp\r\n" + "".join(
        f"{M};{cents};{n};{taker.upper()};{T0_S + s}\r\n" for s, cents, n, taker in trades
    )
    pq.write_table(pa.table(house), folder / "house.parquet")
    pq.write_table(pa.table(public), folder / "public.parquet", row_group_size=2)
    return {
        "house": folder / "house.parquet",
        "public": folder / "public.parquet",
        "page": document(folder / "page.json", {"cursor": "", "trades": rest}),
        "pages": lines(folder / "pages.jsonl", [{"trades": [t]} for t in rest]),
        "lines": lines(folder / "lines.jsonl", rest),
        "wrapped": document(folder / "wrapped.json", {"note": "mine", M: {"trades": rest}}, indent=1),
        "daily": document(folder / "daily.json", daily),
        "csv": text(folder / "trades.csv", "\ufeff" + csv),
    }
