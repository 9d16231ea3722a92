"""Files to import jobs: every input is recognised and indexed once, then cut into jobs of whole events."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from kalshi_platform.data.market_data.importers.captures import index_capture
from kalshi_platform.data.market_data.importers.metadata import KnownMarkets, read_catalogue
from kalshi_platform.data.market_data.importers.parquet import (
    TickerRows,
    index_tickers,
    reading_counters,
    worlds_named,
)
from kalshi_platform.data.market_data.importers.periods import period_of
from kalshi_platform.data.market_data.importers.recognise import FileKind, recognise
from kalshi_platform.data.market_data.importers.seq_gaps import SeqGaps, find_seq_gaps, no_seq_gaps
from kalshi_platform.data.market_data.importers.types import (
    DataKind,
    ImportJob,
    Part,
    UnknownSchemaError,
)
from kalshi_platform.data.market_data.market_meta import MarketRecord, inferred_event
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.fee_history import FeeTable
from kalshi_platform.domain.fee_schedule import series_of
from kalshi_platform.storage.whole_file import file_digest

_DATA_KINDS: dict[FileKind, DataKind] = {
    FileKind.CAPTURE: "capture",
    FileKind.LEVEL2: "level2",
    FileKind.QUOTES: "quotes",
    FileKind.TRADES: "trades",
}


@dataclass(frozen=True, slots=True)
class IndexedFile:
    """One file with rows, and the markets that the rows belong to."""

    path: Path
    kind: DataKind
    markets: tuple[TickerRows, ...]
    seq_gaps: SeqGaps = field(default_factory=no_seq_gaps, repr=False)
    simulated: bool = False
    period_ns: int = 0
    worlds: frozenset[str] = frozenset()  # simulated worlds that it names


@dataclass(frozen=True)
class ImportPlan:
    """Files, markets and metadata found in the inputs, ready to be cut into jobs."""

    sources: tuple[str, ...]  # names of the files that hold rows or metadata
    skipped: dict[str, str]  # file in a walked directory -> why it was left out
    counters: Counter[str]  # counted while planning; add them to those of the imported events
    files: tuple[IndexedFile, ...]
    catalogue: dict[str, MarketRecord] = field(repr=False)
    use_yes_price: bool | None = None
    settled: tuple[MarketRecord, ...] = field(
        default=(), repr=False
    )  # all of known outcome, with rows or not
    fees: FeeTable = field(default_factory=FeeTable, repr=False)
    already: tuple[str, ...] = ()  # files whose rows the dataset that grows has had before

    @property
    def worlds(self) -> tuple[str, ...]:
        """Simulated worlds that the files are of, in order of their names."""
        return tuple(sorted({world for file in self.files for world in file.worlds}))

    @property
    def n_events(self) -> int:
        """Number of events with rows."""
        return len({self.event_of(m.ticker) for f in self.files for m in f.markets})

    def event_of(self, ticker: str) -> str:
        """Event from the metadata, else inferred from the ticker."""
        record = self.catalogue.get(ticker)
        return record.spec.event if record is not None else inferred_event(ticker)

    def jobs(self, target_rows: int = 100_000) -> list[ImportJob]:
        """Cut the plan into jobs of whole events, about ``target_rows`` source rows each.

        An event of more rows is a job of its own; events that meet in a capture file are one job,
        because its sequence numbers run over all of them.
        """
        if target_rows <= 0:
            raise ContractError(f"target_rows={target_rows}; expected at least 1")
        batches: list[list[str]] = []
        room = 0
        place: tuple[int, int] | None = None
        for events, rows, at in self._units():
            if place is None or at[0] != place[0] or rows > room:
                batches.append([])
                room = target_rows
            place = at
            batches[-1].extend(events)
            room -= rows
        return self._make_jobs(batches)

    def _units(self) -> Iterator[tuple[list[str], int, tuple[int, int]]]:
        """Sets of events that must travel together, in file order: (events, rows, (file, place))."""
        rows: Counter[str] = Counter()
        first: dict[str, tuple[int, int]] = {}
        group = _Groups()
        for number, file in enumerate(self.files):
            events = [self.event_of(m.ticker) for m in file.markets]
            for place, (event, market) in enumerate(zip(events, file.markets, strict=True)):
                rows[event] += market.n_rows
                first.setdefault(event, (number, place))
            if file.kind == "capture":
                group.join(events)
        units: dict[str, list[str]] = defaultdict(list)
        for event in sorted(first, key=lambda e: first[e]):
            units[group.leader(event)].append(event)
        for events in units.values():
            yield events, sum(rows[e] for e in events), first[events[0]]

    def _make_jobs(self, batches: list[list[str]]) -> list[ImportJob]:
        """One job for each batch of events, with the parts of files that hold their rows."""
        batch_of = {event: number for number, events in enumerate(batches) for event in events}
        parts: list[list[Part]] = [[] for _ in batches]
        event_of: list[dict[str, str]] = [{} for _ in batches]
        n_rows = [0] * len(batches)
        for file in self.files:
            found: dict[int, list[TickerRows]] = defaultdict(list)
            for market in file.markets:
                event = self.event_of(market.ticker)
                event_of[batch_of[event]][market.ticker] = event
                found[batch_of[event]].append(market)
            for number, markets in found.items():
                n_rows[number] += sum(m.n_rows for m in markets)
                groups = sorted({g for m in markets for g in m.row_groups})
                tickers = tuple(m.ticker for m in markets)
                part = Part(
                    str(file.path), file.kind, tickers, tuple(groups), file.seq_gaps.of_groups(groups),
                    file.simulated,
                    file.period_ns,
                )  # fmt: skip
                parts[number].append(part)
        return [
            ImportJob(
                tuple(events), tuple(parts[i]), event_of[i],
                {t: self.catalogue[t] for t in event_of[i] if t in self.catalogue},
                n_rows[i], self.use_yes_price, self.fees_of(events),
            )
            for i, events in enumerate(batches)
        ]  # fmt: skip

    def fees_of(self, events: Sequence[str]) -> FeeTable:
        """The part of the fee table that the markets of ``events`` need."""
        named = {series for event in events for series in self._series_of_event.get(event, ())}
        return self.fees.only({*named, *map(series_of, events)}, set(events))

    @cached_property
    def _series_of_event(self) -> dict[str, set[str]]:
        """Series that the metadata name for the markets of each event."""
        found: dict[str, set[str]] = defaultdict(set)
        for record in self.catalogue.values():
            if record.spec.series:
                found[record.spec.event].add(record.spec.series)
        return found


class _Groups:
    """Union of sets of events (by path to a common leader)."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def leader(self, event: str) -> str:
        """Event that stands for the set of ``event``."""
        while (parent := self._parent.get(event, event)) != event:
            event = parent
        return event

    def join(self, events: Iterable[str]) -> None:
        """Make one set of the sets of ``events``."""
        leaders = sorted({self.leader(e) for e in events})
        for other in leaders[1:]:
            self._parent[other] = leaders[0]


