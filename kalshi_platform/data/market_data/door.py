"""The one door: every row of a market passes here once, before any book or feature is made of it.

Owns       the clock, the grid in force and the sizes of the price levels of one market, against which the
           door checks its rows, and the knowledge whether the market has a book.
Refused    a row that breaks a rule of ``faults.py``: importing refuses the file; a live session refuses the
           frame, and the market has lost its book (:meth:`Door.lose`)
GAP        in place of a delta that takes more from a price level than the level holds: a message was lost or
           altered where no sequence number shows it, so the book is invalid until its next snapshot
Dropped    a delta before the first snapshot, or between a GAP and the next snapshot: it has no book to change
Counted    every GAP made here and every row dropped
Invariant  rows have the same fate however they are cut: one message at a time (``serving/live/market.py``) or
           a whole recording at once (``importers/run.py``). Importing and live trading agree because both
           stand behind this door.
Grid       a grid told by a frame is in force from its FACTS row on, here as in replay (``history.py``).
           Importing counts the changes (``grid_changed``). A grid inferred from the prices of a recording is
           in force from its first row in replay, live from the price that showed it.
Not here   lost messages that sequence numbers show: ``sequence.py``, used by both through ``decode.py``.
"""

from collections import Counter
from dataclasses import replace
from math import gcd
from typing import Final

import numpy as np

from kalshi_platform.data.market_data.facts import MarketFacts
from kalshi_platform.data.market_data.faults import (
    BACKWARDS,
    OFF_GRID,
    OTHER_TIME,
    REPEATED_LEVEL,
    UNFINISHED,
    Fault,
    Origin,
    fault_of_values,
    refuse,
)
from kalshi_platform.data.market_data.gaps import gap_in_place_of, write_gaps
from kalshi_platform.data.market_data.history import spec_with_facts
from kalshi_platform.data.market_data.market_meta import coarsest_grid, grid_table
from kalshi_platform.data.market_data.price_levels import finer_levels, new_levels, size_after
from kalshi_platform.data.market_data.schema import (
    DELTA,
    FLAG_LAST,
    FLAG_START,
    GAP,
    NO,
    QUOTE,
    SNAPSHOT,
    TRADE,
    MarketRows,
    take,
)
from kalshi_platform.domain.compiled import inline_kernel, kernel
from kalshi_platform.domain.market import MarketSpec, PriceBand
from kalshi_platform.domain.units import DOLLAR_E4

#: Fates of a row.
KEPT, BEFORE_SNAPSHOT, IN_GAP, BELOW_ZERO = range(4)
_COUNTERS: Final = {
    BEFORE_SNAPSHOT: "deltas_before_snapshot",
    IN_GAP: "deltas_quarantined",
    BELOW_ZERO: "negative_levels_to_gaps",
}
#: Places in the marks of a door: a snapshot came since the last GAP; one came ever; time of the last row;
#: spacing of the ladder.
HAS_BOOK, HAD_BOOK, LAST_NS, TICK_E4 = range(4)


def new_marks(tick_e4: int) -> np.ndarray:
    """Marks, (4,) i8, of a door that no row has passed."""
    return np.array([0, 0, np.iinfo(np.int64).min, tick_e4], np.int64)


@inline_kernel
def _fault_of_time(before_ns: int, now_ns: int, inside: bool) -> int:
    """Rule that a row's time breaks, or 0; ``inside``: the row before it did not end its message."""
    if now_ns < before_ns:
        return BACKWARDS
    if inside and now_ns != before_ns:
        return OTHER_TIME
    return 0


@kernel
def _find_fault(
    recv_ns: np.ndarray,
    kind: np.ndarray,
    side: np.ndarray,
    price_e4: np.ndarray,
    qty_e2: np.ndarray,
    flags: np.ndarray,
    last_ns: int,
    grid: np.ndarray,
) -> tuple[int, int, int]:
    """First rule of ``faults.py`` that any row breaks: (rule or 0, first such row, such rows)."""
    rule, at, n = 0, -1, 0
    before_ns, inside = last_ns, False
    for i in range(kind.size):
        found = _fault_of_time(before_ns, recv_ns[i], inside)
        before_ns, inside = recv_ns[i], flags[i] & FLAG_LAST == 0
        if found == 0 and inside and i == kind.size - 1:
            found = UNFINISHED
        if found == 0:
            level = kind[i] == SNAPSHOT and flags[i] & FLAG_START == 0
            found = fault_of_values(kind[i], side[i], price_e4[i], qty_e2[i], level, grid)
        if found != 0:
            if rule == 0 or found < rule:
                rule, at, n = found, i, 0
            if found == rule:
                n += 1
    return rule, at, n


