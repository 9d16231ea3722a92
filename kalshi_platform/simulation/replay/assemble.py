"""Makes a bank of its markets, one market at a time.

Owns       :func:`market_part`, the rows of one market as the kernels read them, and :class:`Index`, what a
           bank knows of all its markets: segments, facts, terms. Nothing holds the rows of two markets.
Used by    ``cold.py``, which writes parts to files as they come; ``pages.py``, which makes a part again when
           it is needed; :func:`build_bank`, which keeps all of them in memory (small banks made by hand).
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.data.features.rows import CROSSED, Rows, find_segments
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import NO_PRICE
from kalshi_platform.simulation.replay.bank import (
    MARKET_DTYPE,
    ROW_BURST_END,
    ROW_CROSSED,
    ROW_DTYPE,
    SEGMENT_DTYPE,
    UNSETTLED,
    Bank,
    BankArrays,
    BankMarket,
    market_record,
    read_only,
)
from kalshi_platform.simulation.replay.terms import NO_CLOSE, TERMS_DTYPE, terms_of_rows


class Columns(NamedTuple):
    """Columns of ``Rows.features`` that a bank shows (``features``) and that history windows hold."""

    features: tuple[int, ...]
    temporal: tuple[int, ...]


class MarketPart(NamedTuple):
    """The n rows of one market in the arrays of a bank, under the names of ``BankArrays``."""

    rows: np.ndarray  # (n,) ROW_DTYPE
    features: np.ndarray  # (n, F) f4
    temporal: np.ndarray  # (n, H) f4
    age: np.ndarray  # (n,) i4


#: Arrays of a bank with one entry a row; the others are small.
PER_ROW: Final = MarketPart._fields
_SMALL: Final = {"segments": SEGMENT_DTYPE, "markets": MARKET_DTYPE, "terms": TERMS_DTYPE}


def market_part(market: BankMarket, columns: Columns) -> tuple[MarketPart, np.ndarray]:
    """Rows of ``market`` in a bank, and its terms (T,) TERMS_DTYPE, which the rows name by their place."""
    rows = market.rows
    terms, place = _terms(market)
    age = np.full(rows.recv_ns.size, -1, np.int32)
    for start, stop in zip(*find_segments(rows.valid), strict=True):
        age[start:stop] = np.arange(stop - start)
    records = np.zeros(rows.recv_ns.size, ROW_DTYPE)
    made = {"terms": place, "state": _state(rows)}
    for name in ROW_DTYPE.names or ():
        records[name] = made[name] if name in made else getattr(rows, name)
    # picked here: the stored feature sets are several times wider than what is shown
    features, temporal = (
        np.ascontiguousarray(rows.features[:, list(picked)], np.float32) for picked in columns
    )
    return MarketPart(records, features, temporal, age), terms


class Index:
    """The small arrays of a bank, grown market by market in the order of its rows.

    The arrays of MARKETS_JOINED markets are made one, so that a million markets are no million objects.
    """

    MARKETS_JOINED: Final = 1_024

    def __init__(self) -> None:
        self.n_rows = self._n_markets = self._n_terms = 0
        self._joined = {name: [np.zeros(0, dtype)] for name, dtype in _SMALL.items()}
        self._fresh: dict[str, list[np.ndarray]] = {name: [] for name in _SMALL}

    def add(self, market: BankMarket, part: MarketPart, terms: np.ndarray) -> None:
        """Take in the next market, of which ``part`` and ``terms`` were made."""
        info = market.info
        record = market_record(info.provenance, self._n_terms, info.history.close_ns, market.settlement_e4)
        self._fresh["segments"].append(_segments(market, part, terms, self._n_markets, self.n_rows))
        self._fresh["markets"].append(np.array([record], MARKET_DTYPE))
        self._fresh["terms"].append(terms)
        self._n_markets += 1
        self._n_terms += terms.size
        self.n_rows += part.age.size
        if self._n_markets % self.MARKETS_JOINED == 0:
            self._join()

    @property
    def n_arrays(self) -> int:
        """Number of arrays held."""
        return sum(map(len, (*self._joined.values(), *self._fresh.values())))

    def _join(self) -> None:
        for name, fresh in self._fresh.items():
            if fresh:
                self._joined[name].append(np.concatenate(fresh))
                fresh.clear()

    def arrays(self) -> dict[str, np.ndarray]:
        """``segments``, ``markets`` and ``terms`` of a bank; DataError where nothing can be stepped over."""
        self._join()
        small = {name: np.concatenate(joined) for name, joined in self._joined.items()}
        if not small["segments"].size:
            raise DataError(
                f"none of {self._n_markets} markets has two consecutive valid rows: nothing to step over"
            )
        return small


def build_bank(
    markets: Sequence[BankMarket],
    feature_names: Sequence[str],
    feature_columns: Sequence[int],
    temporal_columns: Sequence[int],
) -> Bank:
    """Make a bank in memory.

    ``feature_columns`` are the columns of ``Rows.features`` named ``feature_names``; ``temporal_columns`` are
    those that history windows hold. DataError where no market has two consecutive valid rows.
    """
    columns, index, parts = (
        Columns(tuple(feature_columns), tuple(temporal_columns)),
        Index(),
        list[MarketPart](),
    )
    for market in markets:
        part, terms = market_part(market, columns)
        index.add(market, part, terms)
        parts.append(part)
    small = index.arrays()
    whole = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    arrays = BankArrays(**dict(zip(PER_ROW, whole, strict=True)), **small)
    return Bank(read_only(arrays), tuple(x.info for x in markets), tuple(feature_names))


def _state(rows: Rows) -> np.ndarray:
    """``state`` (n,) u1 of ROW_DTYPE."""
    return np.where(rows.valid == CROSSED, ROW_CROSSED, 0) | np.where(rows.burst_end, ROW_BURST_END, 0)


def _terms(market: BankMarket) -> tuple[np.ndarray, np.ndarray]:
    """Terms of a market and the place of each row's terms in them."""
    info, rows = market.info, market.rows
    return terms_of_rows(info.ticker, info.history, rows.known, rows.recv_ns)


