"""Markets of a manifest, as a sequence of :class:`MarketEntry` over columns, and columns from entries.

An entry is made when somebody asks for it and kept by nobody. Code that looks at every market reads a column
(:meth:`MarketEntries.numbers`): a million markets are milliseconds then, and many seconds as objects.
"""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, overload

import numpy as np
import pyarrow as pa

from kalshi_platform.data.dataset.blocks import PARTS, Part
from kalshi_platform.data.dataset.columns import (
    FILES,
    GAP_DETECTIONS,
    MARKET_NUMBERS,
    PROVENANCES,
    UNKNOWN,
    EventColumns,
    JoinedColumns,
    MarketColumns,
    order_of,
    part_code,
)
from kalshi_platform.data.dataset.entry import JoinedFiles, MarketEntry, Shard
from kalshi_platform.data.dataset.split import Asked
from kalshi_platform.data.dataset.tables import place_in, strings
from kalshi_platform.domain.errors import ContractError

_CHUNK: Final = 4_096


class MarketEntries(Sequence[MarketEntry]):
    """Entries of some markets of a manifest: of all, where ``rows`` is None, else of those places (M,) i8."""

    def __init__(
        self,
        columns: MarketColumns,
        events: EventColumns,
        joined: JoinedColumns,
        rows: np.ndarray | None = None,
    ) -> None:
        self.columns, self.events, self.joined = columns, events, joined
        self._rows = rows

    def __len__(self) -> int:
        return self.columns.n_markets if self._rows is None else self._rows.size

    @overload
    def __getitem__(self, at: int) -> MarketEntry: ...
    @overload
    def __getitem__(self, at: slice) -> "MarketEntries": ...
    def __getitem__(self, at: int | slice) -> "MarketEntry | MarketEntries":
        if isinstance(at, slice):
            return self.take(np.arange(len(self))[at])
        place = range(len(self))[at]
        return next(self._made(self.rows[place : place + 1]))

    def __iter__(self) -> Iterator[MarketEntry]:
        for start in range(0, len(self), _CHUNK):
            yield from self._made(self.rows[start : start + _CHUNK])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"MarketEntries({len(self)} markets)"

    @property
    def is_whole(self) -> bool:
        """True where these are all markets of the manifest, in its order."""
        return self._rows is None

    @cached_property
    def rows(self) -> np.ndarray:
        """Place (M,) i8 of every market in the manifest's table."""
        return np.arange(self.columns.n_markets) if self._rows is None else self._rows

    def fits(self, shards: "EventShards", joined: tuple[JoinedFiles, ...]) -> bool:
        """True where these are columns of a whole manifest with these files: nothing is to be made."""
        return self.is_whole and shards.events is self.events and joined == self.joined.sums()

    def take(self, places: np.ndarray) -> "MarketEntries":
        """Entries at ``places`` (K,) of this sequence, in that order."""
        return MarketEntries(self.columns, self.events, self.joined, self.rows[places])

    def of(self, split: Asked | None) -> "MarketEntries":
        """Entries of one split (all of them where None or ``all``), in the same order."""
        if split in (None, "all"):
            return self
        return self.take(np.flatnonzero(self.parts == part_code(split)))  # type: ignore[arg-type]

    def in_order(self) -> "MarketEntries":
        """The same markets by event and batch, the order of the rows in a bank."""
        event, batch = self.numbers("event"), self.numbers("batch")
        step = np.diff(event)
        if not ((step > 0) | ((step == 0) & (np.diff(batch) >= 0))).all():
            return self.take(np.lexsort((batch, event)))
        return self

    def numbers(self, name: str) -> np.ndarray:
        """Column of numbers of ``MarketColumns``, such as ``n_rows`` (M,) i8."""
        column: np.ndarray = getattr(self.columns, name)
        return column if self._rows is None else column[self._rows]

    @property
    def tickers(self) -> pa.Array:
        """Tickers (M,)."""
        ticker = self.columns.ticker
        return ticker if self._rows is None else ticker.take(pa.array(self._rows))

    @property
    def parts(self) -> np.ndarray:
        """Code (M,) i1 of the part of every market, a place in ``PARTS``."""
        return self.events.part[self.numbers("event")]

    @property
    def event_codes(self) -> np.ndarray:
        """Codes of the events of these markets, each once, ascending: places in ``events.name``."""
        return np.unique(self.numbers("event"))

    @property
    def event_names(self) -> tuple[str, ...]:
        """Names of the events of these markets, each once, sorted."""
        return tuple(self.events.name.take(pa.array(self.event_codes)).to_pylist())

    @property
    def is_playable(self) -> np.ndarray:
        """True (M,) where an episode can step over the market, or where nobody counted."""
        return self.numbers("n_segments") != 0

    def place_of(self, ticker: str) -> int | None:
        """Place of a market in the manifest's table; None where it is not there."""
        return place_in(self.columns.ticker, ticker, self.columns.order)

    def _made(self, rows: np.ndarray) -> Iterator[MarketEntry]:
        """Entries at ``rows`` of the table, made without checks: the columns were checked."""
        columns, events = self.columns, self.events
        values = {name: getattr(columns, name)[rows].tolist() for name in MARKET_NUMBERS}
        codes = columns.event[rows]
        values["event"] = events.name.take(pa.array(codes)).to_pylist()
        values["ticker"] = columns.ticker.take(pa.array(rows)).to_pylist()
        values["split"] = [PARTS[code] for code in events.part[codes].tolist()]
        values["block"] = events.block_names(events.block[codes])
        values["provenance"] = [PROVENANCES[code] for code in values["provenance"]]
        values["gap_detection"] = [None if c < 0 else GAP_DETECTIONS[c] for c in values["gap_detection"]]
        values["n_segments"] = [None if n < 0 else n for n in values["n_segments"]]
        values["grid_declared"] = [None if told < 0 else bool(told) for told in values["grid_declared"]]
        for name in ("settled", "older_outcomes"):
            values[name] = [bool(value) for value in values[name]]
        values["joined"] = [self.joined.get(row) for row in rows.tolist()]
        names = list(values)
        for row in zip(*values.values(), strict=True):
            yield MarketEntry.model_construct(**dict(zip(names, row, strict=True)))


