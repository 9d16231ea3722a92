"""Feature rows of many markets in one place, ready to be stepped over.

Owns       the rows of one split, concatenated market after market; the unbroken segments in them; the facts
           of each market that the account needs (fees, grid, provenance, settlement).
Invariant  a segment holds only valid rows of one market, so no episode can step over a gap.
           Outcomes lie in ``arrays.markets.settlement_e4`` alone, which only the account reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.data.features.rows import CROSSED, LEVELS, Rows, find_segments
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.market import MarketSpec, Provenance
from kalshi_platform.domain.market_history import MarketHistory, constant_history
from kalshi_platform.simulation.replay.terms import NO_CLOSE, terms_of_rows

#: Provenance codes in ``BankArrays.source``: they decide what a fill may use.
FULL_DEPTH, TOP_ONLY, PRINTS_ONLY = range(3)
_SOURCE: Final[dict[Provenance, int]] = {
    "recorded": FULL_DEPTH,
    "simulated": FULL_DEPTH,
    "quotes": TOP_ONLY,
    "trade_implied": PRINTS_ONLY,
}
UNSETTLED: Final = -1
#: Bits of a row's ``state``.
ROW_CROSSED, ROW_BURST_END = 1, 2


#: Facts of one message that execution needs, in one record: a step touches three cache lines (ADR-0002).
ROW_DTYPE: Final = np.dtype(
    [
        # what every step reads lies in front, so that it costs one or two cache lines
        ("recv_ns", "i8"),
        ("bid_px_e4", "i4", (LEVELS,)),
        ("ask_px_e4", "i4", (LEVELS,)),
        ("print_px_e4", "i4"),
        ("print_side", "u1"),
        ("state", "u1"),  # ROW_CROSSED and ROW_BURST_END, as bits
        ("terms", "u2"),  # which of the market's terms are in force
        ("bid_qty_e2", "i8", (LEVELS,)),
        ("ask_qty_e2", "i8", (LEVELS,)),
        ("print_qty_e2", "i8"),
    ],
    align=True,
)
#: An unbroken run of one market's rows.
SEGMENT_DTYPE: Final = np.dtype(
    [
        ("start", "i8"),  # first row
        ("stop", "i8"),  # one past the last row
        ("end_ns", "i8"),  # from then on the exchange takes no order: closed, paused, or the book is lost
        (
            "news_ns",
            "i8",
        ),  # when a trader can know that the segment is over; until then its slot tells nothing
        ("market", "i4"),
        ("settles", "u1"),  # the outcome is known and no later row of the market can be traded
    ],
    align=True,
)
#: Facts of a market that the account needs.
MARKET_DTYPE: Final = np.dtype(
    [
        ("close_ns", "i8"),  # true end of trading, NO_CLOSE if unknown; no outcome is paid while others trade
        ("settlement_e4", "i4"),  # what one YES paid; UNSETTLED if unknown
        ("terms_at", "i4"),  # the market's first record in ``BankArrays.terms``
        ("source", "u1"),  # FULL_DEPTH, TOP_ONLY or PRINTS_ONLY
    ],
    align=True,
)


class BankArrays(NamedTuple):
    """Arrays that the kernels read: R rows, G segments, M markets. Nobody writes them after building."""

    rows: np.ndarray  # (R,) ROW_DTYPE
    features: np.ndarray  # (R, F) f4: the columns of the enabled feature sets
    temporal: np.ndarray  # (R, H) f4: the columns history windows are made of
    age: np.ndarray  # (R,) i4: rows since the first of the segment; -1 outside any segment
    segments: np.ndarray  # (G,) SEGMENT_DTYPE
    markets: np.ndarray  # (M,) MARKET_DTYPE
    terms: np.ndarray  # (T,) TERMS_DTYPE, market after market


@dataclass(frozen=True)
class MarketInfo:
    """Facts of a market for reports and curricula; ``specification`` holds the rules it trades under."""

    specification: MarketSpec
    provenance: Provenance
    volatility: float
    told: MarketHistory | None = None  # None: the specification was known all the time
    block_name: str | None = None  # None: its event is an observation of its own

    @property
    def history(self) -> MarketHistory:
        """Facts of the market as they became known, and the true end of trading."""
        return constant_history(self.specification) if self.told is None else self.told

    @property
    def ticker(self) -> str:
        """The exchange's name of the market."""
        return self.specification.ticker

    @property
    def event(self) -> str:
        """Event the market belongs to; its markets settle together."""
        return self.specification.event

    @property
    def block(self) -> str:
        """Independent observation that the event is part of: the unit of splits, averages and intervals."""
        return self.specification.event if self.block_name is None else self.block_name

    @property
    def category(self) -> str | None:
        """The exchange's category of the market's series."""
        return self.specification.category


@dataclass(frozen=True)
class BankMarket:
    """One market on its way into a bank: ``settlement_e4`` is UNSETTLED where the outcome is unknown."""

    info: MarketInfo
    rows: Rows
    settlement_e4: int = UNSETTLED