def _segments(
    market: BankMarket, part: MarketPart, terms: np.ndarray, number: int, first_row: int
) -> np.ndarray:
    """Segments (g,) SEGMENT_DTYPE of the market ``number``, whose rows begin at ``first_row`` of the bank."""
    rows = market.rows
    printed = rows.print_px_e4 != NO_PRICE
    found = []
    for first, last in zip(*find_segments(rows.valid), strict=True):
        start, stop = int(first), int(last)
        tradable_later = rows.valid[stop:].any()  # rows after the close are invalid, not missing
        settles = bool(market.settlement_e4 != UNSETTLED and not tradable_later)
        end_ns, news_ns = _end_times_ns(market, stop, int(terms["close_ns"][part.rows["terms"][stop - 1]]))
        own = slice(start, stop)
        found.append(
            (
                first_row + start, first_row + stop, end_ns, news_ns, int(rows.recv_ns[start]),
                int(rows.recv_ns[stop - 1]), int(rows.print_qty_e2[own][printed[own]].sum()), number,
                settles, bool(printed[own].any()),
            )
        )  # fmt: skip
    return np.array(found, SEGMENT_DTYPE)


def _end_times_ns(market: BankMarket, stop: int, known_close_ns: int) -> tuple[int, int]:
    """(end_ns, news_ns) of the segment that ends before row ``stop``.

    Its news is the true close, the close as last known, or the row that shows a pause or a loss, whichever
    comes first. Where there is no later row nobody knows how the book went on: the exchange takes no order
    after the last row, and without a close the recording's end is the news.
    """
    recv_ns, close_ns = market.rows.recv_ns, market.info.history.close_ns
    close_ns = min(known_close_ns, NO_CLOSE if close_ns is None else close_ns)
    last_ns = int(recv_ns[stop - 1])
    if stop < recv_ns.size:
        end_ns = min(int(recv_ns[stop]), close_ns)
        return end_ns, end_ns
    return min(last_ns + 1, close_ns), last_ns if close_ns == NO_CLOSE else close_ns
