"""The one door: rows of a market are checked here once, every kernel downstream trusts them.

Refused   a price outside 0..10_000 or off the market's grid, an impossible side, kind or size, time going
          backwards, a message without an end or with two times, a level below zero
Dropped   and counted: a delta before the first snapshot or between a GAP and the next snapshot (there
          is no book it could change)

A level below zero means that a message was lost or altered where no sequence number shows it. The
default refuses the file; ``on_negative="gap"`` records a GAP in place of the delta, so that the book
is invalid until its next snapshot. No file of ours goes below zero, so refusing costs nothing.
"""

from collections import Counter
from typing import Final, Literal, NamedTuple, NoReturn

import numpy as np

from kalshi_platform.data.market_data.market_meta import grid_table
from kalshi_platform.data.market_data.schema import (
    DELTA,
    FLAG_LAST,
    FLAG_START,
    GAP,
    KIND_NAMES,
    NO,
    NO_SIDE,
    QUOTE,
    SNAPSHOT,
    STATUS,
    STATUS_ACTIVE,
    STATUS_SETTLED,
    TRADE,
    Events,
    take,
)
from kalshi_platform.domain.compiled import inline_kernel, kernel
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.domain.units import DOLLAR_E4, NO_PRICE, UNKNOWN_QTY

#: Largest size of one row, 1e-2 contract: 2e9 contracts, up to which the fee arithmetic is exact.
MAX_QTY_E2: Final = 200_000_000_000

OnNegative = Literal["refuse", "gap"]

_OK, _NEGATIVE, _REPEATED_LEVEL = range(3)
_KEPT, _BEFORE_SNAPSHOT, _IN_GAP, _NOW_GAP = range(4)


class Origin(NamedTuple):
    """Where rows came from, for messages: ``source`` names the file, ``numbers`` count its lines or rows."""

    source: str
    unit: Literal["line", "row", "frame"]
    numbers: np.ndarray  # (n,) i8


def validate(
    rows: Events, spec: MarketSpec, origin: Origin, on_negative: OnNegative = "refuse"
) -> tuple[Events, Counter[str]]:
    """Check all rows of one market; returns the rows to keep and what was counted.

    DataError names file, market, line or row, the value, what is allowed and what to do.
    """
    counters: Counter[str] = Counter()
    if len(rows.kind) == 0:
        return rows, counters
    _check_time_and_messages(rows, spec, origin)
    check_values(rows, spec, origin)
    if not np.any(rows.kind == DELTA) and not np.any(rows.kind == SNAPSHOT):
        return rows, counters
    fate = np.zeros(len(rows.kind), np.uint8)
    status, at, left = replay_levels(
        rows.kind, rows.side, rows.price_e4, rows.qty_e2, rows.flags,
        on_negative == "gap", np.zeros((2, DOLLAR_E4 + 1), np.int64), fate,
    )  # fmt: skip
    if status == _NEGATIVE:
        _refuse(rows, spec, origin, at, _below_zero(rows, at, left))
    if status == _REPEATED_LEVEL:
        _refuse_repeated(rows, spec, origin, at)
    return _apply_fates(rows, fate, counters), counters


def require_single_levels(snapshot: Events, spec: MarketSpec, origin: Origin) -> None:
    """DataError where one message, a snapshot whose values were checked, names a level twice."""
    status, at, _ = replay_levels(
        snapshot.kind, snapshot.side, snapshot.price_e4, snapshot.qty_e2, snapshot.flags,
        False, np.empty((2, DOLLAR_E4 + 1), np.int64), np.zeros(len(snapshot.kind), np.uint8),
    )  # fmt: skip
    if status == _REPEATED_LEVEL:
        _refuse_repeated(snapshot, spec, origin, at)


def _refuse_repeated(rows: Events, spec: MarketSpec, origin: Origin, at: int) -> NoReturn:
    _refuse(
        rows, spec, origin, at,
        f"repeats price {rows.price_e4[at]} within one snapshot; every level of a snapshot appears once: "
        "remove the snapshot or record it again",
    )  # fmt: skip


def _below_zero(rows: Events, at: int, left: int) -> str:
    side = "NO" if rows.side[at] == NO else "YES"
    return (
        f"takes {-rows.qty_e2[at]} from a level holding {left} (side {side}, price {rows.price_e4[at]}; "
        "units 1e-2 contract, 1e-4 dollar); a message is missing or altered before it: cut the file there, "
        "or import it with on_negative='gap'"
    )


