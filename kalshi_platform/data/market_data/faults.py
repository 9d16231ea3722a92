"""Faults of a row: the rules that a row may break, in the order in which they count, and their words.

Every refusal names file, market, line or row, the value, the values allowed and the remedy.
Not here   the search for a fault, and the fate of the row (``door.py``).
"""

from typing import Final, Literal, NamedTuple, NoReturn

import numpy as np

from kalshi_platform.data.market_data.schema import (
    DELTA,
    FACTS,
    GAP,
    KIND_NAMES,
    NO,
    QUOTE,
    STATUS,
    STATUS_ACTIVE,
    STATUS_SETTLED,
    TICKER,
    TRADE,
    MarketRows,
)
from kalshi_platform.domain.compiled import inline_kernel
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.domain.units import DOLLAR_E4, NO_PRICE, UNKNOWN_QTY

#: Largest size of one row, 1e-2 contract: 2e9 contracts, up to which the fee arithmetic is exact.
MAX_QTY_E2: Final = 200_000_000_000

#: A YES price in a grid table: never allowed, allowed by an earlier grid, allowed now.
NEVER_ALLOWED, EARLIER, IN_FORCE = range(3)

#: The rules, in the order in which they are looked for; 0 says that a row breaks none.
BACKWARDS, OTHER_TIME, UNFINISHED, UNKNOWN_KIND, NO_SUCH_SIDE, OUTSIDE, OFF_GRID = range(1, 8)
NO_SIZE, NEGATIVE_SIZE, HUGE, UNKNOWN_STATUS, REPEATED_LEVEL = range(8, 13)
#: Names of the rules in counters (``rows_refused:<name>``).
RULE_NAMES: Final = (
    "", "time_goes_backwards", "message_of_two_times", "message_unfinished", "unknown_kind", "no_side",
    "price_outside", "price_off_grid", "no_size", "negative_size", "size_too_large", "unknown_status",
    "repeated_level",
)  # fmt: skip

_VALUE_WORDS: Final = {
    UNKNOWN_KIND: f"has an unknown kind; known are 0..{FACTS}",
    NO_SUCH_SIDE: "has no side; expected YES (0) or NO (1)",
    OUTSIDE: "has a price outside 0..10000 (1e-4 dollar)",
    OFF_GRID: "has a price off the market's grid ({grid})",
    NO_SIZE: "has a size that is not above zero (1e-2 contract)",
    NEGATIVE_SIZE: "has a negative size (1e-2 contract)",
    HUGE: f"has a size beyond {MAX_QTY_E2} (1e-2 contract)",
    UNKNOWN_STATUS: f"has an unknown status; known are {STATUS_ACTIVE}..{STATUS_SETTLED}",
}
_MESSAGE_WORDS: Final = {
    OTHER_TIME: "continues a message with another recv_ns; a message has one",
    UNFINISHED: "ends the file inside a message; copy the file again",
}
_PRICES: Final = (OUTSIDE, OFF_GRID)


class Origin(NamedTuple):
    """Origin of rows, for messages: ``source`` names the file, ``numbers`` count its lines or rows."""

    source: str
    unit: Literal["line", "row", "frame"]
    numbers: np.ndarray | int  # (n,) i8 one a row; or one number that all rows share

    def part(self, rows: slice) -> "Origin":
        """Origin of a stretch of the rows."""
        numbers = self.numbers if isinstance(self.numbers, int) else self.numbers[rows]
        return Origin(self.source, self.unit, numbers)


class Fault(NamedTuple):
    """First rule that rows break; ``rule`` is 0 where they break none."""

    rule: int
    at: int  # first row that breaks it
    n: int  # rows that do
    before_ns: int  # time of the row before that one