def discover(
    inputs: Sequence[Path], use_yes_price: bool | None = None, known: KnownMarkets | None = None
) -> ImportPlan:
    """Walk ``inputs``, recognise every file by its schema and index the markets of its rows.

    ``use_yes_price`` says how the recorder subscribed the book channel of capture files that do not tell
    themselves; None: the import finds it out. ``known`` are the markets of a dataset that grows: files that
    it was made of are left out, and metadata may come alone.
    DataError for a file that is named explicitly and of no known schema, for a broken or empty data file
    anywhere, and where nothing can be imported; ``skipped`` lists unknown files met in a directory.
    """
    skipped: dict[str, str] = {}
    counters: Counter[str] = Counter()
    metadata: list[tuple[Path, FileKind]] = []
    data: list[tuple[Path, DataKind]] = []
    already: list[str] = []
    for path, explicit in _walk(inputs):
        try:
            kind = recognise(path)
        except UnknownSchemaError as err:
            if explicit:
                raise
            skipped[str(path)] = str(err)
            continue
        if kind in _DATA_KINDS and known is not None and file_digest(path) in known.imported:
            already.append(path.name)
        elif kind in _DATA_KINDS:
            data.append((path, _DATA_KINDS[kind]))
        else:
            metadata.append((path, kind))
    if not data and (known is None or not (metadata or already)):
        unknown = f", unknown: {', '.join(skipped)}" if skipped else ""
        raise DataError(
            f"no market data in {', '.join(map(str, inputs))} ({len(metadata)} metadata files{unknown}); "
            "name a file or directory with captures, level-2 events, quotes or trades"
        )
    counters["files_skipped"] += len(skipped)
    outcomes = set(known.outcomes) if known is not None else set()
    catalogue, fees = read_catalogue(metadata, counters, known, outcomes)
    held = known.records.keys() if known is not None else set()
    files = tuple(_index(path, kind) for path, kind in data)
    for file in files:
        if file.kind != "capture":
            counters.update(reading_counters(file.path))
    counters["periodic_sources"] += sum(f.period_ns > 0 for f in files)
    named = {m.ticker for f in files for m in f.markets}
    counters["metadata_missing"] += len(named - catalogue.keys())
    counters["metadata_unused"] += len(catalogue.keys() - named - held)
    counters["event_inferred"] += len(named - catalogue.keys())
    sources = tuple(sorted(path.name for path, _ in [*data, *metadata]))
    used = {t: r for t, r in catalogue.items() if t in named or t in held}
    settled = tuple(record for ticker, record in catalogue.items() if ticker in outcomes)
    return ImportPlan(sources, skipped, counters, files, used, use_yes_price, settled, fees, tuple(already))


def _walk(inputs: Sequence[Path]) -> Iterator[tuple[Path, bool]]:
    """(file, named explicitly) in a fixed order, each file once; hidden files and folders are passed over."""
    seen: set[Path] = set()
    for given in inputs:
        if not given.exists():
            raise DataError(f"{given}: no such file or directory; check --input")
        explicit = not given.is_dir()
        found = [given] if explicit else sorted(p for p in given.rglob("*") if p.is_file())
        for path in found:
            hidden = not explicit and any(part.startswith(".") for part in path.relative_to(given).parts)
            if not hidden and path.resolve() not in seen:
                seen.add(path.resolve())
                yield path, explicit


def _index(path: Path, kind: DataKind) -> IndexedFile:
    """Index of one file: its markets, the holes in its sequence numbers, its period, its provenance."""
    if kind == "capture":
        mentions, simulated, worlds = index_capture(path)
        markets = tuple(TickerRows(ticker, n, ()) for ticker, n in mentions.items())
        return IndexedFile(path, kind, markets, simulated=simulated, worlds=worlds)
    markets = tuple(index_tickers(path))
    if kind == "quotes":
        return IndexedFile(path, kind, markets, period_ns=period_of(path))
    if kind != "level2":
        return IndexedFile(path, kind, markets)
    gaps, worlds = find_seq_gaps(path), worlds_named(path)
    return IndexedFile(path, kind, markets, gaps, bool(worlds), worlds=worlds)
