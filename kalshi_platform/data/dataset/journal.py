"""Records of the jobs a build has finished, so that the same command after a kill redoes only the rest.

Owns       ``.build/<key>.json`` in the dataset's storage: one record a job, written after the job's shards.
Key        everything the job's output depends on: the rows it reads (file contents by sha256), metadata,
           the outcomes of other markets that its markets may know, the feature table, and the source code
           between a file and its shard. Another key is another job.
Not        the split: the build divides events when all of them are known, so another salt rebuilds nothing.
"""

import hashlib
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, Final

from pydantic import Field, ValidationError

import kalshi_platform
from kalshi_platform.data.dataset.manifest import Shard
from kalshi_platform.data.features.resolution import ResolutionHistory
from kalshi_platform.data.features.spec import FEATURE_DIGEST
from kalshi_platform.data.market_data.gaps import GapDetection
from kalshi_platform.data.market_data.history import told_fees
from kalshi_platform.data.market_data.importers import ImportJob
from kalshi_platform.data.market_data.importers.types import JoinedPrints
from kalshi_platform.domain.config import Config, digest_of
from kalshi_platform.domain.errors import StorageError
from kalshi_platform.domain.fee_history import FeeTable
from kalshi_platform.domain.market import MarketSpec, Provenance, Settlement
from kalshi_platform.domain.market_history import MarketHistory
from kalshi_platform.storage.many import each
from kalshi_platform.storage.storage import Storage

JOURNAL_FOLDER: Final = ".build"

#: Packages whose code decides what a shard holds.
_CODE: Final = ("domain", "data")


class BuiltMarket(Config):
    """Facts of a market whose shards are written, as the manifest and the markets file need them."""

    spec: MarketSpec
    settlement: Settlement | None
    history: MarketHistory
    provenance: Provenance
    source: str
    n_events: int = Field(gt=0)
    n_rows: int = Field(ge=0)
    n_gaps: int = Field(ge=0)
    first_ns: int
    last_ns: int
    batch: int = Field(ge=0)
    volatility: float = Field(ge=0)
    n_segments: int = Field(ge=0)
    grid_declared: bool
    joined: JoinedPrints | None = None
    gap_detection: GapDetection | None = None

    @property
    def event(self) -> str:
        """Event that the market is of."""
        return self.spec.event


class BuiltJob(Config):
    """Record of a finished job: all of its shards are written in full."""

    key: str
    shards: tuple[Shard, ...]
    markets: tuple[BuiltMarket, ...]
    counters: dict[str, int]
    notes: tuple[str, ...] = ()


class Journal:
    """Records of the finished jobs in one dataset's storage."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def finished(self, keys: set[str]) -> dict[str, BuiltJob]:
        """Records of ``keys`` whose shards all exist in full; the build must do every other job (again)."""
        sizes = {f.path: f.n_bytes for f in self._storage.list_files()}
        there = sorted(key for key in keys if _path(key) in sizes)
        return {
            job.key: job
            for job in each(self._storage, self._read, there)
            if job is not None and all(sizes.get(s.path) == s.n_bytes for s in job.shards)
        }

    def write(self, job: BuiltJob) -> None:
        """Record a finished job; call this only after the job's shards are written."""
        self._storage.write_bytes_atomic(_path(job.key), job.model_dump_json().encode())

    def sweep(self, keep: set[str]) -> list[Shard]:
        """Delete the records of every job but ``keep``; returns the shards that those records named."""
        keys = {Path(file.path).stem: file.path for file in self._storage.list_files(JOURNAL_FOLDER)}
        old = [key for key, path in keys.items() if key not in keep and path == _path(key)]
        return [shard for shards in each(self._storage, self._forget, old) for shard in shards]

    def _forget(self, key: str) -> tuple[Shard, ...]:
        """Delete one record; returns the shards that it named."""
        job = self._read(key)
        self._storage.delete(_path(key))
        return job.shards if job else ()

    def _read(self, key: str) -> BuiltJob | None:
        try:
            job = BuiltJob.model_validate_json(bytes(self._storage.read_bytes(_path(key))))
        except (ValidationError, StorageError):
            return None  # a record of another version, or damaged: the job is done again
        return job if job.key == key else None


def _path(key: str) -> str:
    return f"{JOURNAL_FOLDER}/{key}.json"


def job_key(job: ImportJob, content: dict[str, str], history: ResolutionHistory) -> str:
    """Name of a job, made from everything its output depends on; ``content`` maps source path -> sha256.

    Only the part of ``history`` that the job's own markets may know counts, so that a further outcome changes
    no other job.
    """
    parts = [
        {**asdict(part), "path": Path(part.path).name, "content": content[part.path]} for part in job.parts
    ]
    records = {
        ticker: [
            record.spec.model_dump(mode="json"),
            record.settlement.model_dump(mode="json") if record.settlement else None,
            record.grid_declared,
            told_fees(record, job.fees).model_dump(mode="json"),
        ]
        for ticker, record in job.markets.items()
    }
    return digest_of(
        {
            "parts": parts,
            "events": job.events,
            "event_of": job.event_of,
            "markets": records,
            "resolutions": _resolutions(job, history),
            "use_yes_price": job.use_yes_price,
            "fees": _fees(job.fees),
            "features": FEATURE_DIGEST,
            "code": code_digest(),
            "held": [
                [event.event, event.sha256, [[*m[:3], *(part.model_dump(mode="json") for part in m[3:])]]]
                for event in job.held
                for m in event.markets
            ],
        }
    )


def _fees(table: FeeTable) -> list[dict[str, list[Any]]]:
    """Statements of fees about series and about events, of markets with a record or without."""
    return [
        {name: [telling.model_dump(mode="json") for telling in told] for name, told in layer.items()}
        for layer in (table.series, table.events)
    ]


def _resolutions(job: ImportJob, history: ResolutionHistory) -> list[str]:
    """Digests of the outcomes that the job's markets may know, one for each event, series and category."""
    specs = {(r.spec.event, r.spec.series, r.spec.category): r.spec for r in job.markets.values()}
    return sorted({history.digest_of(spec) for spec in specs.values()})


@cache
def code_digest() -> str:
    """Digest of the code between a source file and its shard.

    After a change of that code, of a kernel for example, a build reuses no old shard.
    """
    root = Path(kalshi_platform.__file__).parent
    files = sorted(path for package in _CODE for path in (root / package).rglob("*.py"))
    return digest_of([[str(p.relative_to(root)), hashlib.sha256(p.read_bytes()).hexdigest()] for p in files])