@kernel
def judge(
    recv_ns: np.ndarray,
    kind: np.ndarray,
    side: np.ndarray,
    price_e4: np.ndarray,
    qty_e2: np.ndarray,
    flags: np.ndarray,
    grid: np.ndarray,
    depth: np.ndarray,
    marks: np.ndarray,
    fate: np.ndarray,
) -> tuple[int, int, int, int]:
    """Decide the fate of every row of whole messages, in order, and move the door's state on.

    Columns (n,) as in MarketRows; grid (10_001,) bool, the YES prices in force; depth (2, price levels) i8,
    1e-2 contract, a ladder that holds every price of the grid; marks (4,) i8; fate (n,) u1, written.
    Returns (rule broken or 0, first row that breaks it, rows that do, rows not kept). A broken rule leaves
    the state unchanged, except REPEATED_LEVEL: the snapshot up to that row is in.
    """
    rule, at, n = _find_fault(recv_ns, kind, side, price_e4, qty_e2, flags, marks[LAST_NS], grid)
    if rule != 0:
        return rule, at, n, 0
    tick_e4 = marks[TICK_E4]
    not_kept = 0
    for i in range(kind.size):
        fate[i] = KEPT
        if kind[i] == GAP:
            marks[HAS_BOOK] = 0
        elif kind[i] == SNAPSHOT and flags[i] & FLAG_START != 0:
            depth[:] = 0
            marks[HAS_BOOK] = marks[HAD_BOOK] = 1
        elif kind[i] == DELTA and marks[HAS_BOOK] == 0:
            fate[i] = IN_GAP if marks[HAD_BOOK] == 1 else BEFORE_SNAPSHOT
            not_kept += 1
        elif kind[i] == SNAPSHOT or kind[i] == DELTA:
            level = price_e4[i] // tick_e4
            size = size_after(depth, kind[i], side[i], level, qty_e2[i])
            if kind[i] == SNAPSHOT and depth[side[i], level] != 0:
                return REPEATED_LEVEL, i, 1, not_kept
            if size < 0:
                fate[i] = BELOW_ZERO
                marks[HAS_BOOK] = 0
                not_kept += 1
            else:
                depth[side[i], level] = size
    marks[LAST_NS] = recv_ns[-1]
    return 0, -1, 0, not_kept


