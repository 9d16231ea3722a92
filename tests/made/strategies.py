"""Valid event streams for property tests: any choice of operations becomes a stream the exchange could send.

``row_streams()`` is the hypothesis strategy (it shrinks to few, small operations); ``random_rows()`` the
same from a numpy generator, for long streams. Both go through :func:`made_rows`, which keeps a plain
book so that deltas never take more than a level holds, and numbers messages by seq.
Import it as ``from strategies import event_streams``: pytest puts this folder on the path.
"""

from collections.abc import Iterable
from typing import Literal

import numpy as np
from hypothesis import strategies as st

from kalshi_platform.data.market_data import schema
from kalshi_platform.data.market_data.schema import (
    DELTA,
    FLAG_BLOCK,
    FLAG_FILL,
    FLAG_LAST,
    FLAG_START,
    GAP,
    NO,
    NO_SIDE,
    QUOTE,
    SNAPSHOT,
    STATUS,
    STATUS_ACTIVE,
    STATUS_CLOSED,
    STATUS_PAUSED,
    TRADE,
    YES,
    MarketRows,
)

Knowledge = Literal["levels", "quotes", "prints"]
#: One operation: what, ns since the previous message, side, tick number, size, and a free choice.
Op = tuple[str, int, int, int, int, int]

START_NS = 1_680_000_000_000_000_000  # 2023-03-28, a Tuesday
#: Which operations a source of each knowledge can send, and how often in random streams.
MIX: dict[Knowledge, dict[str, float]] = {
    "levels": {"delta": 0.84, "trade": 0.08, "snapshot": 0.05, "gap": 0.01, "status": 0.01, "block": 0.01},
    "quotes": {"quote": 0.9, "trade": 0.05, "gap": 0.02, "status": 0.03},
    "prints": {"trade": 0.9, "gap": 0.03, "status": 0.03, "block": 0.04},
}
_GAPS_NS = (0, 1, 1_000_000, 99_999_999, 100_000_000, 5_000_000_000, 10_000_000_000, 60_000_000_000)
_LONG_GAPS_NS = (300_000_000_000, 3_600_000_000_000, 86_400_000_000_000, 40 * 86_400_000_000_000)
_SIZES_E2 = (1, 100, 1_050, 1_000_000, 10_000_000_000)


class _Writer:
    """Collects rows of messages; holds the plain book that keeps deltas possible."""

    def __init__(self, tick_e4: int) -> None:
        self.tick_e4 = tick_e4
        self.rows: list[tuple[int, int, int, int, int, int, int]] = []
        self.depth: dict[tuple[int, int], int] = {}
        self.synced = False
        self.now_ns = START_NS
        self.seq = 0

    def message(self, rows: list[tuple[int, int, int, int, int]]) -> None:
        """Append rows (kind, side, price_e4, qty_e2, flags); the last one ends the message."""
        self.seq += 1
        for n, (kind, side, price_e4, qty_e2, flags) in enumerate(rows):
            last = FLAG_LAST if n == len(rows) - 1 else 0
            self.rows.append((self.now_ns, self.seq, kind, side, price_e4, qty_e2, flags | last))

    def snapshot(self, side: int, price_e4: int, qty_e2: int, n_levels: int) -> None:
        self.depth.clear()
        self.synced = True
        levels = []
        for n in range(n_levels):
            price = (price_e4 + n * self.tick_e4) % (10_000 + self.tick_e4)
            key = ((side + n) % 2, price)
            self.depth[key] = qty_e2 + n
            levels.append((SNAPSHOT, *key, qty_e2 + n, 0))
        self.message([(SNAPSHOT, NO_SIDE, -1, 0, FLAG_START), *levels])

    def delta(self, side: int, price_e4: int, qty_e2: int, choice: int) -> None:
        if choice % 2 and self.depth:  # take from a level that holds something, all of it every other time
            key = list(self.depth)[choice % len(self.depth)]
            change = -self.depth[key] if choice % 4 == 1 else -min(qty_e2, self.depth[key])
        else:
            key, change = (side, price_e4), qty_e2
        left = self.depth.get(key, 0) + change
        if self.synced:
            self.depth[key] = left
            if left == 0:
                del self.depth[key]
        flags = FLAG_FILL if change < 0 and choice % 3 == 0 else 0
        self.message([(DELTA, *key, change, flags)])


