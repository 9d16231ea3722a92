"""Prints of one file put into the book of another file of the same market.

A file of trades tells when the exchange made a trade, not when the recorder of the book would have heard of
it. A joined print (FLAG_JOINED) is a message of its own, received a delay after its exchange's time, after
all of the book's rows of that time. The delay is the 99th percentile of (receive time - exchange's time) over
the book file's own rows; where the file shows no delay, or too few, ASSUMED_DELAY_NS. To it comes the
unit of the trades' times: a time in whole seconds may stand for almost a second later.

The book's own prints come first: a trade that the book's file holds already is not joined. Level-2 Parquet
marks a delta as a fill and does not tell the trade's time: such a fill is the trade of equal price, size
and taker within FILL_WINDOW_NS, or the trades of one instant that add up to it.

Invariant  no print is received before the exchange made it, and the messages of the book stay as they are
Not here   which files make up the book, and which trades are the same in two files (``merging.py``)
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.data.market_data.gaps import gap_at
from kalshi_platform.data.market_data.importers.pieces import Piece
from kalshi_platform.data.market_data.importers.prints import (
    ALONE,
    NO_ID,
    Prints,
    are_fills,
    pair,
    pair_by_value,
    prints_of,
    same_trades,
    unit_ns,
)
from kalshi_platform.data.market_data.importers.types import JoinedPrints
from kalshi_platform.data.market_data.schema import FLAG_JOINED, TRADE, MarketRows, concat, take
from kalshi_platform.domain.units import NO_TIME, NS_PER_SECOND

#: Delay of a joined print where the book's file does not show one.
ASSUMED_DELAY_NS: Final = NS_PER_SECOND
#: Rows with both clocks that make a percentile.
ENOUGH_DELAYS: Final = 30
_PERCENTILE: Final = 99
#: A fill and its trade are this close to each other.
FILL_WINDOW_NS: Final = 2 * NS_PER_SECOND


class Delay(NamedTuple):
    """Delay between the exchange's time of a message and its receive time."""

    ns: int
    measured: bool  # from the file's own rows; False: assumed


