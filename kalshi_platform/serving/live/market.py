"""One market of a live stream: its door, its book and its features, a message at a time.

Owns       what importing does once over a whole recording (``data/market_data/validate.py``,
           ``importers/run.py``),
           done message by message: values, deltas without a book, levels below zero, the grid.
Invariant  the same messages give the same rows, bit for bit, as a dataset built from their capture with
           ``on_negative="gap"``; nothing that was not checked reaches a kernel.
Grid       a market whose grid nobody declared begins on whole cents and moves to the coarsest known grid
           that holds the prices it shows, as importing infers it from all of them.
"""

from collections import Counter
from collections.abc import Iterator
from math import gcd

import numpy as np

from kalshi_platform.data.features.resolution import Resolutions
from kalshi_platform.data.features.rows import Rows
from kalshi_platform.data.features.stream import FeatureStream
from kalshi_platform.data.market_data.decode import MarketFacts
from kalshi_platform.data.market_data.market_meta import coarsest_grid, grid_table
from kalshi_platform.data.market_data.schema import (
    DELTA,
    FLAG_LAST,
    GAP,
    NO,
    NO_SIDE,
    SNAPSHOT,
    TRADE,
    Events,
    take,
)
from kalshi_platform.data.market_data.validate import (
    OFF_GRID,
    Origin,
    find_fault,
    refuse_values,
    require_single_levels,
)
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.domain.units import DOLLAR_E4, NO_PRICE, UNKNOWN_QTY


class LiveMarket:
    """A market as its messages come."""

    def __init__(self, spec: MarketSpec, declared: bool, resolutions: Resolutions | None = None) -> None:
        """``declared``: ``spec`` says on which grid the market trades, rather than the default."""
        self.spec = spec
        self._declared = declared
        self._grid = grid_table(spec.price_ranges)
        self._tick_e4 = spec.tick_e4
        self._stream = FeatureStream(spec, resolutions)
        self._has_book = False
        self._had_book = False

    def apply(self, rows: Events, number: int, counters: Counter[str]) -> Iterator[Rows]:
        """The row after each message in ``rows``, in a buffer that the next one overwrites.

        ``number`` is the frame's, for messages. DataError where a message is refused: its book is then
        invalid until the next snapshot, and a row says so first.
        """
        if rows.kind.size == 1:
            yield from self._message(rows, number, counters)
            return
        begin = 0
        for end in (np.flatnonzero(rows.flags & FLAG_LAST) + 1).tolist():
            yield from self._message(take(rows, slice(begin, end)), number, counters)
            begin = end

    def learn(self, facts: MarketFacts) -> bool:
        """Take what lifecycle frames said where the specification is silent; True where the grid changed."""
        times = {"open_ns": facts.open_ns, "close_ns": facts.close_ns}
        news = {k: v for k, v in times.items() if v is not None and getattr(self.spec, k) is None}
        if news:
            self.spec = self.spec.replace(**news)
            self._stream.reschedule(self.spec)
        if facts.price_ranges is None or facts.price_ranges == self.spec.price_ranges:
            return False
        self._declared = True
        self._regrid(self.spec.replace(price_ranges=facts.price_ranges))
        return True

    def _message(self, rows: Events, number: int, counters: Counter[str]) -> Iterator[Rows]:
        kind = int(rows.kind[0])
        if kind == GAP:
            self._has_book = False
            yield self._stream.push(rows)
            return
        try:
            self._check(rows, number)
        except DataError:
            if kind != TRADE:
                yield self._lose(rows)
            raise
        if kind == SNAPSHOT:
            self._has_book = self._had_book = True
        elif kind == DELTA and not self._has_book:
            counters["deltas_quarantined" if self._had_book else "deltas_before_snapshot"] += 1
            return
        try:
            row = self._stream.push(rows)
        except DataError:
            if kind != DELTA:
                raise
            counters["negative_levels_to_gaps"] += 1
            row = self._lose(rows)
        yield row

    def _lose(self, rows: Events) -> Rows:
        """A GAP in place of the message ``rows``."""
        gap = Events(*(column[:1].copy() for column in rows))
        gap.kind[0], gap.side[0], gap.price_e4[0] = GAP, NO_SIDE, NO_PRICE
        gap.qty_e2[0], gap.flags[0] = UNKNOWN_QTY, FLAG_LAST
        self._has_book = False
        return self._stream.push(gap)

    def _check(self, rows: Events, number: int) -> None:
        columns = (rows.kind, rows.side, rows.price_e4, rows.qty_e2, rows.flags)
        fault, at, n = find_fault(*columns, self._grid)
        if fault == OFF_GRID and not self._declared:
            self._infer_grid(rows)
            fault, at, n = find_fault(*columns, self._grid)
        origin = Origin("stream", "frame", np.full(rows.kind.size, number))
        if fault:
            refuse_values(rows, self.spec, origin, fault, at, n)
        if rows.kind.size > 1:
            require_single_levels(rows, self.spec, origin)

    def _infer_grid(self, rows: Events) -> None:
        """Move to the coarsest known grid that holds the prices of ``rows`` and those seen before."""
        priced = rows.price_e4 >= 0
        mirrored = (rows.side == NO) & (rows.kind != TRADE)
        yes_e4 = np.where(mirrored, DOLLAR_E4 - rows.price_e4, rows.price_e4)[priced]
        bands = coarsest_grid(yes_e4)
        grid = grid_table(bands)
        if grid[yes_e4].all() and grid[self._grid].all():
            self._regrid(self.spec.replace(price_ranges=bands))

    def _regrid(self, spec: MarketSpec) -> None:
        self.spec = spec
        self._grid = grid_table(spec.price_ranges)
        tick_e4 = gcd(self._tick_e4, spec.tick_e4)  # a ladder that holds orders only becomes finer
        if tick_e4 != self._tick_e4:
            self._tick_e4 = tick_e4
            self._stream.regrid(tick_e4)