def made_rows(ops: Iterable[Op], tick_e4: int = 100) -> MarketRows:
    """The stream the operations describe; prices are ticks of ``tick_e4``, one message an operation."""
    out = _Writer(tick_e4)
    n_ticks = 10_000 // tick_e4
    for what, gap_ns, side, tick, qty_e2, choice in ops:
        out.now_ns += gap_ns
        price_e4 = tick % (n_ticks + 1) * tick_e4
        if what == "snapshot":
            out.snapshot(side, price_e4, qty_e2, choice % 8)
        elif what == "delta":
            out.delta(side, price_e4, qty_e2, choice)
        elif what == "trade":
            rows = [(TRADE, side, price_e4, qty_e2, 0)] * (1 + choice % 2)
            out.message([*rows, (TRADE, choice % 2, price_e4, qty_e2, 0)] if choice % 5 == 0 else rows)
        elif what == "block":
            out.message([(TRADE, side, price_e4, qty_e2, FLAG_BLOCK)])
        elif what == "quote":
            size = -1 if choice % 2 else qty_e2
            other = -1 if choice % 7 == 0 else (10_000 - price_e4) // tick_e4 // 2 * tick_e4
            out.message([(QUOTE, side, price_e4, size, 0), (QUOTE, 1 - side, other, size, 0)])
        elif what == "gap":
            out.depth.clear()
            out.synced = False
            out.message([(GAP, NO_SIDE, -1, -1, 0)])
        else:
            status = (STATUS_ACTIVE, STATUS_PAUSED, STATUS_ACTIVE, STATUS_CLOSED)[choice % 4]
            out.message([(STATUS, NO_SIDE, -1, status, 0)])
    return _columns(out.rows)


def _columns(rows: list[tuple[int, int, int, int, int, int, int]]) -> MarketRows:
    out = schema.empty(len(rows))
    if rows:
        names = ("recv_ns", "seq", "kind", "side", "price_e4", "qty_e2", "flags")
        for name, values in zip(names, zip(*rows, strict=True), strict=True):
            getattr(out, name)[:] = values
    return out


@st.composite
def row_streams(
    draw: st.DrawFn,
    knowledge: Knowledge | None = None,
    tick_e4: int = 100,
    max_messages: int = 60,
    starts_synced: bool = False,
) -> MarketRows:
    """Any valid stream of a source that knows levels, quotes or prints (drawn where None).

    Holds gaps, pauses, empty sides, prices 0 and 1, huge sizes and equal times; ``starts_synced`` puts a
    snapshot first.
    """
    known = knowledge or draw(st.sampled_from(sorted(MIX)))
    op = st.tuples(
        st.sampled_from(sorted(MIX[known])),
        st.sampled_from(_GAPS_NS + _LONG_GAPS_NS) | st.integers(0, 20_000_000_000),
        st.sampled_from((YES, NO)),
        st.integers(0, 10_000 // tick_e4),
        st.sampled_from(_SIZES_E2) | st.integers(1, 100_000),
        st.integers(0, 1_000),
    )
    ops: list[Op] = draw(st.lists(op, max_size=max_messages))
    if starts_synced:
        ops = [("snapshot", 0, YES, draw(st.integers(0, 99)), 1_000, draw(st.integers(0, 7))), *ops]
    return made_rows(ops, tick_e4)


def random_rows(
    rng: np.random.Generator,
    n_messages: int,
    knowledge: Knowledge = "levels",
    tick_e4: int = 100,
    mean_gap_ns: int = 1_000_000_000,
) -> MarketRows:
    """A long stream from ``rng``: the same operations as :func:`event_streams`, snapshot first."""
    names = list(MIX[knowledge])
    what = rng.choice(names, n_messages, p=list(MIX[knowledge].values()))
    gaps = rng.exponential(mean_gap_ns, n_messages).astype(np.int64)
    side, choice = rng.integers(0, 2, n_messages), rng.integers(0, 1_000, n_messages)
    # two humps, so that YES and NO bids seldom cross
    tick = (rng.normal(0.42, 0.06, n_messages).clip(0, 1) * 10_000 / tick_e4).astype(np.int64)
    size = rng.integers(1, 50_000, n_messages)
    ops: list[Op] = [
        (str(w), int(g), int(s), int(t), int(q), int(c))
        for w, g, s, t, q, c in zip(what, gaps, side, tick, size, choice, strict=True)
    ]
    if knowledge == "levels":
        ops = [("snapshot", 0, YES, int(0.4 * 10_000 / tick_e4), 1_000, 7), *ops]
    return made_rows(ops, tick_e4)