class Door:
    """Door of one market: the facts known of the market, and the check that its rows must pass.

    ``spec`` carries the grid in force; ``tick_e4`` is the spacing of a ladder that holds every price that has
    passed, whatever grid was in force.
    """

    def __init__(self, spec: MarketSpec, declared: bool) -> None:
        """Open the door; ``declared``: a source names the grid of ``spec``, it is not just the default."""
        self.spec = spec
        self.tick_e4 = spec.tick_e4
        self.inferred: tuple[PriceBand, ...] | None = (
            None  # grid that the prices show, where none is declared
        )
        self._declared = declared
        self._told: tuple[PriceBand, ...] | None = None
        self._grid = grid_table(spec.price_ranges)
        self._depth = new_levels(spec.tick_e4)
        self._marks = new_marks(spec.tick_e4)

    @property
    def is_declared(self) -> bool:
        """True where a source names the grid in force."""
        return self._declared

    def take_facts(self, facts: MarketFacts) -> None:
        """Hold the facts of lifecycle frames for true from the next row on.

        They beat the specification. A grid that was not told before is
        in force from now on; if it equals the grid in force nothing changes: an undeclared grid still
        follows the prices.
        """
        self.spec = spec_with_facts(self.spec, replace(facts, price_ranges=None))
        if facts.price_ranges is None or facts.price_ranges == self._told:
            return
        self._told = facts.price_ranges
        if facts.price_ranges != self.spec.price_ranges:
            self._declared = True
            self._set_grid(facts.price_ranges)

    def admit(self, rows: MarketRows, origin: Origin, counters: Counter[str]) -> MarketRows:
        """Return those of ``rows`` that pass the door; some deltas come back as GAPs.

        ``rows`` are whole messages, and they follow the rows admitted before. They come back as the same
        object where every row passes. DataError names the first row that breaks a rule; then no row passes,
        and the caller stops or calls :meth:`lose`. ``counters`` counts the rows dropped and the deltas that
        became GAPs.
        """
        fate, not_kept = self.judge(rows, origin)
        return rows if not_kept == 0 else apply_fates(rows, fate, counters)

    def judge(self, rows: MarketRows, origin: Origin) -> tuple[np.ndarray, int]:
        """Fate of every row, (n,) u1, and the number of rows not kept; errors as :meth:`admit`."""
        fate = np.empty(rows.kind.size, np.uint8)
        if rows.kind.size == 0:
            return fate, 0
        before_ns = int(self._marks[LAST_NS])
        rule, at, n, not_kept = self._run(rows, fate)
        if rule == OFF_GRID and not self._declared and self._infer_grid(rows):
            rule, at, n, not_kept = self._run(rows, fate)
        if rule:
            before_ns = int(rows.recv_ns[at - 1]) if at else before_ns
            refuse(rows, self.spec, origin, Fault(rule, at, n, before_ns))
        return fate, not_kept

    def lose(self, message: MarketRows) -> MarketRows | None:
        """GAP that stands for a refused ``message``; None where ``message`` can have changed no book."""
        if (message.kind == TRADE).all():
            return None
        self._marks[HAS_BOOK] = 0
        return gap_in_place_of(message)

    def _run(self, rows: MarketRows, fate: np.ndarray) -> tuple[int, int, int, int]:
        """Call the kernel on the columns of ``rows``."""
        found: tuple[int, int, int, int] = judge(
            rows.recv_ns, rows.kind, rows.side, rows.price_e4, rows.qty_e2, rows.flags,
            self._grid, self._depth, self._marks, fate,
        )  # fmt: skip
        return found

    def _infer_grid(self, rows: MarketRows) -> bool:
        """Move to the coarsest known grid that holds all prices so far; False where no grid does."""
        prices_e4 = _yes_prices(rows)
        bands = coarsest_grid(prices_e4)
        grid = grid_table(bands)
        if not (grid[prices_e4].all() and grid[self._grid].all()):
            return False
        self.inferred = bands
        self._set_grid(bands)
        return True

    def _set_grid(self, bands: tuple[PriceBand, ...]) -> None:
        """Put ``bands`` in force.

        The ladder may hold orders on the old grid, so the ladder only becomes finer.
        """
        self.spec = self.spec.replace(price_ranges=bands)
        self._grid = grid_table(bands)
        finer_e4 = gcd(self.tick_e4, self.spec.tick_e4)
        if finer_e4 != self.tick_e4:
            self._depth = finer_levels(self._depth, self.tick_e4, finer_e4)
            self._marks[TICK_E4] = self.tick_e4 = finer_e4


def _yes_prices(rows: MarketRows) -> np.ndarray:
    """Prices of ``rows`` on the YES scale, those within 0..10_000."""
    priced = np.isin(rows.kind, (SNAPSHOT, DELTA, TRADE, QUOTE)) & ((rows.flags & FLAG_START) == 0)
    price = np.where((rows.side == NO) & (rows.kind != TRADE), DOLLAR_E4 - rows.price_e4, rows.price_e4)
    found: np.ndarray = price[priced & (rows.price_e4 >= 0) & (rows.price_e4 <= DOLLAR_E4)]
    return found


def apply_fates(rows: MarketRows, fate: np.ndarray, counters: Counter[str]) -> MarketRows:
    """Rows without those that ``fate`` (n,) drops, and with GAPs where it says BELOW_ZERO.

    ``rows`` stay as they are; ``counters`` count every row that is dropped or becomes a GAP.
    """
    for value, name in _COUNTERS.items():
        if count := int((fate == value).sum()):
            counters[name] += count
    rows = MarketRows(*(column.copy() for column in rows))
    write_gaps(rows, fate == BELOW_ZERO)
    dropped = (fate == BEFORE_SNAPSHOT) | (fate == IN_GAP)
    # A print and the delta it caused are one message: where the delta goes, the print must end it.
    ends = np.flatnonzero(dropped[1:] & ~dropped[:-1]) + 1
    rows.flags[ends - 1] |= FLAG_LAST
    return take(rows, ~dropped)