class PrintDelays:
    """Delays of the files of one job, each computed once, when it is first asked for."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        """Hold the pieces of every market of the job."""
        self._rows: dict[str, list[MarketRows]] = {}
        for piece in pieces:
            self._rows.setdefault(piece.origin.source, []).append(piece.rows)
        self._known: dict[str, Delay] = {}

    def know(self, pieces: Sequence[Piece]) -> None:
        """Hold further pieces: rows that a dataset has had before, without the prints joined then."""
        for piece in pieces:
            own = take(piece.rows, (piece.rows.flags & FLAG_JOINED) == 0)
            self._rows.setdefault(piece.origin.source, []).append(own)

    def of(self, source: str) -> Delay:
        """Delay of the file ``source`` over all of its markets: its 99th percentile, or the assumed one."""
        if source not in self._known:
            self._known[source] = percentile_delay(
                np.concatenate([(r.recv_ns - r.exch_ns)[r.exch_ns != NO_TIME] for r in self._rows[source]])
            )
        return self._known[source]


def percentile_delay(delays_ns: np.ndarray) -> Delay:
    """Delay that 99 % of ``delays_ns`` (n,) do not exceed.

    Negative ones do not count: those clocks disagree. Where all are zero the file has one clock only.
    """
    shown = delays_ns[delays_ns >= 0]
    if shown.size < ENOUGH_DELAYS or shown.max() == 0:
        return Delay(ASSUMED_DELAY_NS, False)
    return Delay(int(np.percentile(shown, _PERCENTILE, method="higher")), True)


class Joined(NamedTuple):
    """Rows of a book with the prints of other files among them."""

    rows: MarketRows
    ids: np.ndarray  # (prints,) i8, one id a TRADE row
    prints: JoinedPrints | None  # None: nothing was joined


def join(
    rows: MarketRows,
    ids: np.ndarray,
    prints: Prints,
    received: bool,
    delay: Delay,
    implied: bool,
    counters: Counter[str],
) -> Joined:
    """Put those of ``prints`` that ``rows`` do not hold between ``rows``.

    ``ids`` are those of the TRADE rows among ``rows``; ``received``: the prints come with a receive time of
    their own, before which none is put; ``implied``: ``rows`` hold prints too, and no book.
    """
    known = _held(rows, prints_of(rows, ids), prints)
    counters["prints_already_in_book_source"] += int(known.sum())
    late_ns = delay.ns + unit_ns(prints.time_ns) - 1
    new = prints.pick(~known)
    if not len(new):
        return Joined(rows, ids, None)
    counters["prints_joined"] += len(new)
    heard_ns = np.where(new.rows.exch_ns == NO_TIME, new.rows.recv_ns, new.rows.exch_ns + late_ns)
    heard_ns = np.maximum(heard_ns, new.rows.recv_ns) if received else heard_ns
    flags = new.rows.flags if implied else new.rows.flags | np.uint8(FLAG_JOINED)
    added = new.rows._replace(recv_ns=heard_ns, flags=flags)
    whole = concat([rows, added])
    order = np.argsort(whole.recv_ns, kind="stable")
    all_ids = np.full(whole.kind.size, NO_ID)
    all_ids[whole.kind == TRADE] = np.concatenate([ids, new.ids])
    whole = take(whole, order)
    joined = JoinedPrints(len(new), late_ns, delay.measured)
    return Joined(whole, all_ids[order][whole.kind == TRADE], joined)


def end_book(rows: MarketRows, end_ns: int, counters: Counter[str]) -> MarketRows:
    """``rows`` with a GAP before the first joined print that was made after ``end_ns``, the book's last row.

    Nobody knows the book beside such prints.
    """
    late = np.flatnonzero(
        ((rows.flags & FLAG_JOINED) != 0) & (rows.exch_ns > end_ns) & (rows.recv_ns > end_ns)
    )
    if not late.size:
        return rows
    counters["gaps_where_book_ends"] += 1
    first = int(late[0])
    return concat(
        [take(rows, slice(0, first)), gap_at(int(rows.recv_ns[first])), take(rows, slice(first, None))]
    )


def _held(rows: MarketRows, own: Prints, prints: Prints) -> np.ndarray:
    """Mask of those ``prints`` that are among the book's ``own`` prints."""
    if not len(own):
        return np.zeros(len(prints), np.bool_)
    loose = np.flatnonzero(are_fills(rows) | (own.rows.exch_ns == NO_TIME))
    exact = np.setdiff1d(np.arange(len(own)), loose)
    known = same_trades(own.pick(exact), prints) != ALONE
    if loose.size and not known.all():
        known |= _held_as_fills(own.pick(loose), prints, known)
    return known


def _held_as_fills(fills: Prints, prints: Prints, known: np.ndarray) -> np.ndarray:
    """Mask of those ``prints``, not yet ``known``, that ``fills`` show, alone or several as one."""
    partner = same_trades(fills, prints, by_value=False)
    pair_by_value(fills, prints, FILL_WINDOW_NS, partner, ~known)
    free = np.setdiff1d(np.arange(len(fills)), partner)
    left = np.flatnonzero((partner == ALONE) & ~known)
    held = partner != ALONE
    if free.size and left.size:
        held[left] = _held_together(fills.pick(free), prints.pick(left))
    return held


def _held_together(fills: Prints, prints: Prints) -> np.ndarray:
    """Mask of those ``prints`` of one instant, price and taker that add up to one of ``fills``."""
    price_and_taker = (prints.rows.price_e4.astype(np.int64) << 1) | prints.rows.side
    order = np.lexsort((price_and_taker, prints.time_ns))
    first = np.ones(order.size, np.bool_)
    first[1:] = (np.diff(prints.time_ns[order]) != 0) | (np.diff(price_and_taker[order]) != 0)
    group = np.cumsum(first) - 1
    sums = prints.pick(order[first])
    qty_e2 = np.bincount(group, prints.rows.qty_e2[order]).astype(np.int64)
    sums = Prints(sums.rows._replace(qty_e2=qty_e2), sums.ids)
    found = pair(fills.key, fills.time_ns, sums.key, sums.time_ns, FILL_WINDOW_NS) != ALONE
    held = np.empty(order.size, np.bool_)
    held[order] = found[group]
    return held
