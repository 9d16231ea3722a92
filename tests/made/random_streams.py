"""Random recordings of one market in which everything happens that decides fills.

Bursts that sweep the bids with and without prints, books crossed amid a burst and for longer, gaps, pauses,
closes, block trades, prints that come late, quotes and prints alone. Sizes go down to 0.01 contract.
"""

import numpy as np

from kalshi_platform.data.market_data import schema
from kalshi_platform.data.market_data.schema import (
    DELTA,
    FACTS,
    FLAG_BLOCK,
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
from kalshi_platform.domain.fee_schedule import constant_fees
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.domain.market_history import KnownFacts, MarketHistory
from made.market_rows import CENTS, TAPERED, TENTHS

MS = 1_000_000
GRIDS = CENTS, TAPERED, TENTHS
#: A Tuesday evening, and two Thursdays at 03:00 in New York, in winter and in summer.
QUIET_NS, *PAUSES_NS = (s * 1_000 * MS for s in (1_700_000_000, 1_700_121_600, 1_689_231_600))
PAUSE_NS = 7_200_000 * MS
Change = tuple[int, int, int, int, int]  # kind, side, price, size, flags


class RandomStream:
    """Writes a recording message by message; every method adds one burst."""

    def __init__(self, rng: np.random.Generator, known: str, fine: bool) -> None:
        """``known``: levels, quotes or prints; ``fine``: prices in tenths of a cent at the edges."""
        self.rng, self.known, self.fine = rng, known, fine
        self.mid = int(rng.integers(15, 85)) * 100
        self.books: dict[int, dict[int, int]] = {YES: {}, NO: {}}
        self.columns: list[tuple[int, int, *Change]] = []
        self.now = self._start_ns()
        self.exch: int | None = None
        #: Close as known at the start and after each FACTS row, None = unknown; the grid likewise.
        self.closes: list[int | None] = [self._close_ns()]
        self.grids = [int(rng.integers(0, 3))]

    def _start_ns(self) -> int:
        """Mostly a quiet time; else shortly before the weekly pause begins or ends."""
        pause = self.rng.choice([0, *PAUSES_NS], p=[0.7, 0.15, 0.15])
        if not pause:
            return QUIET_NS
        return (
            int(pause) + int(self.rng.integers(0, 2)) * PAUSE_NS - int(self.rng.integers(1, 60)) * 1_000 * MS
        )

    def _close_ns(self) -> int | None:
        return self.now + int(self.rng.integers(5, 300)) * 1_000 * MS if self.rng.random() < 0.25 else None

    # Writing

    def say(self, *changes: Change) -> None:
        """One message; the receive time creeps on within a burst."""
        exch = -1 if self.exch is None or self.rng.random() < 0.05 else self.exch
        for n, (*row, flags) in enumerate(changes, start=1):
            last = FLAG_LAST if n == len(changes) else 0
            self.columns.append((self.now, exch, *row, flags | last))
        self.now += int(self.rng.choice([0, 0, MS // 2, 2 * MS, 6 * MS], p=[0.4, 0.2, 0.2, 0.15, 0.05]))

    def wait(self) -> None:
        """A new burst begins."""
        self.now += int(self.rng.choice([0, MS, 3 * MS, 8 * MS, 300 * MS, 2_000 * MS, 30_000 * MS]))
        self.exch = None if self.rng.random() < 0.3 else self.now - int(self.rng.integers(0, 40)) * MS

    def size(self) -> int:
        return int(self.rng.choice([1, 37, 100, 450, 1_000, 5_000]))

    def tick(self, price: int) -> int:
        return 10 if self.fine and (price < 1_000 or price > 9_000) else 100

    def near(self, side: int, away: int) -> int:
        """An own-side bid price ``away`` ticks below the middle."""
        middle = self.mid if side == YES else 10_000 - self.mid
        price = middle - away * self.tick(middle)
        price -= price % self.tick(price)
        return min(max(price, 100), 9_900)

    def delta(self, side: int, price: int, size: int) -> Change:
        """Change of the level by ``size``, never below zero."""
        book = self.books[side]
        left = max(book.get(price, 0) + size, 0)
        size = left - book.get(price, 0)
        book[price] = left
        if not left:
            del book[price]
        return DELTA, side, price, size, 0

    def best(self, side: int) -> int | None:
        return max(self.books[side], default=None)

    def trade(self, taker: int, own_bid: int, size: int, flags: int = 0) -> Change:
        """A print against the bid ``own_bid`` of the other side."""
        return TRADE, taker, own_bid if taker == NO else 10_000 - own_bid, size, flags

    def snapshot(self) -> None:
        self.books = {YES: {}, NO: {}}
        for side in (YES, NO):
            for _ in range(int(self.rng.integers(0, 9))):
                self.books[side][self.near(side, int(self.rng.integers(1, 9)))] = self.size()
        levels = [(SNAPSHOT, s, p, q, 0) for s in (YES, NO) for p, q in self.books[s].items()]
        self.say((SNAPSHOT, NO_SIDE, -1, 0, FLAG_START), *levels)

    # Bursts

    def noise(self) -> None:
        side = int(self.rng.integers(0, 2))
        for _ in range(int(self.rng.integers(1, 4))):
            price = self.near(side, int(self.rng.integers(0, 7)))
            held = self.books[side].get(price, 0)
            gone = held and self.rng.random() < 0.5
            self.say(self.delta(side, price, -held if gone else self.size()))

    def sweep(self) -> None:
        """A taker meets the best bids of one side and leaves the rest as a bid of its own, in any order."""
        hit = int(self.rng.integers(0, 2))
        prices = sorted(self.books[hit], reverse=True)[: int(self.rng.integers(1, 4))]
        parts: list[tuple[Change, ...]] = []
        for price in prices:
            size = min(self.books[hit][price], self.size())
            print_, change = self.trade(1 - hit, price, size), self.delta(hit, price, -size)
            parts += [(print_, change)] if self.rng.random() < 0.5 else [(print_,), (change,)]
        if prices and self.rng.random() < 0.7:
            parts.append((self.delta(1 - hit, 10_000 - prices[-1], self.size()),))
            self.mid = min(max(prices[-1] if hit == YES else 10_000 - prices[-1], 1_000), 9_000)
        for k in self.rng.permutation(len(parts)) if self.rng.random() < 0.5 else range(len(parts)):
            self.say(*parts[k])

    def jump(self) -> None:
        """The market moves without a print: one side is taken away, the other follows, before or after."""
        up = bool(self.rng.integers(0, 2))
        gone, come = (NO, YES) if up else (YES, NO)
        self.mid = min(max(self.mid + (1 if up else -1) * int(self.rng.integers(1, 5)) * 100, 800), 9_200)
        limit = 10_000 - self.near(come, 1)
        parts = [(self.delta(gone, p, -q),) for p, q in list(self.books[gone].items()) if p >= limit]
        parts.append((self.delta(come, self.near(come, 1), self.size()),))
        for k in self.rng.permutation(len(parts)):
            if self.rng.random() < 0.95:  # else it stays: the book may stand crossed
                self.say(*parts[k])
            else:
                (_, side, price, size, _), *_ = parts[k]
                self.delta(side, price, -size)

    def uncross(self) -> None:
        """Take away what crosses, of one side or the other, as the exchange does at once."""
        side = int(self.rng.integers(0, 2))
        other = self.best(1 - side)
        for price, size in list(self.books[side].items()):
            if other is not None and price + other >= 10_000:
                self.say(self.delta(side, price, -size))

    def late_print(self) -> None:
        """A print of another source, joined by time alone."""
        for _ in range(int(self.rng.integers(1, 3))):
            taker = int(self.rng.integers(0, 2))
            price = self.near(1 - taker, int(self.rng.integers(-2, 5)))
            self.say(self.trade(taker, price, self.size(), FLAG_BLOCK if self.rng.random() < 0.1 else 0))

    def quote(self) -> None:
        self.mid = min(max(self.mid + int(self.rng.integers(-2, 3)) * 100, 800), 9_200)
        for side in (YES, NO):
            if self.rng.random() < 0.8:
                price = self.near(side, int(self.rng.integers(0, 3))) if self.rng.random() < 0.93 else -1
                size = self.size() if self.rng.random() < 0.4 else -1
                self.say((QUOTE, side, price, 0 if price < 0 else size, 0))

    def lost(self) -> None:
        self.say((GAP, NO_SIDE, -1, -1, 0))
        if self.known == "levels":
            self.wait()
            self.noise()
            self.snapshot()

    def tell(self) -> None:
        """The exchange tells another close or another grid."""
        self.closes.append(self._close_ns())
        self.grids.append(int(self.rng.integers(0, 3)))
        self.say((FACTS, NO_SIDE, -1, len(self.closes) - 1, 0))

    def history(self, spec: MarketSpec, close_ns: int | None = None) -> MarketHistory:
        """What was known of the market, and when trading really ended."""
        known = tuple(
            KnownFacts(known_ns=None if k == 0 else k, close_ns=close, price_ranges=GRIDS[grid])
            for k, (close, grid) in enumerate(zip(self.closes, self.grids, strict=True))
        )
        return MarketHistory(known=known, fees=constant_fees(spec), close_ns=close_ns)

    def pause(self) -> None:
        self.say((STATUS, NO_SIDE, -1, STATUS_PAUSED, 0))
        self.wait()
        self.late_print()
        self.say((STATUS, NO_SIDE, -1, STATUS_ACTIVE, 0))

    def write(self, n_bursts: int) -> MarketRows:
        """The recording of ``n_bursts`` bursts."""
        bursts, share = {
            "levels": (
                (
                    self.noise,
                    self.sweep,
                    self.jump,
                    self.late_print,
                    self.snapshot,
                    self.lost,
                    self.pause,
                    self.tell,
                ),
                (0.31, 0.29, 0.24, 0.1, 0.01, 0.01, 0.01, 0.03),
            ),
            "quotes": (
                (self.quote, self.late_print, self.lost, self.pause, self.tell),
                (0.64, 0.3, 0.02, 0.02, 0.02),
            ),
            "prints": ((self.late_print, self.lost, self.pause, self.tell), (0.94, 0.02, 0.02, 0.02)),
        }[self.known]
        if self.known == "levels":
            self.snapshot()
        for pick in self.rng.choice(len(bursts), n_bursts, p=share):
            self.wait()
            bursts[pick]()
            if self.rng.random() < 0.85:
                self.uncross()
        if self.rng.random() < 0.4:
            self.say((STATUS, NO_SIDE, -1, STATUS_CLOSED, 0))
        rows = schema.empty(len(self.columns))
        names = ("recv_ns", "exch_ns", "kind", "side", "price_e4", "qty_e2", "flags")
        for name, values in zip(names, zip(*self.columns, strict=True), strict=True):
            getattr(rows, name)[:] = values
        return rows
