"""A view of one market as the measures need it: its rows, its messages, and the rows at which it has a mid.

Quoted row   a row that is VALID (the book is proven, the market trades, bid below ask) and has a best bid and
             a best ask. Its mid is (bid + ask) / 2.
Segment      a run of rows without an INVALID one. Quoted rows of one segment follow each other; CROSSED rows
             and rows with an empty side lie between them uncounted. Nothing is measured across segments.
"""

from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.data.features.rows import CROSSED, INVALID, VALID, Rows
from kalshi_platform.data.market_data.schema import MarketRows
from kalshi_platform.domain.market import Provenance
from kalshi_platform.domain.units import NO_PRICE, NS_PER_SECOND

#: Provenances of which every price level is recorded, and those of which at least the best prices are.
FULL_BOOK: Final[tuple[Provenance, ...]] = ("recorded", "simulated")
BEST_PRICES: Final[tuple[Provenance, ...]] = (*FULL_BOOK, "quotes")
#: Time between two points at which the mid is taken: the base of the variance ratio.
GRID_NS: Final = 60 * NS_PER_SECOND


class QuotedRows(NamedTuple):
    """The n quoted rows of one market, in order."""

    at: np.ndarray  # (n,) i8: place among the market's rows
    recv_ns: np.ndarray  # (n,) i8
    segment: np.ndarray  # (n,) i8: number of the segment, ascending
    bid_e4: np.ndarray  # (n,) i8
    ask_e4: np.ndarray  # (n,) i8
    mid2_e4: np.ndarray  # (n,) i8: bid + ask, twice the mid, so that it stays a whole number


class MarketView(NamedTuple):
    """One market: feature rows, recorded messages, quoted rows, and facts that the measures need."""

    provenance: Provenance
    rows: Rows
    messages: MarketRows
    quoted: QuotedRows
    taker_rate_e6: np.ndarray  # (n,) i8: the taker's fee rate in force at each quoted row
    close_ns: int | None  # true end of trading, None where unknown


class GridPoints(NamedTuple):
    """The mid of one segment every GRID_NS from its first quoted row to its last."""

    at_ns: np.ndarray  # (g,) i8
    mid2_e4: np.ndarray  # (g,) i8: of the last quoted row at or before


def quoted_rows(rows: Rows) -> QuotedRows:
    """Quoted rows among ``rows``."""
    bid, ask = rows.bid_px_e4[:, 0].astype(np.int64), rows.ask_px_e4[:, 0].astype(np.int64)
    at = np.flatnonzero((rows.valid == VALID) & (bid != NO_PRICE) & (ask != NO_PRICE))
    segment = np.cumsum(rows.valid == INVALID)[at]
    return QuotedRows(at, rows.recv_ns[at], segment, bid[at], ask[at], bid[at] + ask[at])


def rows_left_out(rows: Rows, quoted: QuotedRows) -> dict[str, int]:
    """Number of rows that are not quoted, by the reason."""
    invalid, crossed = int((rows.valid == INVALID).sum()), int((rows.valid == CROSSED).sum())
    return {
        "the book is not proven or the market does not trade": invalid,
        "bid at or above ask": crossed,
        "one side is empty": rows.valid.size - invalid - crossed - quoted.at.size,
    }


def segments_of(quoted: QuotedRows) -> list[slice]:
    """Places of each segment among the quoted rows."""
    edges = [0, *(np.flatnonzero(np.diff(quoted.segment)) + 1).tolist(), quoted.at.size]
    return [slice(a, b) for a, b in pairwise(edges) if b > a]


def grid_of(quoted: QuotedRows, segment: slice) -> GridPoints:
    """Grid points of one segment: its first quoted row's time, then every GRID_NS up to its last one's."""
    recv_ns = quoted.recv_ns[segment]
    at_ns = np.arange(recv_ns[0], recv_ns[-1] + 1, GRID_NS)
    return GridPoints(at_ns, quoted.mid2_e4[segment][np.searchsorted(recv_ns, at_ns, "right") - 1])


def rows_ahead(quoted: QuotedRows, n_ahead: int) -> np.ndarray:
    """Places (m,) i8 of quoted rows that have an ``n_ahead``-th next one in their segment."""
    here = np.arange(max(quoted.at.size - n_ahead, 0))
    return here[quoted.segment[here] == quoted.segment[here + n_ahead]]


def time_ahead(quoted: QuotedRows, ahead_ns: int) -> tuple[np.ndarray, np.ndarray]:
    """(places, places later) of quoted rows whose segment still has one ``ahead_ns`` later.

    The later row is the last quoted one of the same segment at or before then; rows whose segment ends before
    then are left out.
    """
    here, later = [], []
    for segment in segments_of(quoted):
        recv_ns = quoted.recv_ns[segment]
        n = int(np.searchsorted(recv_ns, recv_ns[-1] - ahead_ns, "right"))
        here.append(segment.start + np.arange(n))
        later.append(segment.start + np.searchsorted(recv_ns, recv_ns[:n] + ahead_ns, "right") - 1)
    empty = [np.zeros(0, np.int64)]
    return np.concatenate(here or empty), np.concatenate(later or empty)
