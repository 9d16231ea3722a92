"""Feature rows of many markets in one place, ready to be stepped over.

Owns       the rows of one split, concatenated market after market; the unbroken segments in them; the facts
           of each market that the account needs (fees, grid, provenance, settlement).
Invariant  a segment holds only valid rows of one market, so no episode can step over a gap.
           Outcomes lie in ``arrays.markets.settlement_e4`` alone, which only the account reads.
Not here   making one from the rows of its markets (``assemble.py``) and opening a dataset's (``open.py``).
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.data.features.rows import LEVELS, Rows
from kalshi_platform.domain.market import MarketSpec, Provenance
from kalshi_platform.domain.market_history import MarketHistory, constant_history
from kalshi_platform.simulation.replay.terms import NO_CLOSE

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
        # what draws of episodes and curricula ask of every segment, so that nobody reads all rows for it
        ("first_ns", "i8"),  # ``recv_ns`` of the first row
        ("last_ns", "i8"),  # ``recv_ns`` of the last row
        ("traded_e2", "i8"),  # contracts of its prints
        ("market", "i4"),
        ("settles", "u1"),  # the outcome is known and no later row of the market can be traded
        ("printed", "u1"),  # one of its rows shows a trade
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
