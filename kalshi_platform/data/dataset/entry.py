"""Entries of a manifest: one file of a dataset, and one of its markets.

Newer      fields that a manifest of an earlier version lacks are not written where they say nothing, so that
           such a manifest keeps its bytes and its digest.
"""

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from kalshi_platform.data.dataset.blocks import Part
from kalshi_platform.data.market_data.gaps import GapDetection
from kalshi_platform.domain.config import Config
from kalshi_platform.domain.market import Provenance

ShardKind = Literal["markets", "outcomes", "events", "features"]
#: Tables that belong to the manifest itself (``tables.py``).
TableKind = Literal["entries", "event_table", "names", "joined", "order"]


class Shard(Config):
    """One file of the dataset, with its size and checksum."""

    path: str
    kind: ShardKind | TableKind
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    n_bytes: int = Field(ge=0)
    event: str | None = None


class JoinedFiles(Config):
    """Trades of some files put beside the books of others, and when they count as received."""

    files: str = Field(description="names of the files, joined with +")
    markets: int = Field(ge=1)
    prints: int = Field(ge=1)
    delay_ns: int = Field(ge=0, description="receive time of a joined print less its exchange's time")
    measured: bool = Field(description="the delay comes from the book file's own rows; else it is assumed")


class MarketEntry(Config):
    """One market of the dataset: which split it is in, where its rows are, how many there are and when."""

    ticker: str
    event: str
    split: Part = Field(description="judge_only: in no split, its stratum is too short to be divided")
    provenance: Provenance
    n_events: int = Field(ge=0, description="rows in the events shard")
    n_rows: int = Field(ge=0, description="rows (messages) in the feature shard")
    n_gaps: int = Field(ge=0)
    first_ns: int
    last_ns: int
    batch: int = Field(ge=0, description="row group in the events shard, record batch in the feature shard")
    volatility: float = Field(ge=0, description="time-weighted standard deviation of the mid, dollars")
    settled: bool = Field(description="the outcome is known")
    gap_detection: GapDetection | None = Field(
        default=None, description="how lost messages of the book show; None: not kept"
    )
    n_segments: int | None = Field(
        default=None,
        ge=0,
        description="runs of rows that can be stepped over; None: built before it was counted",
    )
    grid_declared: bool | None = Field(
        default=None, description="a source names the price grid; None: not kept"
    )
    older_outcomes: bool = Field(
        default=False, description="outcomes that the features may show became known after they were computed"
    )
    joined: JoinedFiles | None = Field(default=None, description="trades put beside the market's own book")
    block: str | None = Field(
        default=None,
        description="the independent observation that its event is part of; None: the event alone",
    )

    @property
    def is_playable(self) -> bool:
        """True where an episode can step over the market, or where nobody counted."""
        return self.n_segments != 0

    @model_serializer(mode="wrap")
    def _without_silent(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_silent(
            write(self),
            {
                "gap_detection": None,
                "n_segments": None,
                "grid_declared": None,
                "older_outcomes": False,
                "joined": None,
                "block": None,
            },
        )


def without_silent(values: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Return ``values`` without those that ``defaults`` holds with the same value.

    A manifest of an earlier version, which lacks them, keeps its bytes and its digest.
    """
    return {k: v for k, v in values.items() if k not in defaults or v != defaults[k]}
