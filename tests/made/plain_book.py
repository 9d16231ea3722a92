"""A market's recording read in plain Python: books, what stands where, and which rows may be traded.

Written from the words of ``data/market_data/schema.py`` and of the exchange, for tests that hold the compiled
replay against it. It shares no code with the kernels: dictionaries, one message after the other.

Units  prices 1e-4 dollar, sizes 1e-2 contract, times ns.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

SNAPSHOT, DELTA, TRADE, QUOTE, GAP, STATUS, _, FACTS = range(8)
YES, NO, NOBODY = 0, 1, 255
START, LAST, BLOCK = 1, 2, 8
ACTIVE = 1
UNKNOWN = -1
FIVE_MS = 5_000_000


@dataclass
class View:
    """What one message leaves: five levels a side on the YES scale, best first, and what it printed."""

    recv_ns: int
    exch_ns: int | None
    tradable: bool
    crossed: bool
    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]
    print_side: int | None
    print_price: int
    print_size: int
    step: int  # how often facts of the market had been told
    burst_ends: bool = True

    def opposite(self, up: bool) -> list[tuple[int, int]]:
        """The levels that a buyer of YES (``up``) or a seller meets."""
        return self.asks if up else self.bids

    def own(self, up: bool) -> list[tuple[int, int]]:
        return self.bids if up else self.asks


@dataclass
class PlainBook:
    """One market between two messages."""

    kind: str = "nothing"  # nothing, levels, quotes, prints
    proven: bool = False
    status: int = ACTIVE
    bids: dict[int, dict[int, int]] = field(default_factory=lambda: {YES: {}, NO: {}})
    quoted: set[int] = field(default_factory=set)

    def empty(self) -> None:
        self.bids = {YES: {}, NO: {}}
        self.quoted = set()

    def apply(self, kind: int, side: int, price: int, size: int, flags: int) -> None:
        if kind == SNAPSHOT and flags & START:
            self.empty()
            self.kind, self.proven = "levels", True
        elif kind in (SNAPSHOT, DELTA):
            if self.kind == "levels" and self.proven:
                have = self.bids[side].pop(price, 0)
                left = size if kind == SNAPSHOT else have + size
                if left:
                    self.bids[side][price] = left
        elif kind == QUOTE:
            self.quote(side, price, size)
        elif kind == TRADE and not flags & BLOCK:
            self.trade(side, price)
        elif kind == GAP:
            self.empty()
            self.proven = False
        elif kind == STATUS:
            self.status = size

    def quote(self, side: int, price: int, size: int) -> None:
        if self.kind != "quotes":
            self.empty()
            self.kind, self.proven = "quotes", False
        self.bids[side] = {} if price < 0 else {price: size}
        self.quoted.add(side)
        self.proven |= len(self.quoted) == 2

    def trade(self, taker: int, yes_price: int) -> None:
        """A print shows the price of the bid it met, where nothing else shows the book."""
        if self.kind == "nothing":
            self.kind = "prints"
        if self.kind != "prints":
            return
        self.proven = True
        met = NO if taker == YES else YES
        own = yes_price if met == YES else 10_000 - yes_price
        self.bids[met] = {own: UNKNOWN}
        if any(other + own >= 10_000 for other in self.bids[taker]):
            self.bids[taker] = {}

    def levels(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        best = [sorted(self.bids[side].items(), reverse=True)[:5] for side in (YES, NO)]
        return best[0], [(10_000 - price, size) for price, size in best[1]]


def views(rows, closes: Sequence[int | None] = (None,)) -> list[View]:
    """A view for each message of the columns ``rows``, with the ends of bursts.

    ``closes``: the market's close as it was known at the start and after each FACTS row; None: unknown.
    """
    book, out, step = PlainBook(), [], 0
    broken, side, price, size = False, None, -1, 0
    columns = (column.tolist() for column in rows)
    for recv, exch, _, _, kind, row_side, row_price, row_size, flags in zip(*columns, strict=True):
        of_prints = book.kind == "prints"
        book.apply(kind, row_side, row_price, row_size, flags)
        step = row_size if kind == FACTS else step
        broken |= kind == GAP or (of_prints and book.kind != "prints")
        if kind == TRADE and not flags & BLOCK:
            size = row_size + (size if (side, price) == (row_side, row_price) else 0)
            side, price = row_side, row_price
        if flags & LAST:
            bids, asks = book.levels()
            closed = closes[step] is not None and recv >= closes[step]
            tradable = book.proven and book.status == ACTIVE and not broken and not closed
            crossed = bool(tradable and book.kind != "prints" and bids and asks and bids[0][0] >= asks[0][0])
            out.append(
                View(recv, None if exch < 0 else exch, tradable, crossed, bids, asks, side, price, size, step)
            )
            broken, side, price, size = False, None, -1, 0
    first = 0
    for i in range(1, len(out)):
        a, b = out[first], out[i]
        if a.exch_ns is not None and b.exch_ns is not None:
            together = a.exch_ns == b.exch_ns
        else:
            together = b.recv_ns - a.recv_ns <= FIVE_MS
        together = together and a.tradable and b.tradable
        out[i - 1].burst_ends = not together
        first = first if together else i
    return out


def runs(seen: list[View]) -> list[tuple[int, int]]:
    """(first, one past the last) of the unbroken runs of tradable views, of two or more."""
    out, start = [], None
    for i, view in enumerate([*seen, None]):
        if view is not None and view.tradable:
            start = i if start is None else start
        else:
            if start is not None and i - start >= 2:
                out.append((start, i))
            start = None
    return out
