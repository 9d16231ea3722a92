"""The build of a dataset from recorded files.

Order      shards, then their journal records, then the markets file, then the manifest, each written
           atomically. Until the last step a reader sees the dataset that was there before, or none.
Repeatable equal inputs give the same manifest byte for byte, whatever the workers, kills and repeats.
One build  at a time in one place: two builds would delete each other's leftovers.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import Field

from kalshi_platform.data.dataset.job import EncodedShard, encode_shard, write_shard
from kalshi_platform.data.dataset.journal import BuiltJob, BuiltMarket, Journal, file_digest, job_key
from kalshi_platform.data.dataset.manifest import MANIFEST_NAME, JoinedFiles, Manifest, MarketEntry, Shard
from kalshi_platform.data.dataset.runner import run_jobs
from kalshi_platform.data.dataset.split import SPLITS, EventFacts, Split, SplitConfig, assign_splits
from kalshi_platform.data.dataset.store import StoredMarket, encode_markets
from kalshi_platform.data.features.resolution import ResolutionHistory
from kalshi_platform.data.features.spec import FEATURE_DIGEST
from kalshi_platform.data.market_data.importers import ImportJob, discover
from kalshi_platform.data.market_data.importers.types import MAX_NOTES, RICHEST_FIRST
from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.storage.storage import Storage, open_storage
from kalshi_platform.storage.whole_file import is_leftover

#: Fields of a manifest's market that are copied from its job's record.
_COPIED: Final = (
    "provenance",
    "n_events",
    "n_rows",
    "n_gaps",
    "first_ns",
    "last_ns",
    "batch",
    "volatility",
    "gap_detection",
)


class BuildConfig(Config):
    """Settings of a build beside its inputs."""

    split: SplitConfig = Field(default=SplitConfig())
    rows_a_job: int = Field(default=100_000, gt=0, description="source rows a job is cut to, about")
    workers: int | None = Field(
        default=None, ge=0, description="Ray workers; below 2: this process; None: as many as pay"
    )
    overwrite: bool = Field(default=False, description="replace a complete dataset of other content")
    use_yes_price: bool | None = Field(
        default=None,
        description="how the book channel of captures was subscribed; None: as they say, or else show",
    )


@dataclass(frozen=True)
class BuildProgress:
    """BuildProgress of a build, counted in jobs and in source rows."""

    jobs_done: int
    jobs: int
    rows_done: int  # source rows of finished jobs
    rows: int
    reused: int  # jobs that an interrupted build had finished


def build_dataset(
    inputs: Sequence[Path],
    out_uri: str | Path,
    config: BuildConfig,
    progress: Callable[[BuildProgress], None] = lambda _: None,
    skipped: Callable[[Mapping[str, str]], None] = lambda _: None,
) -> Manifest:
    """Import ``inputs``, compute features and write the dataset; returns its manifest.

    ``skipped`` is called once with the files of the folders that were left out, and why.

    DataError where an input is refused or a different dataset is already there (unless ``overwrite``);
    StorageError where ``out_uri`` cannot be read or written. Either way no new manifest exists then, a
    dataset that was there before stays readable, and finished jobs are kept for the next attempt.
    """
    storage = open_storage(out_uri)
    old = _read_old(storage, config.overwrite)
    plan = discover(inputs, config.use_yes_price)
    skipped(plan.skipped)
    history = ResolutionHistory(plan.settled)
    jobs = _keyed(plan.jobs(config.rows_a_job), history)
    journal = Journal(storage)
    finished = journal.finished(set(jobs))
    if old is not None and not config.overwrite and len(finished) < len(jobs):
        raise _other_dataset(storage, old, "these inputs or this version give another one")
    built = _run(jobs, finished, storage, config.workers, history, progress)
    manifest, markets_file = _assemble(built, plan.sources, plan.counters, config.split)
    if old is not None and not config.overwrite and old.digest != manifest.digest:
        raise _other_dataset(storage, old, f"this build gives {manifest.digest}")
    write_shard(storage, markets_file)
    storage.sync_folders(shard.path for shard in manifest.shards)
    storage.write_bytes_atomic(MANIFEST_NAME, manifest.to_bytes())
    storage.sync_folders([MANIFEST_NAME])
    _clean(storage, old, manifest, built, journal.sweep(keep=set(jobs)))
    return manifest


def _read_old(storage: Storage, overwrite: bool) -> Manifest | None:
    if not storage.exists(MANIFEST_NAME):
        return None
    data = bytes(storage.read_bytes(MANIFEST_NAME))
    try:
        return Manifest.from_bytes(data, storage.address(MANIFEST_NAME))
    except DataError:
        if overwrite:
            return None
        raise


def _other_dataset(storage: Storage, old: Manifest, why: str) -> ContractError:
    return ContractError(
        f"{storage.uri} holds dataset {old.digest} and {why}: "
        "give --overwrite to replace it, or another --out"
    )


def _keyed(jobs: Sequence[ImportJob], history: ResolutionHistory) -> dict[str, ImportJob]:
    paths = sorted({part.path for job in jobs for part in job.parts})
    content = {path: file_digest(path) for path in paths}
    return {job_key(job, content, history): job for job in jobs}


def _run(
    jobs: dict[str, ImportJob],
    finished: dict[str, BuiltJob],
    storage: Storage,
    workers: int | None,
    history: ResolutionHistory,
    progress: Callable[[BuildProgress], None],
) -> list[BuiltJob]:
    """Run the unfinished jobs and return every job's record.

    Calls ``progress`` at the start and after each job.
    """
    built = dict(finished)
    total = sum(job.n_rows for job in jobs.values())

    def report() -> None:
        rows = sum(jobs[key].n_rows for key in built)
        progress(BuildProgress(len(built), len(jobs), rows, total, reused=len(finished)))

    report()
    for job in run_jobs({k: job for k, job in jobs.items() if k not in built}, storage, workers, history):
        built[job.key] = job
        report()
    return list(built.values())


def _assemble(
    built: Sequence[BuiltJob], sources: Sequence[str], import_counters: Counter[str], config: SplitConfig
) -> tuple[Manifest, EncodedShard]:
    """The manifest and the markets file it names; the order of ``built`` does not matter."""
    markets = sorted((m for job in built for m in job.markets), key=lambda m: (m.spec.event, m.batch))
    notes = tuple(sorted(note for job in built for note in job.notes)[:MAX_NOTES])
    if not markets:
        counted = sum((Counter(job.counters) for job in built), import_counters.copy())
        why = "".join(f"\n  {name}: {n}" for name, n in sorted(counted.items()) if n)
        why += "".join(f"\n  {note}" for note in notes)
        raise DataError(
            "no market of the inputs has any event: there is nothing to learn from; counted (docs/formats.md "
            f"explains each):{why}"
        )
    splits = assign_splits(_event_facts(markets), config)
    kept = [(m, split) for m in markets if (split := splits[m.spec.event]) is not None]
    if config.time_cut_ns is not None and (lost := set(SPLITS) - {split for _, split in kept}):
        raise ContractError(
            f"time_cut_ns = {config.time_cut_ns} leaves no event in {', '.join(sorted(lost))}; the data "
            f"spans {min(m.first_ns for m in markets)}..{max(m.last_ns for m in markets)} ns"
        )
    counters = sum((Counter(job.counters) for job in built), import_counters.copy())
    counters["markets_left_out_by_embargo"] += len(markets) - len(kept)
    markets_file = encode_shard(
        "markets", "markets", encode_markets([StoredMarket(m.spec, m.settlement, m.history) for m, _ in kept])
    )
    shards = [s for job in built for s in job.shards if s.event is not None and splits[s.event] is not None]
    manifest = Manifest(
        feature_digest=FEATURE_DIGEST,
        shards=(markets_file.shard, *sorted(shards, key=lambda s: s.path)),
        markets=tuple(_entry(market, split) for market, split in kept),
        sources=tuple(sorted(sources)),
        counters={name: n for name, n in sorted(counters.items()) if n},
        notes=notes,
        split=config,
        joined=_joined([market for market, _ in kept]),
    )
    return manifest, markets_file


def _joined(markets: Sequence[BuiltMarket]) -> tuple[JoinedFiles, ...]:
    """Trades put beside books, summed over the markets of equal files and equal delay."""
    found: dict[tuple[str, int, bool], Counter[str]] = defaultdict(Counter)
    for market in markets:
        if (joined := market.joined) is not None:
            found[market.source, joined.delay_ns, joined.measured] += Counter(markets=1, prints=joined.prints)
    return tuple(
        JoinedFiles(files=files, delay_ns=delay_ns, measured=measured, **counts)
        for (files, delay_ns, measured), counts in sorted(found.items())
    )


def _event_facts(markets: Sequence[BuiltMarket]) -> dict[str, EventFacts]:
    of_event: dict[str, list[BuiltMarket]] = defaultdict(list)
    for market in markets:
        of_event[market.spec.event].append(market)
    return {
        event: EventFacts(
            min(m.first_ns for m in siblings),
            max(m.last_ns for m in siblings),
            min((m.provenance for m in siblings), key=RICHEST_FIRST.index),
        )
        for event, siblings in of_event.items()
    }


def _entry(market: BuiltMarket, split: Split) -> MarketEntry:
    return MarketEntry(
        ticker=market.spec.ticker,
        event=market.spec.event,
        split=split,
        settled=market.settlement is not None,
        **{name: getattr(market, name) for name in _COPIED},
    )


def _clean(
    storage: Storage, old: Manifest | None, new: Manifest, built: Sequence[BuiltJob], swept: Sequence[Shard]
) -> None:
    """Delete files that an earlier manifest or build named and nothing names now.

    Files of other owners stay.
    """
    keep = {s.path for s in new.shards} | {s.path for job in built for s in job.shards}
    stale = {s.path for s in (*(old.shards if old else ()), *swept)} - keep
    stale |= {f.path for f in storage.list_files() if is_leftover(f.path)}
    for path in sorted(stale):
        storage.delete(path)
