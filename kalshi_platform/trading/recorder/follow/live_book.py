"""Book of one recorded market as the stream tells it, kept to be compared with REST, and its proof.

Reads      rows of the one decoder (``data/market_data/decode.py``), never frames.
Invariant  ``proven`` is True from the last row of a snapshot on, until a GAP or a level that would fall below
           zero: exactly as long as an importer takes the book for valid, before it looks at prices.
Units      levels[side]: {own-side bid price, 1e-4 dollar: size, 1e-2 contract}
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from kalshi_platform.data.market_data.schema import (
    DELTA,
    FLAG_LAST,
    FLAG_START,
    GAP,
    NO,
    SNAPSHOT,
    STATUS,
    STATUS_DETERMINED,
    STATUS_SETTLED,
    TRADE,
    YES,
    MarketRows,
)
from kalshi_platform.domain.units import DOLLAR_E4


class Top(NamedTuple):
    """Best YES bid and best YES ask with their sizes; None where the side is empty."""

    bid_e4: int | None
    bid_e2: int
    ask_e4: int | None
    ask_e2: int


class Change(NamedTuple):
    """The proof of a book began or ended, or its market did."""

    recv_ns: int
    proven: bool
    ended: bool = False  # the outcome is determined: nobody trades any more


@dataclass
class LiveBook:
    """Levels of one market and whether they are proven."""

    levels: tuple[dict[int, int], dict[int, int]] = field(default_factory=lambda: ({}, {}))
    proven: bool = False
    changed_ns: int = 0  # recv_ns of the last row of the book
    trades: int = 0
    below_zero: int = 0  # deltas that took more than their level held
    shown: list["Top"] | None = None  # every top since somebody began to watch; None: nobody does

    def apply(self, rows: MarketRows) -> Iterator[Change]:
        """Take rows in order; yields every change of the proof."""
        columns = (
            c.tolist() for c in (rows.recv_ns, rows.kind, rows.side, rows.price_e4, rows.qty_e2, rows.flags)
        )
        for recv_ns, kind, side, price_e4, qty_e2, flags in zip(*columns, strict=True):
            if kind == DELTA:
                if self.proven and not self._add(side, price_e4, qty_e2):
                    self.proven = False
                    yield Change(recv_ns, False)
                self.changed_ns = recv_ns
            elif kind == SNAPSHOT:
                yield from self._snapshot_row(recv_ns, side, price_e4, qty_e2, flags)
            elif kind == TRADE:
                self.trades += 1
            elif kind == GAP and self.proven:
                self.proven = False
                yield Change(recv_ns, False)
            elif kind == STATUS and qty_e2 in (STATUS_DETERMINED, STATUS_SETTLED):
                yield Change(recv_ns, self.proven, ended=True)
            if self.shown is not None and flags & FLAG_LAST and (top := self.top()) != self.shown[-1]:
                self.shown.append(top)

    def watch(self) -> None:
        """Keep every top from now on in ``shown``, the present one first."""
        self.shown = [self.top()]

    def top(self) -> Top:
        """Best prices and sizes now."""
        yes, no = self.levels
        bid, no_bid = max(yes, default=None), max(no, default=None)
        ask = None if no_bid is None else DOLLAR_E4 - no_bid
        return Top(bid, 0 if bid is None else yes[bid], ask, 0 if no_bid is None else no[no_bid])

    def _snapshot_row(
        self, recv_ns: int, side: int, price_e4: int, qty_e2: int, flags: int
    ) -> Iterator[Change]:
        """Take one row of a snapshot; the last one proves the book."""
        if flags & FLAG_START:
            for levels in self.levels:
                levels.clear()
        elif side in (YES, NO):
            self.levels[side][price_e4] = qty_e2
        self.changed_ns = recv_ns
        if flags & FLAG_LAST and not self.proven:
            self.proven = True
            yield Change(recv_ns, True)

    def _add(self, side: int, price_e4: int, qty_e2: int) -> bool:
        """Change one level; False where it would hold less than nothing."""
        levels = self.levels[side]
        left = levels.get(price_e4, 0) + qty_e2
        if left < 0:
            self.below_zero += 1
            return False
        if left:
            levels[price_e4] = left
        else:
            levels.pop(price_e4, None)
        return True
