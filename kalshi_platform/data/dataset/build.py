"""The build of a dataset from recorded files.

Order      shards, then their journal records, then the markets file, then the manifest, each written
           atomically. Until the last step a reader sees the dataset that was there before, or none.
Repeatable equal inputs give the same manifest byte for byte, whatever the workers, kills and repeats.
One build  at a time in one place: two builds would delete each other's leftovers. The second is refused.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from pydantic import Field

from kalshi_platform.data.dataset.assemble import (
    BuildProgress,
    KeyedJobs,
    delete_stale,
    encode_tables,
    event_facts,
    joined_files,
    market_entry,
    require_room_for,
    run_again,
    run_unfinished,
    some,
    write_manifest,
    writing_alone,
)
from kalshi_platform.data.dataset.certified import CertifiedRun
from kalshi_platform.data.dataset.factors import Factors
from kalshi_platform.data.dataset.job import EncodedShard, write_shard
from kalshi_platform.data.dataset.journal import BuiltJob, BuiltMarket, Journal
from kalshi_platform.data.dataset.manifest import MANIFEST_NAME, Manifest
from kalshi_platform.data.dataset.proof import proven
from kalshi_platform.data.dataset.split import SPLITS, EventFacts, SplitConfig
from kalshi_platform.data.dataset.states import forget_states
from kalshi_platform.data.dataset.store import StoredMarket
from kalshi_platform.data.dataset.strata import Division, divide
from kalshi_platform.data.dataset.teaching import foreseen, taught_history
from kalshi_platform.data.features.spec import FEATURE_DIGEST
from kalshi_platform.data.market_data.importers import ImportPlan, discover
from kalshi_platform.data.market_data.importers.types import MAX_NOTES
from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.domain.units import moment_words
from kalshi_platform.storage.storage import Storage, open_storage

__all__ = ["BuildConfig", "BuildProgress", "build_dataset"]


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
    certified: tuple[CertifiedRun, ...] = Field(
        default=(), description="certified coverage of the recordings among the inputs"
    )


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
    with writing_alone(storage) as require_alone:
        return _build(inputs, storage, config, progress, skipped, require_alone)


def _build(
    inputs: Sequence[Path],
    storage: Storage,
    config: BuildConfig,
    progress: Callable[[BuildProgress], None],
    skipped: Callable[[Mapping[str, str]], None],
    require_alone: Callable[[], None],
) -> Manifest:
    old = _read_old(storage, config.overwrite)
    plan = discover(inputs, config.use_yes_price)
    skipped(plan.skipped)
    factors = Factors(config.split.factors, [r.spec for r in (*plan.catalogue.values(), *plan.settled)])
    assumed = _assumed(old) or foreseen(plan, config.split)
    history = taught_history(plan.settled, assumed.parts, assumed.strata, factors, old.markets if old else ())
    keyed = KeyedJobs.of(plan.jobs(config.rows_a_job), history)
    journal = Journal(storage)
    finished = journal.finished(set(keyed.jobs))
    if old is not None and not config.overwrite and len(finished) < len(keyed.jobs):
        raise _other_dataset(storage, old, "these inputs or this version give another one")
    require_room_for(storage, keyed.jobs, finished)
    built = run_unfinished(keyed.jobs, finished, storage, config.workers, history, progress)
    markets = [market for job in built for market in job.markets]
    facts = event_facts(markets, factors)
    division = divide(facts, config.split)
    history = taught_history(plan.settled, division.parts, division.strata, factors, markets)
    keyed, built = run_again(keyed, built, history, storage, config.workers, progress)
    tables, manifest = _assemble(built, plan, keyed.content, config.split, facts, division, factors)
    manifest = manifest.replace(recordings=config.certified)
    if old is not None and not config.overwrite and old.digest != manifest.digest:
        raise _other_dataset(storage, old, f"this build gives {manifest.digest}")
    for table in tables:
        write_shard(storage, table)
    require_alone()
    write_manifest(storage, manifest)
    forgotten = forget_states(storage)
    keep = manifest.paths() | {s.path for job in built for s in job.shards}
    noted = {*(old.files() if old else ()), *journal.sweep(keep=set(keyed.jobs))}
    stale = proven(storage, (shard for shard in noted if shard.path not in keep)) | forgotten
    delete_stale(storage, stale, keep)
    return manifest


def _assumed(old: Manifest | None) -> Division | None:
    """Division of the dataset that is there; a repeated build then finds every job done."""
    return None if old is None else Division(old.assignments(), {}, old.strata)


def _read_old(storage: Storage, overwrite: bool) -> Manifest | None:
    if not storage.exists(MANIFEST_NAME):
        return None
    try:
        return Manifest.read(storage)
    except DataError:
        if overwrite:
            return None
        raise


def _other_dataset(storage: Storage, old: Manifest, why: str) -> ContractError:
    return ContractError(
        f"{storage.uri} holds dataset {old.digest} and {why}: "
        "give --overwrite to replace it, or another --out"
    )


def _unfitting(markets: Iterable[BuiltMarket], factors: Factors) -> tuple[str, ...]:
    """Prefixes of the mapping file that fit no recorded event: a mistyped one would go unseen."""
    of_event: dict[str, list[MarketSpec]] = defaultdict(list)
    for market in markets:
        if market.provenance != "simulated":
            of_event[market.spec.event].append(market.spec)
    return factors.unfitting(of_event.values())


def _assemble(
    built: Sequence[BuiltJob],
    plan: ImportPlan,
    content: Mapping[str, str],
    config: SplitConfig,
    facts: Mapping[str, EventFacts],
    division: Division,
    factors: Factors,
) -> tuple[list[EncodedShard], Manifest]:
    """Files about the whole dataset, and the manifest; the order of ``built`` does not matter."""
    markets = sorted((m for job in built for m in job.markets), key=lambda m: (m.spec.event, m.batch))
    notes = tuple(sorted(note for job in built for note in job.notes)[:MAX_NOTES])
    counters = sum((Counter(job.counters) for job in built), plan.counters.copy())
    if not markets:
        why = "".join(f"\n  {name}: {n}" for name, n in sorted(counters.items()) if n)
        why += "".join(f"\n  {note}" for note in notes)
        raise DataError(
            "no market of the inputs has any event: there is nothing to learn from; counted (docs/formats.md "
            f"explains each):{why}"
        )
    parts, blocks = division.parts, division.blocks
    kept = [(m, part) for m in markets if (part := parts[m.spec.event]) is not None]
    if config.time_cut_ns is not None and (lost := set(SPLITS) - {part for _, part in kept}):
        first, last = min(m.first_ns for m in markets), max(m.last_ns for m in markets)
        raise ContractError(
            f"--time-cut {moment_words(config.time_cut_ns)} leaves no event in {', '.join(sorted(lost))}; "
            f"the data spans {moment_words(first)} to {moment_words(last)}: give a cut inside of it, or a "
            "shorter --embargo"
        )
    entries = tuple(market_entry(m, part, blocks.get(m.spec.event)) for m, part in kept)
    counters["markets_left_out_by_embargo"] += len(markets) - len(kept)
    counters["events_of_assumed_factor"] += sum(f.is_assumed for f in facts.values())
    unfitting = _unfitting(markets, factors)
    counters["factor_lines_without_event"] += len(unfitting)
    notes = (
        *(f"--factors: no recorded event of the build begins with {prefix}" for prefix in unfitting),
        *notes,
    )[:MAX_NOTES]
    tables = encode_tables([StoredMarket(m.spec, m.settlement, m.history) for m, _ in kept], plan.settled)
    shards = [s for job in built for s in job.shards if s.event is not None and parts[s.event] is not None]
    manifest = Manifest(
        feature_digest=FEATURE_DIGEST,
        shards=(*(table.shard for table in tables), *sorted(shards, key=lambda s: s.path)),
        markets=entries,
        sources=tuple(sorted(plan.sources)),
        counters=some(counters),
        notes=notes,
        split=config,
        joined=joined_files(entries),
        imported=tuple(sorted(set(content.values()))),
        left_out=tuple(sorted(event for event, part in parts.items() if part is None)),
        strata=division.strata,
        worlds=plan.worlds,
    )
    return tables, manifest