class EventShards(Sequence[Shard]):
    """Files of a dataset: those about the whole, then the two of every event, made when asked for."""

    def __init__(self, whole: Sequence[Shard], events: EventColumns, feature_digest: str) -> None:
        self.whole, self.events, self.feature_digest = tuple(whole), events, feature_digest

    def __len__(self) -> int:
        return len(self.whole) + self._places.size

    @overload
    def __getitem__(self, at: int) -> Shard: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Shard, ...]: ...
    def __getitem__(self, at: int | slice) -> Shard | tuple[Shard, ...]:
        if isinstance(at, slice):
            return tuple(self[place] for place in range(len(self))[at])
        place = range(len(self))[at]
        if place < len(self.whole):
            return self.whole[place]
        kind, event = divmod(int(self._places[place - len(self.whole)]), self.events.n_events)
        return self._made(kind, event)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    @cached_property
    def _places(self) -> np.ndarray:
        return np.flatnonzero(np.concatenate(self.events.n_bytes) >= 0)

    def find(self, kind: str, event: str | None) -> Shard | None:
        """The file of ``event`` (None: one about the whole dataset); None where there is none."""
        if event is None:
            return next((shard for shard in self.whole if shard.kind == kind), None)
        if kind not in FILES:
            return None
        code, at = place_in(self.events.name, event), FILES.index(kind)
        return None if code is None or self.events.n_bytes[at][code] < 0 else self._made(at, code)

    def _made(self, at: int, event: int) -> Shard:
        name, kind = self.events.name[event].as_py(), FILES[at]
        sha256 = self.events.sha256[at][event].tobytes().hex()
        return Shard.model_construct(
            path=path_of(kind, name, sha256, self.feature_digest),
            kind=kind,
            sha256=sha256,
            n_bytes=int(self.events.n_bytes[at][event]),
            event=name,
        )


def path_of(kind: str, event: str, sha256: str, feature_digest: str) -> str:
    """Place of an event's file in the dataset: it follows from the event's name and the file's content."""
    folder, suffix = ("events", "parquet") if kind == "events" else (f"features/{feature_digest}", "arrow")
    return f"{folder}/{event}.{sha256[:12]}.{suffix}"


def columns_of(
    markets: Iterable[MarketEntry],
    shards: Iterable[Shard],
    feature_digest: str,
    joined: Iterable[JoinedFiles] = (),
) -> tuple[MarketEntries, EventShards]:
    """Columns of ``markets`` and ``shards``, which may come from a generator: none of them is kept.

    ``joined`` are the sums of the trades that were put beside books.
    ContractError names the event, market, block or shard that contradicts another.
    """
    joined = tuple(joined)
    if (
        isinstance(markets, MarketEntries)
        and isinstance(shards, EventShards)
        and markets.fits(shards, joined)
        and shards.feature_digest == feature_digest
    ):
        return markets, shards
    taken = _Taken()
    sums = [(UNKNOWN, told) for told in joined]
    for market in markets:
        taken.add(market)
    whole, files, elsewhere = _sorted_out(shards, feature_digest)
    events = taken.events(files)
    columns = taken.markets(events)
    columns.check(events.part)
    events.check()
    if elsewhere:
        raise ContractError(elsewhere)
    entries = MarketEntries(columns, events, JoinedColumns.of([*sums, *taken.joined]))
    return entries, EventShards(whole, events, feature_digest)