@dataclass(frozen=True)
class Bank:
    """The markets of one split; ``arrays`` go to the kernels, ``markets`` to reports.

    ``feature_names`` are the columns of ``arrays.features``. ``full_rows`` is None in the bank of a whole
    split. In the bank of a share of a split it is (R + 1,) i4: the place of each row in the whole bank, then
    -1, so that ``full_rows[rows]`` leaves row -1, an empty slot, as it is.
    """

    arrays: BankArrays
    markets: tuple[MarketInfo, ...]
    feature_names: tuple[str, ...]
    full_rows: np.ndarray | None = None

    @property
    def n_rows(self) -> int:
        """Number of rows of all markets."""
        return int(self.arrays.rows.size)

    @property
    def segment_events(self) -> np.ndarray:
        """Index (G,) i4 of each segment's event; events are numbered by first appearance."""
        number: dict[str, int] = {}
        by_market = np.array([number.setdefault(m.event, len(number)) for m in self.markets], np.int32)
        return by_market[self.arrays.segments["market"]]


def build_bank(
    markets: Sequence[BankMarket],
    feature_names: Sequence[str],
    feature_columns: Sequence[int],
    temporal_columns: Sequence[int],
) -> Bank:
    """Concatenate markets into a bank.

    ``feature_columns`` are the columns of ``Rows.features`` named ``feature_names``; ``temporal_columns`` are
    those that history windows hold. DataError where no market has two consecutive valid rows.
    """
    segments: list[tuple[int, int, int, int, int, bool]] = []
    terms: list[np.ndarray] = []
    terms_at: list[int] = []
    places: list[np.ndarray] = []
    ages: list[np.ndarray] = []
    offset = 0
    for m, market in enumerate(markets):
        n = market.rows.recv_ns.size
        terms_at.append(sum(part.size for part in terms))
        own_terms, place = _terms(market)
        terms.append(own_terms)
        places.append(place)
        age = np.full(n, -1, np.int32)
        for start, stop in zip(*find_segments(market.rows.valid), strict=True):
            age[start:stop] = np.arange(stop - start)
            tradable_later = market.rows.valid[stop:].any()  # rows after the close are invalid, not missing
            settles = bool(market.settlement_e4 != UNSETTLED and not tradable_later)
            times = _end_times_ns(market, int(stop), int(own_terms["close_ns"][place[stop - 1]]))
            segments.append((offset + int(start), offset + int(stop), *times, m, settles))
        ages.append(age)
        offset += n
    if not segments:
        raise DataError(
            f"none of {len(markets)} markets has two consecutive valid rows: nothing to step over"
        )
    # picked a market at a time: the stored feature sets are several times wider than what is shown
    features, temporal = (
        np.concatenate([x.rows.features[:, list(picked)] for x in markets]).astype(np.float32, copy=False)
        for picked in (feature_columns, temporal_columns)
    )
    rows = np.zeros(offset, ROW_DTYPE)
    made = {"terms": places, "state": [_state(x.rows) for x in markets]}
    for name in ROW_DTYPE.names or ():
        rows[name] = np.concatenate(made.get(name) or [getattr(x.rows, name) for x in markets])
    arrays = BankArrays(
        rows=rows,
        features=np.ascontiguousarray(features),
        temporal=np.ascontiguousarray(temporal),
        age=np.concatenate(ages),
        segments=np.array(segments, SEGMENT_DTYPE),
        markets=np.array(
            [
                market_record(x.info.provenance, at, x.info.history.close_ns, x.settlement_e4)
                for x, at in zip(markets, terms_at, strict=True)
            ],
            MARKET_DTYPE,
        ),
        terms=np.concatenate(terms),
    )
    return Bank(read_only(arrays), tuple(x.info for x in markets), tuple(feature_names))


def _state(rows: Rows) -> np.ndarray:
    """``state`` (n,) u1 of ROW_DTYPE."""
    return np.where(rows.valid == CROSSED, ROW_CROSSED, 0) | np.where(rows.burst_end, ROW_BURST_END, 0)


def _terms(market: BankMarket) -> tuple[np.ndarray, np.ndarray]:
    """Terms of a market and the place of each row's terms in them."""
    info, rows = market.info, market.rows
    return terms_of_rows(info.ticker, info.history, rows.known, rows.recv_ns)


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


def market_record(
    provenance: Provenance, terms_at: int, close_ns: int | None = None, settlement_e4: int = UNSETTLED
) -> tuple[int, int, int, int]:
    """MARKET_DTYPE record of a market, as a tuple; ``close_ns``: true end of trading, None where unknown."""
    return NO_CLOSE if close_ns is None else close_ns, settlement_e4, terms_at, _SOURCE[provenance]


def read_only(arrays: BankArrays) -> BankArrays:
    """The same arrays, write-protected, because several environments and processes share them."""
    views = []
    for array in arrays:
        view = np.asarray(array)
        # recarrays give plain Python the attribute access that compiled kernels have
        view = view.view(np.recarray) if view.dtype.names else view.view()
        view.flags.writeable = False
        views.append(view)
    return BankArrays(*views)
