"""Frames that are wrong in every way, from a seed: cut, of wrong types, impossible, foreign, or not JSON at
all."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

_STRANGE: list[Any] = [
    None, True, -1, 0, 1.5, 2**63, -(2**70), 1e308, "", "x", "NaN", "-0.0001", "1.0001",
    "12345678901234567890",
    [], [[]], [["0.4", "1"]], {}, {"a": 1}, "\u0000", "\ud83d\ude00", "0x10", "1e5", " 0.4000 ",
]  # fmt: skip
_TEXTS = [
    "", " ", "{", "[1,2", "null", "true", "7", '"text"', "[]", '{"a":}', "\x00", "{}{}", "nan", "y" * 500,
]  # fmt: skip


def malformed(n: int, tickers: list[str], seed: int, first_seq: int) -> Iterator[bytes]:
    """``n`` frames of the book channel's sid 1, each damaged once or more; numbers go on where they are
    whole."""
    rng, seq = np.random.default_rng(seed), first_seq
    for i in range(n):
        seq += 1
        message = _whole(tickers[i % len(tickers)], seq, i % 3)
        kind = int(rng.integers(6))
        if kind == 0:
            yield _TEXTS[int(rng.integers(len(_TEXTS)))].encode("utf-8", "surrogatepass")
            continue
        if kind == 1:
            text = json.dumps(message).encode()
            yield text[: int(rng.integers(1, len(text)))]
            continue
        if kind == 2:
            text = bytearray(json.dumps(message).encode())
            for _ in range(int(rng.integers(1, 4))):
                text[int(rng.integers(len(text)))] = int(rng.integers(256))
            yield bytes(text)
            continue
        place = message["msg"] if kind < 5 else message
        name = list(place)[int(rng.integers(len(place)))]
        if rng.integers(3):
            place[name] = _STRANGE[int(rng.integers(len(_STRANGE)))]
        else:
            del place[name]
        yield json.dumps(message).encode()


def _whole(ticker: str, seq: int, kind: int) -> dict[str, Any]:
    if kind == 0:
        msg = {"market_ticker": ticker, "market_id": "m", "yes_dollars_fp": [["0.4000", "10.00"]]}
        return {"type": "orderbook_snapshot", "sid": 1, "seq": seq, "msg": msg}
    if kind == 1:
        msg = {
            "market_ticker": ticker,
            "price_dollars": "0.4000",
            "delta_fp": "1.00",
            "side": "yes",
            "ts_ms": 1_795_400_000_388,
        }
        return {"type": "orderbook_delta", "sid": 1, "seq": seq, "msg": msg}
    return {"type": "error", "sid": 1, "seq": seq, "msg": {"code": 25, "msg": "overflow"}}