def _sorted_out(
    shards: Iterable[Shard], feature_digest: str
) -> tuple[list[Shard], dict[str, list[Shard | None]], str]:
    """(files about the whole, the two files of every event, words on a file that has another's name)."""
    whole: list[Shard] = []
    files: dict[str, list[Shard | None]] = {}
    elsewhere = ""
    for shard in shards:
        if shard.event is None:
            whole.append(shard)
            continue
        if shard.kind not in FILES:
            raise ContractError(f"shard {shard.path} of event {shard.event} is of kind {shard.kind}")
        own = path_of(shard.kind, shard.event, shard.sha256, feature_digest)
        elsewhere = elsewhere or (f"shard {shard.path} is not named {own}" if shard.path != own else "")
        both, at = files.setdefault(shard.event, [None, None]), FILES.index(shard.kind)
        if (before := both[at]) not in (None, shard):
            raise ContractError(
                f"event {shard.event} has two {shard.kind} shards: {before.path}, {shard.path}"
            )
        both[at] = shard
    return whole, files, elsewhere


class _Taken:
    """Entries on their way into columns: numbers in typed arrays, names by their first code."""

    def __init__(self) -> None:
        kinds = {"i1": "b", "i8": "q", "f8": "d"}
        self._numbers = {name: array(kinds[f"{d.kind}{d.itemsize}"]) for name, d in MARKET_NUMBERS.items()}
        self._tickers: list[str] = []
        self._code: dict[str, int] = {}
        self._facts: list[tuple[Part, str | None]] = []
        self.joined: list[tuple[int, JoinedFiles]] = []

    def add(self, market: MarketEntry) -> None:
        """Append one market."""
        event, facts = market.event, (market.split, market.block)
        code = self._code.setdefault(event, len(self._code))
        if code == len(self._facts):
            self._facts.append(facts)
        elif self._facts[code] != facts:
            before, now = self._facts[code], facts
            told = (before[0], now[0]) if before[0] != now[0] else (f"block {before[1]}", f"block {now[1]}")
            raise ContractError(f"event {event} is in {told[0]} and {told[1]}")
        if market.joined is not None:
            self.joined.append((len(self._tickers), market.joined))
        self._tickers.append(market.ticker)
        for name, values in self._numbers.items():
            values.append(code if name == "event" else _number(name, getattr(market, name)))

    def events(self, files: Mapping[str, Sequence[Shard | None]]) -> EventColumns:
        """Columns of the events that have markets or files."""
        names = sorted({*self._code, *files})
        blocks = sorted({block for _, block in self._facts if block is not None})
        block_code = {block: code for code, block in enumerate(blocks)}
        part, block = np.full(len(names), UNKNOWN, np.int8), np.full(len(names), UNKNOWN, np.int64)
        sha256, n_bytes = np.zeros((2, len(names), 32), np.uint8), np.full((2, len(names)), -1, np.int64)
        for code, name in enumerate(names):
            if name in self._code:
                of_event = self._facts[self._code[name]]
                part[code] = part_code(of_event[0])
                block[code] = UNKNOWN if of_event[1] is None else block_code[of_event[1]]
            for at, shard in enumerate(files.get(name, ())):
                if shard is not None:
                    n_bytes[at, code] = shard.n_bytes
                    sha256[at, code] = np.frombuffer(bytes.fromhex(shard.sha256), np.uint8)
        return EventColumns(strings(names), part, block, strings(blocks), tuple(sha256), tuple(n_bytes))

    def markets(self, events: EventColumns) -> MarketColumns:
        """Columns of the markets, whose events have the codes of ``events``."""
        ticker = strings(self._tickers)
        place = {name: at for at, name in enumerate(events.name.to_pylist()) if name in self._code}
        code = np.array([place[name] for name in self._code], np.int64)
        values: dict[str, Any] = {n: np.array(v, MARKET_NUMBERS[n]) for n, v in self._numbers.items()}
        values["event"] = code[values["event"]] if len(self._tickers) else values["event"]
        return MarketColumns(ticker=ticker, order=order_of(ticker), **values)


_CODES: Final[dict[str, Mapping[Any, int]]] = {
    "provenance": {name: code for code, name in enumerate(PROVENANCES)},
    "gap_detection": {None: UNKNOWN} | {name: code for code, name in enumerate(GAP_DETECTIONS)},
    "n_segments": {None: UNKNOWN},
    "grid_declared": {None: UNKNOWN},
}


def _number(name: str, value: Any) -> Any:
    return _CODES[name].get(value, value) if name in _CODES else value
