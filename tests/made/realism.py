"""Markets for the tests of realism: written by hand, or random; and every measure again as a plain loop."""

import math
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from kalshi_platform.data.features import rows as rows_module
from kalshi_platform.data.features.rows import CROSSED, INVALID, LEVELS, VALID, Rows
from kalshi_platform.data.market_data import schema
from kalshi_platform.data.market_data.schema import DELTA, FLAG_BLOCK, FLAG_FILL, TRADE, MarketRows
from kalshi_platform.domain.fees import model_fee_e6
from kalshi_platform.domain.market import Provenance
from kalshi_platform.evaluation.realism.side import Gathering, Side
from kalshi_platform.evaluation.realism.units import MarketUnits, Units
from kalshi_platform.evaluation.realism.view import MarketView, quoted_rows

S = 1_000_000_000
START_NS = 1_700_000_000 * S
RATE_E6 = 70_000
#: (second, bid cents or None, ask cents or None, sizes of bids, sizes of asks in contracts)
Book = tuple[float, float | None, float | None, Sequence[float], Sequence[float]]
#: (second, kind, signed contracts, flags)
Message = tuple[float, int, float, int]


def made_rows(books: Sequence[Book], valid: Sequence[int] | None = None) -> Rows:
    """Feature rows of hand-written books; levels lie a cent apart."""
    rows = rows_module.empty(len(books), 0)
    rows.recv_ns[:] = [START_NS + round(second * S) for second, *_ in books]
    rows.valid[:] = VALID if valid is None else valid
    for k, (_, bid, ask, bids, asks) in enumerate(books):
        for best, sizes, sign, px, qty in (
            (bid, bids, -1, rows.bid_px_e4, rows.bid_qty_e2),
            (ask, asks, 1, rows.ask_px_e4, rows.ask_qty_e2),
        ):
            px[k] = -1
            for level, size in enumerate(() if best is None else sizes):
                px[k, level] = round(best * 100) + sign * 100 * level
                qty[k, level] = round(size * 100)
    return rows


def made_messages(messages: Sequence[Message]) -> MarketRows:
    """Recorded messages written by hand."""
    rows = schema.empty(len(messages))
    for k, (second, kind, contracts, flags) in enumerate(messages):
        rows.recv_ns[k], rows.kind[k] = START_NS + round(second * S), kind
        rows.qty_e2[k], rows.flags[k] = round(contracts * 100), flags
    return rows


def made_view(
    books: Sequence[Book] = (),
    messages: Sequence[Message] = (),
    *,
    valid: Sequence[int] | None = None,
    provenance: Provenance = "recorded",
    close_s: float | None = None,
) -> MarketView:
    """One market of hand-written books and messages."""
    rows = made_rows(books, valid)
    quoted = quoted_rows(rows)
    close_ns = None if close_s is None else START_NS + round(close_s * S)
    rates = np.full(quoted.at.size, RATE_E6)
    return MarketView(provenance, rows, made_messages(messages), quoted, rates, close_ns)


def mids(*cents: float, every_s: float = 1.0) -> list[Book]:
    """Books a cent wide round each mid, with equal sizes."""
    return [(k * every_s, c - 0.5, c + 0.5, [10], [10]) for k, c in enumerate(cents)]


def random_view(rng: np.random.Generator, n: int = 1_500) -> MarketView:
    """A random market with gaps, crossed rows, empty sides, missing levels and bursts."""
    waits = rng.choice([0, 2_000_000, 400_000_000, 3 * S, 40 * S], n, p=[0.1, 0.4, 0.2, 0.2, 0.1])
    rows = rows_module.empty(n, 0)
    rows.recv_ns[:] = START_NS + np.cumsum(waits)
    rows.valid[:] = rng.choice([VALID, CROSSED, INVALID], n, p=[0.97, 0.027, 0.003])
    mid = np.clip(4_000 + 100 * np.cumsum(rng.choice([-1, 0, 1], n, p=[0.05, 0.9, 0.05])), 1_500, 8_500)
    width = rng.integers(1, 5, n) * 100
    for px, qty, best, sign in (
        (rows.bid_px_e4, rows.bid_qty_e2, mid - width, -1),
        (rows.ask_px_e4, rows.ask_qty_e2, mid + width, 1),
    ):
        depth = rng.integers(1, LEVELS + 1, n) * (rng.random(n) > 0.02)
        for level in range(LEVELS):
            px[:, level] = np.where(depth > level, best + sign * 100 * level, -1)
            qty[:, level] = np.where(depth > level, rng.choice([1, 100, 2_500, 40_000], n), 0)
    crossed = rows.valid == CROSSED
    rows.ask_px_e4[crossed, 0] = rows.bid_px_e4[crossed, 0]
    quoted = quoted_rows(rows)
    close_ns = int(rows.recv_ns[-1]) + 1_800 * S
    rates = np.full(quoted.at.size, RATE_E6)
    return MarketView("recorded", rows, _random_messages(rng, rows), quoted, rates, close_ns)


