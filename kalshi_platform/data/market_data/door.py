"""The one door: every row of a market passes here once, before any book or feature is made of it.

Owns       the clock, the grids and the sizes of the price levels of one market, against which the door checks
           its rows, and the knowledge whether the market has a book, and whether to believe it.
Refused    a message that breaks a rule of ``faults.py``; its market has lost its book. A live session refuses
           the frame (:meth:`Door.admit`, :meth:`Door.lose`); importing puts the message aside and goes on
           (:meth:`Door.admit_recording`). Both leave the same rows.
GAP        in place of a delta that takes more from a price level than the level holds, and before a message
           at which the book has contradicted itself, the prints or the tickers for too long
           (``book_checks.py``): a message was lost or altered where no sequence number shows it, so the book
           is invalid until its next proof, a snapshot or a quote of both sides that is not crossed
Dropped    a delta before the first snapshot, or between a GAP and the next snapshot: it has no book to
           change; a crossed quote after a GAP: it proves nothing; every ticker
Counted    every GAP made here, by cause, and every row dropped
Invariant  rows have the same fate however they are cut: one message at a time (``serving/live/market.py``) or
           a whole recording at once (``importers/run.py``). Importing and live trading agree because both
           stand behind this door.
Grid       a new order must be on the grid in force at its time. Orders that rest when the grid changes stay,
           so that takes from a level, prints, quotes and snapshots may show prices of an earlier grid.
Told       a grid told by a frame is in force from its FACTS row on, here as in replay (``history.py``).
           Importing counts the changes (``grid_changed``). A grid inferred from the prices of a recording is
           in force from its first row in replay, live from the price that showed it.
Not here   lost messages that sequence numbers show: ``sequence.py``, used by both through ``decode.py``; the
           rows that a fate leaves: ``fates.py``.
"""

from collections import Counter
from dataclasses import replace
from math import gcd
from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.data.market_data.book_checks import BEST, LAST_NS, TICK_E4, lose_book, new_marks
from kalshi_platform.data.market_data.facts import MarketFacts
from kalshi_platform.data.market_data.fates import MESSAGE_LOST, REFUSED, apply_fates
from kalshi_platform.data.market_data.faults import (
    EARLIER,
    IN_FORCE,
    OFF_GRID,
    Fault,
    Origin,
    refusal,
    refuse,
)
from kalshi_platform.data.market_data.gaps import gap_in_place_of
from kalshi_platform.data.market_data.history import spec_with_facts
from kalshi_platform.data.market_data.judging import end_of_message, judge
from kalshi_platform.data.market_data.market_meta import coarsest_grid, grid_table
from kalshi_platform.data.market_data.price_levels import finer_levels, new_levels
from kalshi_platform.data.market_data.schema import (
    DELTA,
    FACTS,
    FLAG_START,
    NO,
    QUOTE,
    SNAPSHOT,
    TICKER,
    TRADE,
    MarketRows,
    take,
)
from kalshi_platform.domain.market import MarketSpec, PriceBand
from kalshi_platform.domain.units import DOLLAR_E4

#: Kinds of rows whose loss changes no book.
_NO_BOOK: Final = (TRADE, TICKER, FACTS)


class Refusal(NamedTuple):
    """One message that importing put aside."""

    rule: int
    n_rows: int
    words: str