@inline_kernel
def fault_of_values(kind: int, side: int, price_e4: int, qty_e2: int, level: bool, grid: np.ndarray) -> int:
    """First rule that the values of a row break, or 0.

    ``level``: the row is one price level of a snapshot; ``grid`` (10_001,) u1: EARLIER and IN_FORCE by YES
    price. A delta that adds needs the grid in force; anything else may show an order that rests from earlier.
    """
    priced = level or kind in (DELTA, TRADE) or (kind == QUOTE and price_e4 != NO_PRICE)
    if kind == TICKER:
        return 0  # the door drops it: an odd one disagrees with the book, and that is all
    if kind > FACTS:
        return UNKNOWN_KIND
    if (priced or kind == QUOTE) and side > NO:
        return NO_SUCH_SIDE
    if priced and (price_e4 < 0 or price_e4 > DOLLAR_E4):
        return OUTSIDE
    if priced:
        allowed = grid[DOLLAR_E4 - price_e4 if side == NO and kind != TRADE else price_e4]
        if allowed == NEVER_ALLOWED or (allowed == EARLIER and kind == DELTA and qty_e2 > 0):
            return OFF_GRID
    return _fault_of_size(kind, qty_e2, level)


@inline_kernel
def _fault_of_size(kind: int, qty_e2: int, level: bool) -> int:
    """First rule that the size of a row breaks, or 0; a GAP holds our own count, without bound."""
    if (level or kind == TRADE) and qty_e2 <= 0:
        return NO_SIZE
    if kind == QUOTE and qty_e2 < 0 and qty_e2 != UNKNOWN_QTY:
        return NEGATIVE_SIZE
    if kind not in (GAP, FACTS) and abs(qty_e2) > MAX_QTY_E2:
        return HUGE
    if kind == STATUS and (qty_e2 < STATUS_ACTIVE or qty_e2 > STATUS_SETTLED):
        return UNKNOWN_STATUS
    return 0


def refuse(rows: MarketRows, spec: MarketSpec, origin: Origin, fault: Fault) -> NoReturn:
    """Raise the DataError that names the row, the rule, the value and the remedy."""
    raise DataError(refusal(rows, spec, origin, fault))


def refusal(rows: MarketRows, spec: MarketSpec, origin: Origin, fault: Fault) -> str:
    """Words that name the row, the rule, the value and the remedy."""
    at = fault.at
    numbers = origin.numbers
    number = numbers if isinstance(numbers, int) else numbers[at] if at < len(numbers) else "?"
    kind = KIND_NAMES[rows.kind[at]] if rows.kind[at] < len(KIND_NAMES) else f"kind {rows.kind[at]}"
    seq = f", seq {rows.seq[at]}" if rows.seq[at] >= 0 else ""
    where = f"{origin.source}: {origin.unit} {number}, market {spec.ticker}: {kind}{seq}"
    return f"{where} {_words(rows, spec, fault)}"


def _words(rows: MarketRows, spec: MarketSpec, fault: Fault) -> str:
    """Sentence that names the rule, the value and the remedy."""
    rule, at, n, before_ns = fault
    if rule == BACKWARDS:
        return (
            f"is {before_ns - rows.recv_ns[at]} ns before the one above it (recv_ns {rows.recv_ns[at]} after "
            f"{before_ns}); time must never go backwards within a market: sort the file by time"
        )
    if rule == REPEATED_LEVEL:
        return (
            f"repeats price {rows.price_e4[at]} within one snapshot; every level of a snapshot appears once: "
            "remove the snapshot or record it again"
        )
    if rule in _MESSAGE_WORDS:
        return _MESSAGE_WORDS[rule]
    words = _VALUE_WORDS[rule].format(grid=_grid_text(spec))
    values = rows.price_e4 if rule in _PRICES else rows.qty_e2
    value = "" if rule in (UNKNOWN_KIND, NO_SUCH_SIDE) else f": {values[at]}"
    others = f" ({n - 1} more like it)" if n > 1 else ""
    return f"{words}{value}{others}; correct or remove it where it comes from"


def _grid_text(spec: MarketSpec) -> str:
    """Price bands of the market in words."""
    return ", ".join(f"{b.start_e4}..{b.end_e4} step {b.step_e4}" for b in spec.price_ranges)