def _random_messages(rng: np.random.Generator, rows: Rows) -> MarketRows:
    """A change for every row, with a print before a tenth of them, and a few block trades."""
    messages = []
    for second in ((rows.recv_ns - START_NS) / S).tolist():
        size = float(rng.choice([0.01, 3, 20, 250]))
        if rng.random() < 0.1:
            messages += [(second, TRADE, size, 0), (second, DELTA, -size, FLAG_FILL)]
        else:
            messages.append((second, DELTA, size * float(rng.choice([-1, 1])), 0))
        if rng.random() < 0.01:
            messages.append((second, TRADE, size, FLAG_BLOCK))
    return made_messages(messages)


# The plain reference: numbers of the definitions, written anew, row by row


def plain_values(views: Sequence[MarketView]) -> dict[str, list[float]]:
    """Values of every distribution over all markets."""
    found: dict[str, list[float]] = defaultdict(list)
    for view in views:
        for row in _plain_segments(view):
            for at in row:
                found["spread"].append((_ask(view, at) - _bid(view, at)) / 100)
                for level in range(LEVELS):
                    sizes = view.rows.bid_qty_e2[at, level], view.rows.ask_qty_e2[at, level]
                    found[f"depth of level {level + 1}"] += [float(size) / 100 for size in sizes]
        messages = view.messages
        for k in range(messages.kind.size):
            if messages.kind[k] == TRADE and not messages.flags[k] & FLAG_BLOCK:
                found["trade size"].append(float(messages.qty_e2[k]) / 100)
        for k in range(1, view.rows.valid.size):
            if view.rows.valid[k] != INVALID and view.rows.valid[k - 1] != INVALID:
                found["gap between messages"].append(
                    float(view.rows.recv_ns[k] - view.rows.recv_ns[k - 1]) / S
                )
        for at_ns, mid in (point for grid in _plain_grids(view) for point in grid):
            hours = (view.close_ns - at_ns) / (3_600 * S)
            found[f"price {_plain_bin(hours)} before close"].append(mid)
    return found


def _plain_bin(hours: float) -> str:
    if hours >= 24:
        return "over 24 h"
    for low, high, words in ((6, 24, "6 to 24 h"), (3, 6, "3 to 6 h"), (1, 3, "1 to 3 h")):
        if low <= hours < high:
            return words
    return "under 1 h"