def _check_time_and_messages(rows: Events, spec: MarketSpec, origin: Origin) -> None:
    step_ns = np.diff(rows.recv_ns)
    if (back := np.flatnonzero(step_ns < 0)).size:
        at = int(back[0]) + 1
        _refuse(
            rows, spec, origin, at,
            f"is {-step_ns[back[0]]} ns before the one above it (recv_ns {rows.recv_ns[at]} after "
            f"{rows.recv_ns[at - 1]}); time must never go backwards within a market: sort the file by time",
        )  # fmt: skip
    inside = (rows.flags[:-1] & FLAG_LAST) == 0
    if (split := np.flatnonzero(inside & (step_ns != 0))).size:
        _refuse(
            rows,
            spec,
            origin,
            int(split[0]) + 1,
            "continues a message with another recv_ns; a message has one",
        )
    if not rows.flags[-1] & FLAG_LAST:
        _refuse(rows, spec, origin, len(rows.kind) - 1, "ends the file inside a message; copy the file again")


#: What ``find_fault`` says of a row, in the order in which it is looked for; what is printed of it.
UNKNOWN_KIND, NO_SUCH_SIDE, OUTSIDE, OFF_GRID, NO_SIZE, NEGATIVE_SIZE, HUGE, UNKNOWN_STATUS = range(1, 9)
_SAID: Final = {
    UNKNOWN_KIND: f"has an unknown kind; known are 0..{STATUS}",
    NO_SUCH_SIDE: "has no side; expected YES (0) or NO (1)",
    OUTSIDE: "has a price outside 0..10000 (1e-4 dollar)",
    OFF_GRID: "has a price off the market's grid ({grid})",
    NO_SIZE: "has a size that is not above zero (1e-2 contract)",
    NEGATIVE_SIZE: "has a negative size (1e-2 contract)",
    HUGE: f"has a size beyond {MAX_QTY_E2} (1e-2 contract)",
    UNKNOWN_STATUS: f"has an unknown status; known are {STATUS_ACTIVE}..{STATUS_SETTLED}",
}
_PRICES: Final = (OUTSIDE, OFF_GRID)


@inline_kernel
def _fault_of(kind: int, side: int, price_e4: int, qty_e2: int, level: bool, grid: np.ndarray) -> int:
    """The first rule of the table that a row breaks; ``level``: it is one level of a snapshot."""
    priced = level or kind in (DELTA, TRADE) or (kind == QUOTE and price_e4 != NO_PRICE)
    if kind > STATUS:
        return UNKNOWN_KIND
    if (priced or kind == QUOTE) and side > NO:
        return NO_SUCH_SIDE
    if priced and (price_e4 < 0 or price_e4 > DOLLAR_E4):
        return OUTSIDE
    if priced and not grid[DOLLAR_E4 - price_e4 if side == NO and kind != TRADE else price_e4]:
        return OFF_GRID
    return _fault_of_size(kind, qty_e2, level)


@inline_kernel
def _fault_of_size(kind: int, qty_e2: int, level: bool) -> int:
    if (level or kind == TRADE) and qty_e2 <= 0:
        return NO_SIZE
    if kind == QUOTE and qty_e2 < 0 and qty_e2 != UNKNOWN_QTY:
        return NEGATIVE_SIZE
    if abs(qty_e2) > MAX_QTY_E2:
        return HUGE
    if kind == STATUS and (qty_e2 < STATUS_ACTIVE or qty_e2 > STATUS_SETTLED):
        return UNKNOWN_STATUS
    return 0


@kernel
def find_fault(
    kind: np.ndarray,
    side: np.ndarray,
    price_e4: np.ndarray,
    qty_e2: np.ndarray,
    flags: np.ndarray,
    grid: np.ndarray,
) -> tuple[int, int, int]:
    """The values of rows against the rules: (rule broken or 0, first row that breaks it, rows that do).

    Columns (n,) as in Events; ``grid`` is the market's :func:`grid_table`. The first rule that any row breaks
    is told.
    """
    fault, at, n = 0, -1, 0
    for i in range(kind.size):
        level = kind[i] == SNAPSHOT and flags[i] & FLAG_START == 0
        found = _fault_of(kind[i], side[i], price_e4[i], qty_e2[i], level, grid)
        if found == 0:
            continue
        if fault == 0 or found < fault:
            fault, at, n = found, i, 0
        if found == fault:
            n += 1
    return fault, at, n


