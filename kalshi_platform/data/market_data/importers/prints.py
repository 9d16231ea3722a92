"""Prints of one market apart from the rows around them, and which prints of two sources are the same trade.

Two prints are the same trade where their ids are equal. Where one of the two has no id, they are the same if
price, size, taker and time are; each print has at most one partner, so equal prints count as often as they
are there. Prints with two different ids are never the same.

Times     a source that tells the millisecond and one that tells the microsecond agree to the millisecond
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from kalshi_platform.data.market_data.schema import DELTA, FLAG_FILL, TRADE, MarketRows, concat, take
from kalshi_platform.domain.compiled import kernel
from kalshi_platform.domain.units import NO_TIME, NS_PER_MS, NS_PER_SECOND

#: The id of a print whose source tells none.
NO_ID: Final = -1
#: No partner in the other source.
ALONE: Final = -1
_UNITS_NS: Final = (NS_PER_SECOND, NS_PER_MS, 1_000)


class Prints(NamedTuple):
    """Prints of one market; every array (n,)."""

    rows: MarketRows  # TRADE rows only
    ids: np.ndarray  # i8, equal where the trade ids are; NO_ID where there is none

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def time_ns(self) -> np.ndarray:
        """Exchange's time of each print, (n,) i8; our clock's where the source does not tell it."""
        return np.where(self.rows.exch_ns == NO_TIME, self.rows.recv_ns, self.rows.exch_ns)

    @property
    def key(self) -> np.ndarray:
        """Price, size and taker of each print in one number, (n,) i8; the door has checked their bounds."""
        rows = self.rows
        return (rows.qty_e2 << 15) | (rows.price_e4.astype(np.int64) << 1) | rows.side

    def pick(self, index: np.ndarray) -> "Prints":
        """Prints picked by ``index`` (integer array or boolean mask)."""
        return Prints(take(self.rows, index), self.ids[index])


def join_prints(parts: Sequence[Prints]) -> Prints:
    """All prints of ``parts``, one part after the other."""
    return Prints(concat([part.rows for part in parts]), np.concatenate([part.ids for part in parts]))


def prints_of(rows: MarketRows, ids: np.ndarray) -> Prints:
    """Prints among ``rows``; ``ids`` has one id a print."""
    return Prints(take(rows, rows.kind == TRADE), ids)


def are_fills(rows: MarketRows) -> np.ndarray:
    """Mask (prints,) of the prints that a book source shows only as a delta that was marked as a fill."""
    before_fill = np.append((rows.kind[1:] == DELTA) & ((rows.flags[1:] & FLAG_FILL) != 0), False)
    return before_fill[rows.kind == TRADE]


def id_codes(ids: Sequence[pa.Array | None], counts: Sequence[int]) -> list[np.ndarray]:
    """Numbers for the trade ids of several sources, one array of ``counts[i]`` a source.

    Equal ids have equal numbers, null and a source without ids (None) NO_ID.
    """
    whole = [x if x is not None else pa.nulls(n, pa.large_string()) for x, n in zip(ids, counts, strict=True)]
    if all(x.null_count == len(x) for x in whole):
        return [np.full(n, NO_ID) for n in counts]
    indices = pa.concat_arrays(whole).dictionary_encode().indices.cast(pa.int64())
    codes = indices.fill_null(NO_ID).to_numpy(zero_copy_only=False)
    return np.split(codes, np.cumsum(counts)[:-1])


def unit_ns(time_ns: np.ndarray) -> int:
    """Coarsest of second, millisecond, microsecond and nanosecond that every time is a multiple of."""
    return next((unit for unit in _UNITS_NS if not (time_ns % unit).any()), 1)


@kernel
def walk_pairs(
    key_a: np.ndarray,
    time_a: np.ndarray,
    key_b: np.ndarray,
    time_b: np.ndarray,
    window_ns: int,
    partner: np.ndarray,
) -> None:
    """Pair prints of equal key whose times differ by at most ``window_ns``, each print at most once.

    Columns (n,) and (m,) i8 sorted by key, then time; partner (m,) i8 is written: place in a, or ALONE.
    """
    i = 0
    for j in range(key_b.size):
        partner[j] = ALONE
        while i < key_a.size and (
            key_a[i] < key_b[j] or (key_a[i] == key_b[j] and time_a[i] < time_b[j] - window_ns)
        ):
            i += 1
        if i < key_a.size and key_a[i] == key_b[j] and time_a[i] <= time_b[j] + window_ns:
            partner[j] = i
            i += 1


def pair(
    key_a: np.ndarray, time_a: np.ndarray, key_b: np.ndarray, time_b: np.ndarray, window_ns: int
) -> np.ndarray:
    """Return the place in a of the partner of each print of b, (m,) i8, ALONE where there is none.

    No other choice gives more of them a partner.
    """
    partner = np.full(key_b.size, ALONE)
    if key_a.size == 0 or key_b.size == 0:
        return partner
    order_a, order_b = np.lexsort((time_a, key_a)), np.lexsort((time_b, key_b))
    found = np.empty(key_b.size, np.int64)
    walk_pairs(key_a[order_a], time_a[order_a], key_b[order_b], time_b[order_b], window_ns, found)
    partner[order_b] = np.where(found == ALONE, ALONE, order_a[found])
    return partner


def same_trades(a: Prints, b: Prints, by_value: np.ndarray | bool = True) -> np.ndarray:
    """Return the place in ``a`` of the same trade for each print of ``b``, (m,) i8, ALONE if there is none.

    ``by_value`` (m,) bool: prints of ``b`` that may be found by their values too.
    """
    zeros = np.zeros
    partner = np.full(len(b), ALONE)
    with_a, with_b = np.flatnonzero(a.ids != NO_ID), np.flatnonzero(b.ids != NO_ID)
    found = pair(a.ids[with_a], zeros(with_a.size, "i8"), b.ids[with_b], zeros(with_b.size, "i8"), 0)
    partner[with_b] = np.where(found == ALONE, ALONE, with_a[found] if with_a.size else ALONE)
    units = unit_ns(a.time_ns), unit_ns(b.time_ns)
    windows = (0,) if units[0] == units[1] else (0, max(units) - 1)
    for window_ns in windows:
        pair_by_value(a, b, window_ns, partner, by_value)
    return partner


def pair_by_value(
    a: Prints, b: Prints, window_ns: int, partner: np.ndarray, of_b: np.ndarray | bool = True
) -> None:
    """Find partners by value for prints of ``b`` that have none; ``partner`` (m,) i8 is written.

    Prints without an id are paired with ids first: only they can be.
    """
    of_b = np.broadcast_to(of_b, len(b))
    for id_in_a, id_in_b in ((True, False), (False, True), (False, False)):
        free = np.ones(len(a), np.bool_)
        free[partner[partner != ALONE]] = False
        in_a = np.flatnonzero(free & ((a.ids != NO_ID) == id_in_a))
        in_b = np.flatnonzero((partner == ALONE) & of_b & ((b.ids != NO_ID) == id_in_b))
        if in_a.size and in_b.size:
            found = pair(a.key[in_a], a.time_ns[in_a], b.key[in_b], b.time_ns[in_b], window_ns)
            partner[in_b] = np.where(found == ALONE, ALONE, in_a[found])
