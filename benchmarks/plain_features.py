"""Groups orderbook and temporal of the feature table in plain Python: dicts and a list of dicts.

The peer of the ``feature_replay_python`` benchmark and its check: written from the table for clarity, one
event at a time, the way a first version of such a system would be.
"""

import math
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np

from kalshi_platform.data.market_data.schema import FLAG_LAST, FLAG_START, SNAPSHOT, YES, MarketRows


def squashed(x: float, full: float) -> float:
    return min(np.log1p(x) / np.log1p(full), 1.0)


def orderbook_features(bids: dict[int, int], no_bids: dict[int, int]) -> list[float]:
    """Features of feature set orderbook.

    The books are {own-side bid price 1e-4 dollar: size 1e-2 contract}.
    """
    bid = max(bids) / 10_000 if bids else 0.0
    ask = 1.0 - max(no_bids) / 10_000 if no_bids else 1.0
    mid = (bid + ask) / 2
    spread = max(ask - bid, 0.0)
    bid_size = sum(bids[p] for p in sorted(bids, reverse=True)[:5])
    ask_size = sum(no_bids[p] for p in sorted(no_bids, reverse=True)[:5])
    imbalance = (bid_size - ask_size) / (bid_size + ask_size) if bid_size + ask_size else 0.0
    extremity = 2 * min(mid, 1 - mid)
    return [
        mid,
        1 - mid,
        2 * mid - 1,
        1 - 2 * mid,
        min(spread / max(mid, 0.01), 1.0),
        min(spread / max(1 - mid, 0.01), 1.0),
        imbalance,
        -imbalance,
        extremity,
        extremity,
        max(bid - ask, 0.0),
        squashed((sum(bids.values()) + sum(no_bids.values())) / 100, 1_000_000),
    ]


def temporal_features(history: list[dict[str, int]], resync_ns: int, close_ns: int | None) -> list[float]:
    """Features of feature set temporal.

    ``history`` are messages as {"recv_ns": ...}, the present one last.
    """
    now = history[-1]["recv_ns"]
    previous = history[:-1]
    gap_s = (now - previous[-1]["recv_ns"]) / 1e9 if previous else None
    features = [
        squashed(gap_s or 0.0, 86_400),
        *(_rate(sum(1 for e in previous if now - e["recv_ns"] < w * 10**9), w) for w in (10, 60, 300)),
        float(gap_s is not None and gap_s < 0.1),
        float(gap_s is not None and gap_s < 5),
        float(gap_s is not None and gap_s > 30),
    ]
    acceleration = 0.0
    if len(history) > 20:
        times = [e["recv_ns"] for e in history[-21:]]
        gaps = [(b - a) / 1e6 for a, b in pairwise(times)]
        older, recent = np.mean(gaps[:10]), np.mean(gaps[10:])
        acceleration = np.tanh((recent - older) / max(older, 1.0))
    hours = max(close_ns - now, 0) / 3.6e12 if close_ns is not None else None
    moment = datetime.fromtimestamp(now // 10**9, UTC)
    minute, weekday = moment.hour * 60 + moment.minute, moment.weekday()
    return [
        *features,
        acceleration,
        squashed(hours, 8_760) if hours is not None else 0.0,
        float(hours is not None and hours < 1),
        float(hours is not None and hours < 24),
        np.sin(2 * math.pi * minute / 1_440),
        np.cos(2 * math.pi * minute / 1_440),
        np.sin(2 * math.pi * weekday / 7),
        np.cos(2 * math.pi * weekday / 7),
        squashed((now - resync_ns) / 1e9, 86_400),
    ]


def _rate(n: int, window_s: int) -> float:
    return n / (n + window_s)


def replay(rows: MarketRows, close_ns: int | None) -> list[np.ndarray]:
    """Features (28,) f4 of every message of a level-2 stream of snapshots and deltas."""
    books: dict[int, dict[int, int]] = {0: {}, 1: {}}
    history: list[dict[str, int]] = []
    resync_ns = 0
    out = []
    names = ("recv_ns", "kind", "side", "price_e4", "qty_e2", "flags")
    for values in zip(*(getattr(rows, name).tolist() for name in names), strict=True):
        event = dict(zip(names, values, strict=True))
        if event["flags"] & FLAG_START:
            books = {0: {}, 1: {}}
            resync_ns = event["recv_ns"]
        else:
            book, price = books[event["side"]], event["price_e4"]
            held = 0 if event["kind"] == SNAPSHOT else book.get(price, 0)
            book[price] = held + event["qty_e2"]
            if book[price] == 0:
                del book[price]
        if event["flags"] & FLAG_LAST:
            history.append({"recv_ns": event["recv_ns"]})
            # five minutes are looked at, and always 21 messages
            while len(history) > 21 and event["recv_ns"] - history[0]["recv_ns"] >= 300 * 10**9:
                history.pop(0)
            features = orderbook_features(books[YES], books[1 - YES])
            features += temporal_features(history, resync_ns, close_ns)
            out.append(np.array(features, dtype=np.float32))
    return out
