"""Requests to an importer and its results; every type is small, frozen and picklable.

Part          rows of some markets in one file
ImportJob     one or more whole events and every part that holds rows of them
ImportedEvent rows of all markets of one event that passed the door
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from kalshi_platform.data.market_data.gaps import GapDetection
from kalshi_platform.data.market_data.market_meta import MarketRecord
from kalshi_platform.data.market_data.schema import MarketRows
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.fee_history import FeeTable
from kalshi_platform.domain.market import MarketSpec, Provenance, Settlement
from kalshi_platform.domain.market_history import MarketHistory

DataKind = Literal["capture", "level2", "quotes", "trades"]

#: What the rows of a kind of file can prove (``docs/architecture.md``); a simulated file proves nothing.
PROVENANCE: Final[dict[DataKind, Provenance]] = {
    "capture": "recorded",
    "level2": "recorded",
    "quotes": "quotes",
    "trades": "trade_implied",
}

#: Notes about what was put aside that one event, one job and one dataset keep.
MAX_NOTES: Final = 20

#: From the provenance that proves most to the one that proves least.
RICHEST_FIRST: Final[tuple[Provenance, ...]] = ("recorded", "simulated", "quotes", "trade_implied")


class JoinedPrints(NamedTuple):
    """Prints that were joined into the book of another file, and how late: see ``joining.py``."""

    prints: int
    delay_ns: int  # receive time less exchange's time
    measured: bool  # from the book file's own rows; False: assumed


class UnknownSchemaError(DataError):
    """A readable file is of no known schema; the message names the columns or keys it has."""


class SeqGap(NamedTuple):
    """Messages missing from one subscription of a level-2 Parquet file."""

    session: int
    sid: int
    next_seq: int  # the first sequence number present after the hole
    missing: int


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of ``tickers`` in one file; ``row_groups`` are the Parquet row groups that hold any of them."""

    path: str
    kind: DataKind
    tickers: tuple[str, ...]
    row_groups: tuple[int, ...] = ()
    seq_gaps: tuple[SeqGap, ...] = ()
    simulated: bool = False  # the file says that its exchange was simulated
    period_ns: int = 0  # spacing of the records of a periodic source; 0: it records changes


class HeldMarket(NamedTuple):
    """A market whose rows a dataset holds: its row group in the events shard, and what was known when."""

    ticker: str
    group: int
    provenance: Provenance
    spec: MarketSpec
    history: MarketHistory


@dataclass(frozen=True, slots=True)
class HeldEvent:
    """An event of a dataset that grows: its rows passed the door when they came, and are read from there."""

    event: str
    path: str  # of the events shard, relative to the dataset
    sha256: str
    markets: tuple[HeldMarket, ...]


@dataclass(frozen=True, slots=True)
class ImportJob:
    """One or more whole events, imported in one process.

    Events that share a row group or a capture file travel together, so that no file is read once an event.
    """

    events: tuple[str, ...]
    parts: tuple[Part, ...]
    event_of: dict[str, str]  # every ticker of the job -> its event
    markets: dict[str, MarketRecord]  # tickers whose metadata is known
    n_rows: int  # rows in the sources (for captures an estimate), for progress
    use_yes_price: bool | None = None  # how the captures' book channel was subscribed, if anybody said
    fees: FeeTable = field(default_factory=FeeTable)  # told of the series and events of its markets
    held: tuple[HeldEvent, ...] = ()  # events whose earlier rows a dataset holds

    @property
    def name(self) -> str:
        """Short label for progress and logs."""
        more = f" +{len(self.events) - 1}" if len(self.events) > 1 else ""
        return f"{self.events[0]}{more}"


@dataclass(frozen=True, slots=True)
class ImportedMarket:
    """Rows of one market that passed the door, with the facts known of the market."""

    spec: MarketSpec
    settlement: Settlement | None
    history: MarketHistory  # to which the FACTS rows point
    provenance: Provenance
    rows: MarketRows
    source: str  # names of the files the rows came from, joined with "+"
    tick_e4: int  # spacing of a ladder that holds every price of the rows, whatever grid was in force
    joined: JoinedPrints | None = None  # None: no print came from another file than the book
    gap_detection: GapDetection | None = None  # how lost messages of the book show; None: not looked at
    grid_declared: bool = False  # a source names the grid of ``spec``


@dataclass(frozen=True, slots=True)
class ImportedEvent:
    """Markets of one event that have usable rows (there may be none), ordered by ticker.

    ``counters`` belong to this event. Counts of a whole file (unknown frames, say) lie on the first event of
    its job, so that sums over events are right. ``notes`` say in words what was put aside, a few of them.
    """

    event: str
    markets: list[ImportedMarket]
    counters: Counter[str] = field(default_factory=Counter)
    notes: tuple[str, ...] = ()