def check_values(rows: Events, spec: MarketSpec, origin: Origin) -> None:
    """DataError names the first row whose values cannot be, on the grid of ``spec``."""
    grid = grid_table(spec.price_ranges)
    fault, at, n = find_fault(rows.kind, rows.side, rows.price_e4, rows.qty_e2, rows.flags, grid)
    if fault:
        refuse_values(rows, spec, origin, fault, at, n)


def refuse_values(rows: Events, spec: MarketSpec, origin: Origin, fault: int, at: int, n: int) -> NoReturn:
    """Raise the DataError for what :func:`find_fault` found."""
    what = _SAID[fault].format(grid=_grid_text(spec))
    values = rows.price_e4 if fault in _PRICES else rows.qty_e2
    found = "" if fault in (UNKNOWN_KIND, NO_SUCH_SIDE) else f": {values[at]}"
    others = f" ({n - 1} more like it)" if n > 1 else ""
    _refuse(rows, spec, origin, at, f"{what}{found}{others}; correct or remove it where it comes from")


def _refuse(rows: Events, spec: MarketSpec, origin: Origin, at: int, what: str) -> NoReturn:
    number = origin.numbers[at] if at < len(origin.numbers) else "?"
    kind = KIND_NAMES[rows.kind[at]] if rows.kind[at] < len(KIND_NAMES) else f"kind {rows.kind[at]}"
    seq = f", seq {rows.seq[at]}" if rows.seq[at] >= 0 else ""
    raise DataError(f"{origin.source}: {origin.unit} {number}, market {spec.ticker}: {kind}{seq} {what}")


def _grid_text(spec: MarketSpec) -> str:
    return ", ".join(f"{b.start_e4}..{b.end_e4} step {b.step_e4}" for b in spec.price_ranges)


@kernel
def replay_levels(
    kind: np.ndarray,
    side: np.ndarray,
    price_e4: np.ndarray,
    qty_e2: np.ndarray,
    flags: np.ndarray,
    gap_on_negative: bool,
    depth: np.ndarray,
    fate: np.ndarray,
) -> tuple[int, int, int]:
    """Replay the levels of one market and decide each row's fate.

    Columns (n,) as in Events; ``depth`` (2, 10_001) i8 zeros, scratch; ``fate`` (n,) u1 zeros, out:
    kept, before the first snapshot, inside a gap, to become a GAP.
    Returns (status, row at fault, size of the level before it); prices and sides were checked before.
    """
    seen, valid = False, False
    for i in range(kind.size):
        if kind[i] == SNAPSHOT:
            if flags[i] & FLAG_START:
                depth[:] = 0
                seen, valid = True, True
            elif depth[side[i], price_e4[i]] != 0:
                return _REPEATED_LEVEL, i, depth[side[i], price_e4[i]]
            else:
                depth[side[i], price_e4[i]] = qty_e2[i]
        elif kind[i] == GAP:
            valid = False
        elif kind[i] == DELTA:
            if not valid:
                fate[i] = _IN_GAP if seen else _BEFORE_SNAPSHOT
                continue
            before = depth[side[i], price_e4[i]]
            if before + qty_e2[i] >= 0:
                depth[side[i], price_e4[i]] = before + qty_e2[i]
            elif gap_on_negative:
                fate[i] = _NOW_GAP
                valid = False
            else:
                return _NEGATIVE, i, before
    return _OK, -1, 0


def _apply_fates(rows: Events, fate: np.ndarray, counters: Counter[str]) -> Events:
    """Rows without the dropped ones, deltas turned into gaps where the replay says so."""
    if not fate.any():
        return rows
    for value, name in (
        (_BEFORE_SNAPSHOT, "deltas_before_snapshot"),
        (_IN_GAP, "deltas_quarantined"),
        (_NOW_GAP, "negative_levels_to_gaps"),
    ):
        if count := int((fate == value).sum()):
            counters[name] += count
    rows = Events(*(column.copy() for column in rows))
    lost = fate == _NOW_GAP
    rows.kind[lost], rows.side[lost], rows.price_e4[lost] = GAP, NO_SIDE, NO_PRICE
    rows.qty_e2[lost], rows.flags[lost] = UNKNOWN_QTY, FLAG_LAST
    dropped = (fate == _BEFORE_SNAPSHOT) | (fate == _IN_GAP)
    # A print and the delta it caused are one message: where the delta goes, the print must end it.
    ends = np.flatnonzero(dropped[1:] & ~dropped[:-1]) + 1
    rows.flags[ends - 1] |= FLAG_LAST
    return take(rows, ~dropped)
