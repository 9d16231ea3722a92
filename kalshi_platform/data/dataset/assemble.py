"""Steps that the build and the growth of a dataset share, from keyed jobs to the deletion of stale files.

Alone      one process at a time writes a dataset (:func:`writing_alone`): a lock keeps others out of a
           folder, a lease out of a bucket. The second is refused by the name of the first.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kalshi_platform.data.dataset.blocks import Part
from kalshi_platform.data.dataset.factors import Factors
from kalshi_platform.data.dataset.job import EncodedShard, encode_shard
from kalshi_platform.data.dataset.journal import JOURNAL_FOLDER, BuiltJob, BuiltMarket, Journal, job_key
from kalshi_platform.data.dataset.manifest import MANIFEST_NAME, JoinedFiles, Manifest, MarketEntry
from kalshi_platform.data.dataset.outcomes import encode_outcomes
from kalshi_platform.data.dataset.runner import run_jobs
from kalshi_platform.data.dataset.split import EventFacts
from kalshi_platform.data.dataset.store import StoredMarket, encode_markets
from kalshi_platform.data.dataset.tables import TABLES_FOLDER, is_table
from kalshi_platform.data.features.resolution import ResolutionHistory
from kalshi_platform.data.market_data.importers import ImportJob
from kalshi_platform.data.market_data.importers.types import RICHEST_FIRST
from kalshi_platform.data.market_data.market_meta import MarketRecord
from kalshi_platform.domain.bounded import bounded_counts
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.slopes import dataset_bytes
from kalshi_platform.storage.lease import leased
from kalshi_platform.storage.locks import writing
from kalshi_platform.storage.many import each
from kalshi_platform.storage.room import require_room
from kalshi_platform.storage.storage import Storage
from kalshi_platform.storage.whole_file import file_digest, is_leftover

#: Fields of a manifest's market that are copied from its job's record.
_COPIED: Final = (
    "provenance", "n_events", "n_rows", "n_gaps", "first_ns", "last_ns", "batch", "volatility", "n_segments",
    "grid_declared", "gap_detection",
)  # fmt: skip


@dataclass(frozen=True)
class BuildProgress:
    """BuildProgress of a build, counted in jobs and in source rows."""

    jobs_done: int
    jobs: int
    rows_done: int  # source rows of finished jobs
    rows: int
    reused: int  # jobs that an interrupted build had finished


@dataclass(frozen=True)
class KeyedJobs:
    """Jobs by key, and the sha256 of every file that they read."""

    jobs: dict[str, ImportJob]
    content: dict[str, str]  # path -> sha256

    @classmethod
    def of(cls, jobs: Sequence[ImportJob], history: ResolutionHistory) -> "KeyedJobs":
        """Key every job by all that its output depends on."""
        paths = sorted({part.path for job in jobs for part in job.parts})
        content = {path: file_digest(path) for path in paths}
        return cls({job_key(job, content, history): job for job in jobs}, content)

    def knowing(self, history: ResolutionHistory) -> "KeyedJobs":
        """The same jobs, keyed by other outcomes that their markets may know."""
        jobs = self.jobs.values()
        return KeyedJobs({job_key(job, self.content, history): job for job in jobs}, self.content)


@contextmanager
def writing_alone(storage: Storage) -> Iterator[Callable[[], None]]:
    """Keep other processes from writing the dataset; ContractError names the one that writes it.

    The block gets a function to call before it puts a manifest in force: ContractError where another process
    took the place of this one meanwhile, because this one seemed dead.
    """
    if "://" in storage.uri:
        with leased(storage, JOURNAL_FOLDER) as lease:
            yield lease.require
    else:
        with writing(Path(storage.uri) / JOURNAL_FOLDER, name=storage.uri):
            yield lambda: None


def require_room_for(
    storage: Storage, jobs: Mapping[str, ImportJob], finished: Mapping[str, BuiltJob]
) -> None:
    """Refuse by StorageError, before anything is written, where the unfinished jobs will not find room."""
    unfinished = [job for key, job in jobs.items() if key not in finished]
    rows, markets = sum(job.n_rows for job in unfinished), sum(len(job.event_of) for job in unfinished)
    require_room(storage.uri, dataset_bytes(rows, markets), f"a dataset of {rows:,} rows")


def run_unfinished(
    jobs: Mapping[str, ImportJob],
    finished: Mapping[str, BuiltJob],
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


def run_again(
    keyed: KeyedJobs,
    built: list[BuiltJob],
    history: ResolutionHistory,
    storage: Storage,
    workers: int | None,
    progress: Callable[[BuildProgress], None],
) -> tuple[KeyedJobs, list[BuiltJob]]:
    """Run those jobs again whose markets may know other outcomes than was assumed when they were built."""
    again, done = keyed.knowing(history), {job.key for job in built}
    if again.jobs.keys() <= done:
        return again, built
    finished = {job.key: job for job in built if job.key in again.jobs}
    finished |= Journal(storage).finished(again.jobs.keys() - done)
    return again, run_unfinished(again.jobs, finished, storage, workers, history, progress)


def event_facts(markets: Iterable[BuiltMarket], factors: Factors) -> dict[str, EventFacts]:
    """Facts of every event that decide its split."""
    of_event: dict[str, list[BuiltMarket]] = defaultdict(list)
    for market in markets:
        of_event[market.spec.event].append(market)
    found: dict[str, EventFacts] = {}
    for event, siblings in of_event.items():
        provenance = min((m.provenance for m in siblings), key=RICHEST_FIRST.index)
        times = min(m.first_ns for m in siblings), max(map(_end_ns, siblings))
        playable = any(m.n_segments for m in siblings)
        if provenance == "simulated":
            found[event] = EventFacts(*times, provenance, is_playable=playable)
        else:
            factor = factors.of([m.spec for m in siblings])
            found[event] = EventFacts(*times, provenance, factor.name, factor.is_assumed, playable)
    return found


def _end_ns(market: BuiltMarket) -> int:
    """Time until which a result on the market depends on the world: its last row or its settlement."""
    if market.settlement is None:
        return market.last_ns
    settled_ns = market.settlement.determined_ns or market.history.close_ns
    return max(market.last_ns, settled_ns or 0)


def market_entry(market: BuiltMarket, part: Part, block: str | None) -> MarketEntry:
    """Entry of a built market in the manifest."""
    joined = market.joined
    files = None if joined is None else JoinedFiles(files=market.source, markets=1, **joined._asdict())
    return MarketEntry(
        ticker=market.spec.ticker,
        event=market.spec.event,
        split=part,
        block=block,
        settled=market.settlement is not None,
        joined=files,
        **{name: getattr(market, name) for name in _COPIED},
    )


def encode_tables(markets: Sequence[StoredMarket], outcomes: Sequence[MarketRecord]) -> list[EncodedShard]:
    """The markets file and, where any outcome is known, the outcomes file."""
    tables = [encode_shard("markets", "markets", encode_markets(markets))]
    if any(record.settlement is not None for record in outcomes):
        tables.append(encode_shard("outcomes", "outcomes", encode_outcomes(outcomes)))
    return tables


def joined_files(entries: Iterable[MarketEntry]) -> tuple[JoinedFiles, ...]:
    """Trades put beside books, summed over the markets of equal files and equal delay."""
    found: dict[tuple[str, int, bool], Counter[str]] = defaultdict(Counter)
    for joined in (entry.joined for entry in entries if entry.joined is not None):
        found[joined.files, joined.delay_ns, joined.measured] += Counter(markets=1, prints=joined.prints)
    return tuple(
        JoinedFiles(files=files, delay_ns=delay_ns, measured=measured, **counts)
        for (files, delay_ns, measured), counts in sorted(found.items())
    )


def some(counters: Counter[str]) -> dict[str, int]:
    """Counters that are not zero, by name; of one kind no more than a manifest should name."""
    return {name: n for name, n in sorted(bounded_counts(counters).items()) if n}


def write_manifest(storage: Storage, manifest: Manifest) -> None:
    """Put the manifest in force, after everything that it names is on the disk.

    DataError where a shard is gone meanwhile: then the dataset is what it was.
    """
    for table in manifest.tables:
        storage.write_bytes_atomic(table.shard.path, table.data)
    sizes = {file.path: file.n_bytes for file in storage.list_files()}
    gone = [shard.path for shard in manifest.shards if sizes.get(shard.path) != shard.n_bytes]
    if gone:
        raise DataError(
            f"{len(gone)} of {len(manifest.shards)} shards were written to {storage.uri} and are gone, first "
            f"{gone[0]}: another program deletes files there; repeat this command when it has ended"
        )
    storage.sync_folders(manifest.paths())
    storage.write_bytes_atomic(MANIFEST_NAME, manifest.to_bytes())
    storage.sync_folders([MANIFEST_NAME])


def delete_stale(storage: Storage, stale: Iterable[str], keep: Iterable[str]) -> None:
    """Delete the files at ``stale`` that are not in ``keep``, what killed writers left, and unnamed tables.

    A table without a manifest is what a build left that was killed before it wrote the manifest, so every
    manifest that is in force or kept must be in ``keep``. Files of other owners stay.
    """
    kept = set(keep)
    paths = set(stale) | {f.path for f in storage.list_files(TABLES_FOLDER) if is_table(f.path)}
    paths -= kept
    paths |= {f.path for f in storage.list_files() if is_leftover(f.path)}
    for _ in each(storage, storage.delete, sorted(paths)):
        pass