def plain_numbers(views: Sequence[MarketView]) -> dict[str, float]:
    """Every number over all markets."""
    found: dict[str, float] = {}
    messages = [v.messages for v in views]
    kinds = [
        (int(m.kind[k]), int(m.qty_e2[k]), int(m.flags[k])) for m in messages for k in range(m.kind.size)
    ]
    adds = sum(k == DELTA and q > 0 for k, q, _ in kinds)
    removals = sum(k == DELTA and q < 0 for k, q, _ in kinds)
    fills = sum(k == TRADE and not f & FLAG_BLOCK for k, _, f in kinds)
    seconds = sum(float(v.messages.recv_ns[-1] - v.messages.recv_ns[0]) / S for v in views)
    found["share of adds"] = adds / (adds + removals)
    found["share of cancels"] = (removals - fills) / (adds + removals)
    found["share of fills"] = fills / (adds + removals)
    found["deltas a second"] = (adds + removals) / seconds
    segments = [(v, segment) for v in views for segment in _plain_segments(v)]
    steps = [(_mid(v, a), _mid(v, b)) for v, s in segments for a, b in pairwise(s)]
    found["rows that move the mid"] = sum(a != b for a, b in steps) / len(steps)
    grids = [[mid for _, mid in grid] for v in views for grid in _plain_grids(v)]
    squares = {q: [(g[k + q] - g[k]) ** 2 for g in grids for k in range(len(g) - q)] for q in (1, 5, 15, 30)}
    found["volatility"] = math.sqrt(np.mean(squares[1]))
    for q in (5, 15, 30):
        name = f"variance ratio, {q} min"
        found[name] = float(np.mean(squares[q]) / (q * np.mean(squares[1]))) if squares[q] else math.nan
    for n in (64, 256):
        pairs = []
        for v, s in segments:
            for k in range(len(s) - n):
                bid, ask = (float(np.sum(q[s[k]])) for q in (v.rows.bid_qty_e2, v.rows.ask_qty_e2))
                pairs.append(((bid - ask) / (bid + ask), _mid(v, s[k + n]) - _mid(v, s[k])))
        x, y = np.array(pairs).T
        found[f"imbalance R2, {n} rows ahead"] = float(np.corrcoef(x, y)[0, 1] ** 2)
        led = [math.copysign(1, a) * b for a, b in pairs if abs(a) > 0.5]
        found[f"move towards imbalance, {n} rows ahead"] = sum(led) / len(led)
    found["taker ahead after 5 min"] = _plain_taker(segments)
    return found


def _plain_taker(segments: Sequence[tuple[MarketView, list[int]]]) -> float:
    ahead = all_ = 0
    for v, s in segments:
        for a in s:
            until = v.rows.recv_ns[a] + 300 * S
            if until > v.rows.recv_ns[s[-1]]:
                continue
            later = [b for b in s if v.rows.recv_ns[b] <= until][-1]
            mid_e6 = _mid(v, later) * 10_000
            gain_yes = mid_e6 - _ask(v, a) * 100 - model_fee_e6(RATE_E6, _ask(v, a), 100)
            gain_no = _bid(v, a) * 100 - mid_e6 - model_fee_e6(RATE_E6, _bid(v, a), 100)
            ahead += gain_yes > 0 or gain_no > 0
            all_ += 1
    return ahead / all_ if all_ else math.nan


def _plain_segments(view: MarketView) -> list[list[int]]:
    """Places of the quoted rows of every segment."""
    found: list[list[int]] = [[]]
    for k in range(view.rows.valid.size):
        if view.rows.valid[k] == INVALID:
            found.append([])
        elif view.rows.valid[k] == VALID and _bid(view, k) >= 0 and _ask(view, k) >= 0:
            found[-1].append(k)
    return [segment for segment in found if segment]


def _plain_grids(view: MarketView) -> list[list[tuple[int, float]]]:
    """(time, mid in cents) every minute of every segment."""
    grids = []
    for segment in _plain_segments(view):
        grid, now = [], int(view.rows.recv_ns[segment[0]])
        while now <= view.rows.recv_ns[segment[-1]]:
            at = [k for k in segment if view.rows.recv_ns[k] <= now][-1]
            grid.append((now, _mid(view, at)))
            now += 60 * S
        grids.append(grid)
    return grids


def _bid(view: MarketView, at: int) -> int:
    return int(view.rows.bid_px_e4[at, 0])


def _ask(view: MarketView, at: int) -> int:
    return int(view.rows.ask_px_e4[at, 0])


def _mid(view: MarketView, at: int) -> float:
    return (_bid(view, at) + _ask(view, at)) / 200


def pooled_side(views: Sequence[MarketView]) -> Side:
    """A side of these markets, each a unit of its own."""
    gathering = Gathering(len(views))
    own = tuple(MarketUnits(k, 1, 0, 0) for k in range(len(views)))
    for view, units in zip(views, own, strict=True):
        gathering.add(view, units)
    return gathering.side(Units(len(views), False, own), ("E",), 0, {"recorded": len(views)})
