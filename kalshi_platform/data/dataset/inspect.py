"""Figures of a dataset, and a check that its files are what its manifest says."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
from pydantic import Field

from kalshi_platform.data.dataset.blocks import PARTS, UNDIVIDED_WORDS, Part, Undivided, stratum_of
from kalshi_platform.data.dataset.certified import CertifiedRun
from kalshi_platform.data.dataset.columns import GAP_DETECTIONS, PROVENANCES
from kalshi_platform.data.dataset.entries import MarketEntries
from kalshi_platform.data.dataset.events_file import count_markets, decode_market_rows
from kalshi_platform.data.dataset.manifest import JoinedFiles, Manifest, MarketEntry, Shard
from kalshi_platform.data.dataset.outcomes import decode_outcomes
from kalshi_platform.data.dataset.shard import decode_rows
from kalshi_platform.data.dataset.split import SPLITS
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.data.dataset.tables import place_in
from kalshi_platform.data.features.spec import FEATURE_DIGEST
from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import DataError, StorageError
from kalshi_platform.domain.units import moment_words
from kalshi_platform.storage.many import each


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
    worlds: tuple[str, ...] = Field(default=(), description="worlds of its simulated markets")
    recordings: tuple[CertifiedRun, ...] = Field(
        default=(), description="certified coverage of the recorder's runs behind it"
    )


def summarise(dataset: Dataset) -> DatasetSummary:
    """Figures of a dataset, from the columns of its manifest alone."""
    manifest, markets = dataset.manifest, dataset.entries()
    of = markets.numbers
    if not markets:
        raise DataError(f"{dataset.uri}: its manifest lists no market; build it again")
    return DatasetSummary(
        uri=dataset.uri,
        dataset_digest=dataset.digest,
        feature_digest=manifest.feature_digest,
        readable=manifest.feature_digest == FEATURE_DIGEST,
        events=markets.event_codes.size,
        markets=len(markets),
        settled_markets=int(of("settled").sum()),
        event_rows=int(of("n_events").sum()),
        rows=int(of("n_rows").sum()),
        gaps=int(of("n_gaps").sum()),
        first_ns=int(of("first_ns").min()),
        last_ns=int(of("last_ns").max()),
        n_bytes=manifest.n_bytes,
        splits={part: _summarise_split(dataset.entries(part)) for part in _parts(markets)},
        strata=tuple(_strata(manifest)),
        provenance=_counts(of("provenance"), PROVENANCES),
        gap_detection=_counts(of("gap_detection"), (*GAP_DETECTIONS, "not kept")),
        unplayable_markets=_summarise_split(markets).unplayable_markets,
        older_outcomes=int(of("older_outcomes").sum()),
        left_out_events=len(manifest.left_out),
        parents=manifest.parents,
        sources=manifest.sources,
        counters=manifest.counters,
        notes=manifest.notes,
        joined=manifest.joined,
        worlds=manifest.worlds,
        recordings=manifest.recordings,
    )


def _counts(codes: np.ndarray, names: Sequence[str]) -> dict[str, int]:
    """Number of markets of each name, sorted by name; the code -1 stands for the last of ``names``."""
    found = np.bincount(codes % len(names), minlength=len(names)).tolist()
    return {name: n for name, n in sorted(zip(names, found, strict=True)) if n}


def _summarise_split(entries: MarketEntries) -> SplitSummary:
    is_counted, playable = bool((entries.numbers("n_segments") >= 0).all()), entries.is_playable
    events, event = entries.event_codes.size, entries.numbers("event")
    return SplitSummary(
        events=events,
        markets=len(entries),
        rows=int(entries.numbers("n_rows").sum()),
        unplayable_events=events - np.unique(event[playable]).size if is_counted else None,
        unplayable_markets=int((~playable).sum()) if is_counted else None,
    )


def _parts(markets: MarketEntries) -> tuple[Part, ...]:
    """The three splits, and the events that can only be judged whole where there are any."""
    return (*SPLITS, "judge_only") if len(markets.of("judge_only")) else SPLITS


def _strata(manifest: Manifest) -> Iterator[StratumSummary]:
    """Every stratum; then the events that were drawn one by one: simulated, and of earlier versions."""
    markets = manifest.markets
    block = markets.events.block[markets.numbers("event")]
    home = np.array([stratum_of(name) for name in markets.events.blocks.to_pylist()] + [""])[block]
    for stratum in manifest.strata:
        own = markets.take(np.flatnonzero(home == stratum.name))
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
    is_simulated = markets.numbers("provenance") == PROVENANCES.index("simulated")
    for name, which in (
        ("simulated", is_simulated),
        ("by event, before blocks were kept", ~is_simulated),
    ):
        own = markets.take(np.flatnonzero((block < 0) & which))
        if own:
            yield StratumSummary(
                name=name, factor=None, provenances=tuple(_counts(own.numbers("provenance"), PROVENANCES)),
                block_ns=None, embargo_ns=None, parts=_part_counts(own), left_out=(), long=(), undivided=None,
                cuts={},
            )  # fmt: skip


def _part_counts(entries: MarketEntries) -> dict[str, PartSummary]:
    found: dict[str, PartSummary] = {}
    for part in PARTS:
        own = entries.of(part)
        event = own.numbers("event")
        block = own.events.block[event]
        unit = np.where(block >= 0, block + own.events.n_events, event)
        found[part] = PartSummary(
            blocks=np.unique(unit).size,
            events=np.unique(event).size,
            markets=len(own),
            playable_blocks=np.unique(unit[own.is_playable]).size
            if (own.numbers("n_segments") >= 0).all()
            else None,
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
    manifest has already checked its tables, and that no event is in two splits. ``progress(done, total)``
    receives the number of shards.
    """
    markets = dataset.entries().in_order()
    problems: list[str] = []
    shards = dataset.manifest.shards

    def found_in(shard: Shard) -> list[str]:
        """Return what is wrong with one shard, in words."""
        try:
            data = dataset.read_verified(shard)
            own = markets if shard.event is None else _of_event(markets, shard.event)
            return list(_CHECKS[shard.kind](dataset, shard, data, own))
        except (DataError, StorageError) as err:
            return [str(err)]

    for done, found in enumerate(each(dataset.storage, found_in, shards), start=1):
        problems += found
        progress(done, len(shards))
    return problems


def _of_event(markets: MarketEntries, event: str) -> Sequence[MarketEntry]:
    """Markets of ``event`` among ``markets``, which stand in order of their events; maybe none."""
    code, codes = place_in(markets.events.name, event), markets.numbers("event")
    if code is None:
        return ()
    return markets[int(np.searchsorted(codes, code)) : int(np.searchsorted(codes, code, side="right"))]


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
    n_markets = count_markets(data, address)
    if n_markets != len(entries):
        yield f"{address}: {n_markets} markets, the manifest lists {len(entries)}"
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
