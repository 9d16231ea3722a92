"""Figures of a dataset, and a check that its files are what its manifest says."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from kalshi_platform.data.dataset.blocks import PARTS, UNDIVIDED_WORDS, Part, Undivided, stratum_of
from kalshi_platform.data.dataset.manifest import JoinedFiles, Manifest, MarketEntry, Shard
from kalshi_platform.data.dataset.outcomes import decode_outcomes
from kalshi_platform.data.dataset.shard import decode_rows
from kalshi_platform.data.dataset.split import SPLITS
from kalshi_platform.data.dataset.store import Dataset, decode_market_rows
from kalshi_platform.data.features.spec import FEATURE_DIGEST
from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import DataError, StorageError
from kalshi_platform.domain.units import moment_words


class SplitSummary(Config):
    """Counts of one split."""

    events: int
    markets: int
    rows: int
    unplayable_events: int | None = Field(description="events of which no market can be played")
    unplayable_markets: int | None = Field(
        description="markets without two rows to step over; None: not counted"
    )


class PartSummary(Config):
    """Blocks, events and markets of one part of a stratum."""

    blocks: int
    events: int
    markets: int
    playable_blocks: int | None = Field(description="with an event that can be played; None: not counted")


class StratumSummary(Config):
    """Division of the events of one factor, as ``dataset info`` shows it."""

    name: str
    factor: str | None = Field(description="None: not kept by an earlier version, or simulated")
    provenances: tuple[str, ...]
    block_ns: int | None = Field(description="length of a block; None: a block is an event")
    embargo_ns: int | None = Field(description="time between parts; None: none")
    parts: dict[str, PartSummary] = Field(description="train, validation, test and judge_only")
    left_out: tuple[str, ...] = Field(description="events in an embargo or across a cut: in no split")
    long: tuple[str, ...] = Field(description="events that outlive several blocks")
    undivided: Undivided | None = Field(description="why the events can only be judged whole")
    cuts: dict[str, str] = Field(description="times of the cuts, UTC")

    @property
    def words(self) -> str:
        """Reason why the stratum is in no split; else its cuts."""
        if self.undivided is not None:
            return UNDIVIDED_WORDS[self.undivided]
        return ", ".join(f"{name} {at}" for name, at in self.cuts.items())


class DatasetSummary(Config):
    """Figures that ``dataset info`` shows."""

    uri: str
    dataset_digest: str
    feature_digest: str
    readable: bool = Field(description="this program has the feature table the shards were made with")
    events: int
    markets: int
    settled_markets: int
    event_rows: int = Field(description="recorded changes, rows of the events shards")
    rows: int = Field(description="messages, rows of the feature shards")
    gaps: int
    first_ns: int
    last_ns: int
    n_bytes: int
    splits: dict[str, SplitSummary]
    strata: tuple[StratumSummary, ...] = ()
    provenance: dict[str, int] = Field(description="markets of each provenance")
    gap_detection: dict[str, int] = Field(description="markets by how lost messages of their book show")
    unplayable_markets: int | None
    older_outcomes: int = Field(description="markets whose features lack outcomes that became known since")
    left_out_events: int = Field(description="events that the embargo left out of every split")
    parents: tuple[str, ...] = Field(description="states that the dataset grew from, the first one first")
    sources: tuple[str, ...]
    counters: dict[str, int]
    notes: tuple[str, ...]
    joined: tuple[JoinedFiles, ...] = Field(default=(), description="trades put beside books")


def summarise(dataset: Dataset) -> DatasetSummary:
    """Figures of a dataset, from its manifest alone."""
    manifest = dataset.manifest
    markets = manifest.markets
    return DatasetSummary(
        uri=dataset.uri,
        dataset_digest=dataset.digest,
        feature_digest=manifest.feature_digest,
        readable=manifest.feature_digest == FEATURE_DIGEST,
        events=len(manifest.events()),
        markets=len(markets),
        settled_markets=sum(m.settled for m in markets),
        event_rows=sum(m.n_events for m in markets),
        rows=sum(m.n_rows for m in markets),
        gaps=sum(m.n_gaps for m in markets),
        first_ns=min(m.first_ns for m in markets),
        last_ns=max(m.last_ns for m in markets),
        n_bytes=manifest.n_bytes,
        splits={part: _summarise_split(dataset.entries(part)) for part in _parts(markets)},
        strata=tuple(_strata(manifest)),
        provenance=dict(sorted(Counter(m.provenance for m in markets).items())),
        gap_detection=dict(sorted(Counter(m.gap_detection or "not kept" for m in markets).items())),
        unplayable_markets=_summarise_split(markets).unplayable_markets,
        older_outcomes=sum(m.older_outcomes for m in markets),
        left_out_events=len(manifest.left_out),
        parents=manifest.parents,
        sources=manifest.sources,
        counters=manifest.counters,
        notes=manifest.notes,
        joined=manifest.joined,
    )


def _summarise_split(entries: Sequence[MarketEntry]) -> SplitSummary:
    events = {m.event for m in entries}
    is_counted = all(m.n_segments is not None for m in entries)
    playable = {m.event for m in entries if m.is_playable}
    return SplitSummary(
        events=len(events),
        markets=len(entries),
        rows=sum(m.n_rows for m in entries),
        unplayable_events=len(events - playable) if is_counted else None,
        unplayable_markets=sum(not m.is_playable for m in entries) if is_counted else None,
    )


def _parts(markets: Sequence[MarketEntry]) -> tuple[Part, ...]:
    """The three splits, and the events that can only be judged whole where there are any."""
    return (*SPLITS, "judge_only") if any(m.split == "judge_only" for m in markets) else SPLITS


def _strata(manifest: Manifest) -> Iterator[StratumSummary]:
    """Every stratum; then the events that were drawn one by one: simulated, and of earlier versions."""
    for stratum in manifest.strata:
        own = [m for m in manifest.markets if m.block and stratum_of(m.block) == stratum.name]
        facts = stratum.model_dump(
            include={
                "name",
                "factor",
                "provenances",
                "block_ns",
                "embargo_ns",
                "left_out",
                "long",
                "undivided",
            }
        )
        cuts = {
            "train_to_ns": "train to",
            "validation_from_ns": "validation from",
            "test_from_ns": "test from",
        }
        times = {words: getattr(stratum, name) for name, words in cuts.items()}
        told = {words: moment_words(at) for words, at in times.items() if at is not None}
        yield StratumSummary(**facts, parts=_part_counts(own), cuts=told)
    for name, is_simulated in (("simulated", True), ("by event, before blocks were kept", False)):
        own = [
            m for m in manifest.markets if m.block is None and (m.provenance == "simulated") == is_simulated
        ]
        if own:
            yield StratumSummary(
                name=name, factor=None, provenances=tuple(sorted({m.provenance for m in own})), block_ns=None,
                embargo_ns=None, parts=_part_counts(own), left_out=(), long=(), undivided=None, cuts={},
            )  # fmt: skip


def _part_counts(entries: Sequence[MarketEntry]) -> dict[str, PartSummary]:
    found: dict[str, PartSummary] = {}
    for part in PARTS:
        own = [m for m in entries if m.split == part]
        blocks, events = {m.block or m.event for m in own}, {m.event for m in own}
        playable = {m.block or m.event for m in own if m.is_playable}
        is_counted = all(m.n_segments is not None for m in own)
        found[part] = PartSummary(
            blocks=len(blocks),
            events=len(events),
            markets=len(own),
            playable_blocks=len(playable) if is_counted else None,
        )
    return found


def books_ended(counters: dict[str, int]) -> dict[str, int]:
    """Books whose validity the door ended because something contradicted them, by cause."""
    prefix = "books_ended:"
    return {name.removeprefix(prefix): n for name, n in counters.items() if name.startswith(prefix)}


#: Counters that whoever reads a result on the dataset should know: broken books, rows put aside, assumptions.
_DOUBTS: Final = (
    "books_ended:", "crossed_transient", "sequence_gaps", "gaps_in_periodic_source", "gaps_between_sources",
    "markets_without_gap_detection", "refused_frames", "rows_refused:", "markets_put_aside",
    "use_yes_price_unknown_assumed_false", "frames_with_exchange_time_as_receive_time", "takers_",
    "trades_of_unclear_overlap", "close_assumed_known_since_open", "fees:assumed",
    "outcome_contradicts_result", "events_of_assumed_factor",
)  # fmt: skip


def doubts_of(counters: dict[str, int]) -> dict[str, int]:
    """Counters of a dataset that bear on results: books that ended, rows put aside, facts assumed."""
    return {name: n for name, n in counters.items() if n and name.startswith(_DOUBTS)}


def find_problems(
    dataset: Dataset, progress: Callable[[int, int], None] = lambda done, total: None
) -> list[str]:
    """Read every byte again.

    One line for each file that differs from the manifest, an empty list if none does.

    Checked: sha256 of every shard, its layout, markets and rows, times and the markets file. Reading the
    manifest has already checked that no event is in two splits. ``progress(done, total)`` receives the number
    of shards.
    """
    by_event: dict[str | None, list[MarketEntry]] = {}
    for entry in dataset.manifest.markets:
        by_event.setdefault(entry.event, []).append(entry)
    problems: list[str] = []
    shards = dataset.manifest.shards
    for done, shard in enumerate(shards, start=1):
        try:
            data = dataset.read_verified(shard)
            problems += _CHECKS[shard.kind](dataset, shard, data, by_event.get(shard.event, []))
        except (DataError, StorageError) as err:
            problems.append(str(err))
        progress(done, len(shards))
    return problems


def _check_markets(
    dataset: Dataset, shard: Shard, data: pa.Buffer, entries: Sequence[MarketEntry]
) -> Iterator[str]:
    address = dataset.storage.address(shard.path)
    specs, settlements = dataset.specs(), dataset.settlements()
    for entry in dataset.manifest.markets:
        spec = specs.get(entry.ticker)
        if spec is None:
            yield f"{address}: market {entry.ticker} is missing"
        elif spec.event != entry.event:
            yield f"{address}: market {entry.ticker} is of event {spec.event}, not {entry.event}"
        elif entry.settled != (entry.ticker in settlements):
            yield f"{address}: market {entry.ticker}: manifest says settled = {entry.settled}"


def _check_market_rows(
    dataset: Dataset, shard: Shard, data: pa.Buffer, entries: Sequence[MarketEntry]
) -> Iterator[str]:
    address = dataset.storage.address(shard.path)
    n_groups = pq.ParquetFile(pa.BufferReader(data)).num_row_groups
    if n_groups != len(entries):
        yield f"{address}: {n_groups} row groups, the manifest lists {len(entries)} markets"
        return
    for entry in entries:
        rows = decode_market_rows(data, address, entry.batch)
        found = (rows.recv_ns.size, int(rows.recv_ns[0]), int(rows.recv_ns[-1]))
        listed = (entry.n_events, entry.first_ns, entry.last_ns)
        if found != listed:
            yield f"{address}: market {entry.ticker}: rows, first and last ns {found}, manifest {listed}"


def _check_features(
    dataset: Dataset, shard: Shard, data: pa.Buffer, entries: Sequence[MarketEntry]
) -> Iterator[str]:
    address = dataset.storage.address(shard.path)
    markets = decode_rows(data, address, dataset.manifest.feature_digest)
    found = [(ticker, rows.recv_ns.size) for ticker, rows in markets]
    listed = [(entry.ticker, entry.n_rows) for entry in sorted(entries, key=lambda e: e.batch)]
    if found != listed:
        yield f"{address}: markets and rows {found}, manifest {listed}"


def _check_outcomes(
    dataset: Dataset, shard: Shard, data: pa.Buffer, entries: Sequence[MarketEntry]
) -> Iterator[str]:
    decode_outcomes(data, dataset.storage.address(shard.path))
    yield from ()


_CHECKS = {
    "markets": _check_markets,
    "outcomes": _check_outcomes,
    "events": _check_market_rows,
    "features": _check_features,
}
