"""Frames written by hand, fed to a decoder one a nanosecond."""

import json
from typing import Any

from kalshi_platform.data.market_data.capture import Frame
from kalshi_platform.data.market_data.decode import Decoder

M = "KXDEMO-26DEC01-T50"


class Wire:
    """Feeds messages to a decoder, one frame a nanosecond, and reads rows back."""

    def __init__(self, **options: Any) -> None:
        self.decoder = Decoder(**options)
        self.at = 0

    def send(self, kind: str, sid: Any, seq: Any, msg: Any, conn: int = 1) -> None:
        self.at += 1
        frame = {"type": kind, "msg": msg}
        frame |= {} if sid is None else {"sid": sid}
        frame |= {} if seq is None else {"seq": seq}
        self.decoder.feed(Frame(self.at, self.at, conn, json.dumps(frame)))

    def snapshot(self, seq: int, ticker: str = M, sid: int = 1, conn: int = 1, **sides: Any) -> None:
        sides = sides or {"yes_dollars_fp": [["0.4200", "75.00"]]}
        self.send("orderbook_snapshot", sid, seq, {"market_ticker": ticker, **sides}, conn)

    def delta(self, seq: int, ticker: str = M, sid: int = 1, conn: int = 1, **fields: Any) -> None:
        msg = {
            "market_ticker": ticker,
            "price_dollars": "0.4200",
            "delta_fp": "1.00",
            "side": "yes",
            **fields,
        }
        self.send("orderbook_delta", sid, seq, msg, conn)

    def trade(self, seq: int, ticker: str = M, sid: int = 2, conn: int = 1, **fields: Any) -> None:
        msg = {
            "market_ticker": ticker,
            "yes_price_dollars": "0.4300",
            "count_fp": "2.25",
            "taker_side": "no",
            **fields,
        }
        self.send("trade", sid, seq, msg, conn)

    def rows(self, ticker: str = M) -> list[tuple[int, ...]]:
        """(kind, side, price, qty, flags) of every row."""
        rows, _ = self.decoder.markets[ticker].rows()
        return [
            tuple(map(int, r))
            for r in zip(rows.kind, rows.side, rows.price_e4, rows.qty_e2, rows.flags, strict=True)
        ]

    def kinds(self, ticker: str = M) -> list[int]:
        return [r[0] for r in self.rows(ticker)]