class Door:
    """Door of one market: the facts known of the market, and the check that its rows must pass.

    ``spec`` carries the grid in force; ``tick_e4`` is the spacing of a ladder that holds every price that has
    passed, whatever grid was in force.
    """

    def __init__(self, spec: MarketSpec, declared: bool) -> None:
        """Open the door; ``declared``: a source names the grid of ``spec``, it is not just the default."""
        self.spec = spec
        self.tick_e4 = spec.tick_e4
        #: Grid that the prices show, where none is declared.
        self.inferred: tuple[PriceBand, ...] | None = None
        self._declared = declared
        self._told: tuple[PriceBand, ...] | None = None
        self._grid = grid_table(spec.price_ranges).astype(np.uint8) * np.uint8(IN_FORCE)
        self._depth = new_levels(spec.tick_e4)
        self._marks = new_marks(spec.tick_e4)

    def size_e2(self, side: int, price_e4: int) -> int:
        """Size that the book holds at a price, by everything that passed."""
        return int(self._depth[side, price_e4 // self.tick_e4])

    @property
    def is_declared(self) -> bool:
        """True where a source names the grid in force."""
        return self._declared

    def take_facts(self, facts: MarketFacts) -> None:
        """Hold the facts of lifecycle frames for true from the next row on.

        They beat the specification. A grid that was not told before is in force from now on; if it equals the
        grid in force nothing changes: an undeclared grid still follows the prices.
        """
        self.spec = spec_with_facts(self.spec, replace(facts, price_ranges=None))
        if facts.price_ranges is None or facts.price_ranges == self._told:
            return
        self._told = facts.price_ranges
        if facts.price_ranges != self.spec.price_ranges:
            self._declared = True
            self._set_grid(facts.price_ranges)

    def admit(self, rows: MarketRows, origin: Origin, counters: Counter[str]) -> MarketRows:
        """Return those of ``rows`` that pass the door, with the GAPs that the door puts in.

        ``rows`` are whole messages, and they follow the rows admitted before. They come back as the same
        object where every row passes. DataError names the first message that breaks a rule; the messages
        before it are in the door's state, and the caller stops or calls :meth:`lose`. ``counters`` counts the
        rows dropped and the GAPs.
        """
        fate, before_ns = self._fates(rows, origin)
        if not (fate[0] if fate.size == 1 else fate.any()):
            return rows
        return apply_fates(rows, fate, before_ns, counters)[0]

    def trace(
        self, rows: MarketRows, origin: Origin, counters: Counter[str]
    ) -> tuple[MarketRows, np.ndarray]:
        """Return what passes, as :meth:`admit` does, and the (m,) position in ``rows`` each row came from."""
        fate, before_ns = self._fates(rows, origin)
        if not fate.any():
            return rows, np.arange(fate.size)
        return apply_fates(rows, fate, before_ns, counters)

    def _fates(self, rows: MarketRows, origin: Origin) -> tuple[np.ndarray, int]:
        """Fates (n,) u1 of rows, and the time of the row before them; DataError as :meth:`admit`."""
        fate, before_ns = np.zeros(rows.kind.size, np.uint8), int(self._marks[LAST_NS])
        fault, _ = self._judge(rows, fate, 0)
        if fault is not None:
            refuse(rows, self.spec, origin, fault)
        return fate, before_ns

    def admit_recording(
        self, rows: MarketRows, origin: Origin, counters: Counter[str]
    ) -> tuple[MarketRows, list[Refusal]]:
        """Return those of ``rows`` that pass, and the messages that were put aside because they break a rule.

        Where such a message may have changed the book, a GAP stands in its place, as in a live session that
        refuses the message.
        """
        fate, before_ns = np.zeros(rows.kind.size, np.uint8), int(self._marks[LAST_NS])
        refusals: list[Refusal] = []
        fault, begin = self._judge(rows, fate, 0)
        while fault is not None:
            end = int(end_of_message(rows.flags, begin))
            refusals.append(Refusal(fault.rule, end - begin, refusal(rows, self.spec, origin, fault)))
            fate[begin:end] = REFUSED
            if self._lose(take(rows, slice(begin, end))):
                fate[begin] |= MESSAGE_LOST
            fault, begin = self._judge(rows, fate, end)
        if not fate.any():
            return rows, refusals
        return apply_fates(rows, fate, before_ns, counters)[0], refusals

    def lose(self, message: MarketRows) -> MarketRows | None:
        """GAP that stands for a refused ``message``; None where ``message`` can have changed no book."""
        if not self._lose(message):
            return None
        gap = gap_in_place_of(message)
        gap.recv_ns[:] = self._marks[LAST_NS]
        return gap

    def _lose(self, message: MarketRows) -> bool:
        """Have no book after a refused ``message``; False where ``message`` can have changed no book."""
        if np.isin(message.kind, _NO_BOOK).all():
            return False
        lose_book(self._marks)
        self._marks[LAST_NS] = max(self._marks[LAST_NS], message.recv_ns[0])
        return True

    def _judge(self, rows: MarketRows, fate: np.ndarray, begin: int) -> tuple[Fault | None, int]:
        """Judge messages from row ``begin`` on, the grid following the prices if no source declares it.

        Returns (fault of the first message that breaks a rule, its first row), or (None, n).
        """
        while True:
            rule, at, n, stop = self._run(rows, fate, begin)
            if rule == 0:
                return None, stop
            if rule == OFF_GRID and not self._declared:
                end = int(end_of_message(rows.flags, stop))
                if self._infer_grid(take(rows, slice(stop, end))):
                    begin = stop
                    continue
            before_ns = int(self._marks[LAST_NS] if at == stop else rows.recv_ns[at - 1])
            return Fault(rule, at, n, before_ns), stop

    def _run(self, rows: MarketRows, fate: np.ndarray, begin: int) -> tuple[int, int, int, int]:
        """Call the kernel on the columns of ``rows``."""
        found: tuple[int, int, int, int] = judge(
            rows.recv_ns, rows.kind, rows.side, rows.price_e4, rows.qty_e2, rows.flags,
            self._grid, self._depth, self._marks, fate, begin,
        )  # fmt: skip
        return found

    def _infer_grid(self, rows: MarketRows) -> bool:
        """Move to the coarsest known grid that holds all prices so far; False where no grid does."""
        prices_e4 = _yes_prices(rows)
        bands = coarsest_grid(prices_e4)
        grid = grid_table(bands)
        if not (grid[prices_e4].all() and grid[self._grid == IN_FORCE].all()):
            return False
        self.inferred = bands
        self._set_grid(bands)
        return True

    def _set_grid(self, bands: tuple[PriceBand, ...]) -> None:
        """Put ``bands`` in force.

        The ladder may hold orders on the old grid, so the ladder only becomes finer.
        """
        self.spec = self.spec.replace(price_ranges=bands)
        self._grid[self._grid == IN_FORCE] = EARLIER
        self._grid[grid_table(bands)] = IN_FORCE
        finer_e4 = gcd(self.tick_e4, self.spec.tick_e4)
        if finer_e4 != self.tick_e4:
            best = self._marks[BEST : BEST + 2]
            best[best >= 0] *= self.tick_e4 // finer_e4
            self._depth = finer_levels(self._depth, self.tick_e4, finer_e4)
            self._marks[TICK_E4] = self.tick_e4 = finer_e4


def _yes_prices(rows: MarketRows) -> np.ndarray:
    """Prices of ``rows`` on the YES scale, those within 0..10_000."""
    priced = np.isin(rows.kind, (SNAPSHOT, DELTA, TRADE, QUOTE)) & ((rows.flags & FLAG_START) == 0)
    price = np.where((rows.side == NO) & (rows.kind != TRADE), DOLLAR_E4 - rows.price_e4, rows.price_e4)
    found: np.ndarray = price[priced & (rows.price_e4 >= 0) & (rows.price_e4 <= DOLLAR_E4)]
    return found
