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
from numba import njit

from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.domain.units import DOLLAR_E4, NO_PRICE, UNKNOWN_QTY
from kalshi_platform.events.market_meta import grid_table
from kalshi_platform.events.schema import (
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

#: Largest size of one row, 1e-2 contract: 2e9 contracts, up to which the fee arithmetic is exact.
MAX_QTY_E2: Final = 200_000_000_000

OnNegative = Literal["refuse", "gap"]

_OK, _NEGATIVE, _REPEATED_LEVEL = range(3)
_KEPT, _BEFORE_SNAPSHOT, _IN_GAP, _NOW_GAP = range(4)


class Origin(NamedTuple):
    """Where rows came from, for messages: ``source`` names the file, ``numbers`` count its lines or rows."""

    source: str
    unit: Literal["line", "row"]
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
    _check_values(rows, spec, origin)
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
        _refuse(
            rows, spec, origin, at, f"repeats price {rows.price_e4[at]} within one snapshot; {_SEND_ONCE}"
        )
    return _apply_fates(rows, fate, counters), counters


_SEND_ONCE: Final = "every level of a snapshot appears once: remove the snapshot or record it again"


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


def _check_values(rows: Events, spec: MarketSpec, origin: Origin) -> None:
    kind, side, price, qty = rows.kind, rows.side, rows.price_e4, rows.qty_e2
    start = (kind == SNAPSHOT) & ((rows.flags & FLAG_START) != 0)
    level = (kind == SNAPSHOT) & ~start
    priced = level | (kind == DELTA) | (kind == TRADE) | ((kind == QUOTE) & (price != NO_PRICE))
    sided = priced | (kind == QUOTE)
    _first(rows, spec, origin, kind > STATUS, f"has an unknown kind; known are 0..{STATUS}")
    _first(rows, spec, origin, sided & (side > NO), "has no side; expected YES (0) or NO (1)")
    outside = priced & ((price < 0) | (price > DOLLAR_E4))
    _first(rows, spec, origin, outside, "has a price outside 0..10000 (1e-4 dollar)", price)
    on_yes = np.where((side == NO) & (kind != TRADE), DOLLAR_E4 - price, price)
    off_grid = priced & ~grid_table(spec.price_ranges)[np.clip(on_yes, 0, DOLLAR_E4)]
    _first(rows, spec, origin, off_grid, f"has a price off the market's grid ({_grid_text(spec)})", price)
    counted = level | (kind == TRADE)
    _first(rows, spec, origin, counted & (qty <= 0), "has a size that is not above zero (1e-2 contract)", qty)
    unsized = (kind == QUOTE) & (qty < 0) & (qty != UNKNOWN_QTY)
    _first(rows, spec, origin, unsized, "has a negative size (1e-2 contract)", qty)
    huge = np.abs(qty) > MAX_QTY_E2
    _first(rows, spec, origin, huge, f"has a size beyond {MAX_QTY_E2} (1e-2 contract)", qty)
    state = (kind == STATUS) & ((qty < STATUS_ACTIVE) | (qty > STATUS_SETTLED))
    _first(
        rows, spec, origin, state, f"has an unknown status; known are {STATUS_ACTIVE}..{STATUS_SETTLED}", qty
    )


def _first(
    rows: Events,
    spec: MarketSpec,
    origin: Origin,
    bad: np.ndarray,
    what: str,
    values: np.ndarray | None = None,
) -> None:
    if not bad.any():
        return
    at = int(np.argmax(bad))
    found = "" if values is None else f": {values[at]}"
    more = int(bad.sum()) - 1
    others = f" ({more} more like it)" if more else ""
    _refuse(rows, spec, origin, at, f"{what}{found}{others}; correct or remove it in the source file")


def _refuse(rows: Events, spec: MarketSpec, origin: Origin, at: int, what: str) -> NoReturn:
    number = origin.numbers[at] if at < len(origin.numbers) else "?"
    kind = KIND_NAMES[rows.kind[at]] if rows.kind[at] < len(KIND_NAMES) else f"kind {rows.kind[at]}"
    seq = f", seq {rows.seq[at]}" if rows.seq[at] >= 0 else ""
    raise DataError(f"{origin.source}: {origin.unit} {number}, market {spec.ticker}: {kind}{seq} {what}")


def _grid_text(spec: MarketSpec) -> str:
    return ", ".join(f"{b.start_e4}..{b.end_e4} step {b.step_e4}" for b in spec.price_ranges)


@njit(cache=True)
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
