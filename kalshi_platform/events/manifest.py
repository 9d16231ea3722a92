"""The manifest of a dataset: what lies where, with checksums; written last, so a reader sees all or nothing.

A dataset is named by its manifest's digest. Paths are relative to the dataset's root:
``markets.parquet`` (specifications and settlements), ``events/<event>.parquet`` (one row group a
market), ``features/<feature digest>/<event>.arrow`` (one record batch a market).
"""

from typing import Final, Literal

from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.market import Provenance

MANIFEST_VERSION: Final = 1
MANIFEST_NAME: Final = "manifest.json"

Split = Literal["train", "validation", "test"]


class Shard(Config):
    """One file of the dataset."""

    path: str
    kind: Literal["markets", "events", "features"]
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    n_bytes: int = Field(ge=0)
    event: str | None = None


class MarketEntry(Config):
    """One market of the dataset: where its rows are and what is known of it."""

    ticker: str
    event: str
    split: Split
    provenance: Provenance
    n_events: int = Field(ge=0, description="rows in the events shard")
    n_rows: int = Field(ge=0, description="rows (messages) in the feature shard")
    n_gaps: int = Field(ge=0)
    first_ns: int
    last_ns: int
    batch: int = Field(ge=0, description="row group in the events shard, record batch in the feature shard")
    volatility: float = Field(ge=0, description="time-weighted standard deviation of the mid, dollars")
    settled: bool = Field(description="the outcome is known")


class Manifest(Config):
    """A dataset: its feature table, shards, markets and what was seen while importing it."""

    version: int = MANIFEST_VERSION
    feature_digest: str
    shards: tuple[Shard, ...]
    markets: tuple[MarketEntry, ...]
    sources: tuple[str, ...] = Field(description="names of the imported files")
    counters: dict[str, int] = Field(description="what importing counted: unknown fields, duplicates, drops")
