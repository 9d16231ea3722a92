"""Runs of a recorder written by hand: one market, one subscription, a gap in the middle."""

import json
from pathlib import Path

from kalshi_platform.trading.exchange import sink
from kalshi_platform.trading.recorder.segments.journal import JournalConfig, RecordingJournal
from kalshi_platform.trading.recorder.segments.lines import RUN_STARTED, RUN_STOPPED
from kalshi_platform.trading.recorder.segments.restart import take_over

S = 1_000_000_000
T0 = 1_795_400_000 * S
A = "KXDEMO-26DEC01-T50"


def record(out: Path, number: int, frames, world: str | None = None) -> None:
    """One run of (second, type, seq, msg) frames on connection 1."""
    earlier = take_over(out)
    journal = RecordingJournal(out, f"run{number}", JournalConfig(), conn_base=number * 100, world=world)
    begin = T0 + number * 1_000 * S
    detail = {"run": number} | ({} if earlier.last_ns is None else {"since_ns": earlier.last_ns})
    journal.note(0, begin, 0, RUN_STARTED, detail)
    params = {"channels": ["orderbook_delta"], "market_tickers": [A], "use_yes_price": True}
    subscribed = {"sid": 1, "channel": "orderbook_delta", "params": params}
    if frames:
        journal.note(1, begin, 0, sink.SUBSCRIBED, subscribed)
    last = 0
    for second, kind, seq, msg in frames:
        raw = json.dumps({"type": kind, "sid": 1, "seq": seq, "msg": {"market_ticker": A, **msg}})
        journal.frame(1, begin + second * S, second * S, raw.encode())
        last = second
    journal.note(0, begin + last * S, last * S, RUN_STOPPED, {"why": "test"})
    journal.close()


BOOK = {"yes_dollars_fp": [["0.4200", "75.00"]], "no_dollars_fp": [["0.4500", "40.00"]]}
DELTA_MSG = {"price_dollars": "0.4100", "delta_fp": "1.00", "side": "yes"}
DAY = [
    (1, "orderbook_snapshot", 1, BOOK),
    (2, "orderbook_delta", 2, DELTA_MSG),
    (5, "orderbook_delta", 9, DELTA_MSG),  # six messages are missing
    (7, "orderbook_snapshot", 10, BOOK),
    (9, "orderbook_delta", 11, DELTA_MSG),
]
