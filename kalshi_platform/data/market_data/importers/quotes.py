"""Quote Parquet: best bid and ask of YES, as they change; sizes where recorded, else unknown.

Each record is a message of the sides that changed (the first record of a market, and the first after a
crossing or a hole: both). A NO bid is 10_000 minus the YES ask. Null, a bid of 0 and an ask of 0 or 10_000
all mean an empty side: the exchange reports an empty side so. A bid of 10_000 is no bid that anybody can sell
to: it is counted, and an empty side too. A record that changes nothing makes no message.

A crossed or locked pair (bid at or above the ask) cannot rest on the exchange; a recorder took it in the
middle of a match. The importer counts such records and hands them on: the door lets them pass for a moment
and ends the book where they stay, by the one rule for all books (``book_checks.py``). Both sides of the
record after them are told, so that it is the proof that the book needs then.

A periodic source (``periods.py``) that is silent for more than GAP_PERIODS periods has a hole: nobody knows
what happened in it. A GAP stands before the record that ends it.
"""

from collections import Counter
from typing import NamedTuple

import numpy as np

from kalshi_platform.data.market_data.gaps import NOTHING_MISSING, put_before
from kalshi_platform.data.market_data.importers.parquet import PartRows, read_part
from kalshi_platform.data.market_data.importers.periods import GAP_PERIODS
from kalshi_platform.data.market_data.importers.pieces import Piece, split_by_market
from kalshi_platform.data.market_data.importers.types import PROVENANCE, Part
from kalshi_platform.data.market_data.schema import FLAG_LAST, NO, QUOTE, YES, MarketRows, empty
from kalshi_platform.domain.units import DOLLAR_E4, NO_PRICE, UNKNOWN_QTY


class _Quotes(NamedTuple):
    """One side pair a record: own-side bid prices and sizes."""

    at: np.ndarray  # position in the part
    recv_ns: np.ndarray
    price_e4: np.ndarray  # (2, n): YES bid, NO bid; NO_PRICE = empty
    qty_e2: np.ndarray  # (2, n)


def import_quotes(part: Part, counters: Counter[str]) -> list[Piece]:
    """Pieces of every market of the part: QUOTE rows."""
    source = read_part(part)
    quotes = _read(source, counters)
    after_hole = _after_hole(source, quotes, part.period_ns, counters)
    whole = after_hole | _around_odd(quotes, counters)
    rows, record = _changes(source, quotes, whole, counters)
    missing = np.where(after_hole[record] & (np.diff(record, prepend=-1) != 0), UNKNOWN_QTY, NOTHING_MISSING)
    rows, at = put_before(rows, missing)
    return split_by_market(source, rows, quotes.at[record[at]], PROVENANCE["quotes"])


def _read(source: PartRows, counters: Counter[str]) -> _Quotes:
    """Quotes of the part; a price that cannot be keeps a price outside 0..10_000, which the door refuses."""
    bid, ask = source.ints("yes_bid_e4", null=0).copy(), source.ints("yes_ask_e4", null=0)
    no_bid = np.where((ask == 0) | (ask == DOLLAR_E4), NO_PRICE, DOLLAR_E4 - ask)
    no_bid[ask > DOLLAR_E4] = np.minimum(no_bid[ask > DOLLAR_E4], NO_PRICE - 1)
    bid[bid < 0] = np.minimum(bid[bid < 0], NO_PRICE - 1)
    at_one = (bid == DOLLAR_E4) & (no_bid == NO_PRICE)  # nobody can sell at 1.00; beside an ask it is crossed
    counters["quotes_outside_0_1"] += int(at_one.sum())
    price_e4 = np.stack([np.where((bid == 0) | at_one, NO_PRICE, bid), no_bid])
    qty_e2 = np.full(price_e4.shape, UNKNOWN_QTY)
    for side, name in ((YES, "yes_bid_size_e2"), (NO, "yes_ask_size_e2")):
        if name in source:
            qty_e2[side] = source.ints(name, null=UNKNOWN_QTY)
    qty_e2[price_e4 == NO_PRICE] = 0
    return _Quotes(np.arange(len(source)), source.time_ns("quotes", counters), price_e4, qty_e2)


def _after_hole(source: PartRows, quotes: _Quotes, period_ns: int, counters: Counter[str]) -> np.ndarray:
    """Mask (n,) of records that end a hole of a periodic source."""
    after = np.zeros(len(quotes.at), np.bool_)
    if period_ns:
        same = np.diff(source.market_of(quotes.at)) == 0
        after[1:] = same & (np.diff(quotes.recv_ns) > GAP_PERIODS * period_ns)
        counters["gaps_in_periodic_source"] += int(after.sum())
    return after


def _around_odd(quotes: _Quotes, counters: Counter[str]) -> np.ndarray:
    """Mask (n,) of records that are crossed, locked or impossible, or follow one; the former are counted."""
    bid, no_bid = quotes.price_e4
    both = (bid != NO_PRICE) & (no_bid != NO_PRICE)
    crossed, locked = both & (bid + no_bid > DOLLAR_E4), both & (bid + no_bid == DOLLAR_E4)
    counters["quotes_crossed"] += int(crossed.sum())
    counters["quotes_locked"] += int(locked.sum())
    found = (
        crossed
        | locked
        | (quotes.price_e4 < NO_PRICE).any(axis=0)
        | (quotes.price_e4 > DOLLAR_E4).any(axis=0)
    )
    moved = (np.diff(quotes.price_e4, axis=1, prepend=0) != 0).any(axis=0)
    found[1:] |= found[:-1]
    return found & moved


def _changes(
    source: PartRows, quotes: _Quotes, whole: np.ndarray, counters: Counter[str]
) -> tuple[MarketRows, np.ndarray]:
    """Rows of the sides that changed, and the record that each row belongs to; ``whole`` (n,): both sides."""
    n = len(quotes.at)
    market = source.market_of(quotes.at)
    first = (np.diff(market, prepend=-1) != 0) | whole
    moved = np.diff(quotes.price_e4, axis=1, prepend=0) != 0
    resized = np.diff(quotes.qty_e2, axis=1, prepend=0) != 0
    changed = moved | resized | first
    counters["quotes_unchanged"] += int((~changed.any(axis=0)).sum())
    record, side = np.nonzero(changed.T)
    rows = empty(len(record))
    rows.kind[:], rows.side[:] = QUOTE, side
    rows.recv_ns[:] = quotes.recv_ns[record]
    rows.price_e4[:] = quotes.price_e4[side, record]
    rows.qty_e2[:] = quotes.qty_e2[side, record]
    rows.flags[np.diff(record, append=n) != 0] = FLAG_LAST
    return rows, record
