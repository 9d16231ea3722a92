"""The manifest of a dataset: which file holds what, with checksums. The build writes it last, so that a
reader sees a whole dataset or none.

The digest of its manifest is a dataset's name. Paths are relative to the dataset's root and end in the first
hex digits of the content's sha256, so that a rebuild never writes over a shard that an earlier manifest
names: ``markets.<hash>.parquet`` (specifications and settlements), ``outcomes.<hash>.parquet`` (the known
outcomes of all markets that the metadata tell of, with rows here or not), ``events/<event>.<hash>.parquet``
(one row group a market), ``features/<feature digest>/<event>.<hash>.arrow`` (one record batch a market).

Lineage    a dataset that grew names its earlier states in ``parents``. An event keeps the split that it was
           given first, for ever: ``markets`` and ``left_out`` hold every assignment; none is ever changed.
Newer      fields that a manifest of an earlier version lacks are not written where they say nothing, so that
           such a manifest keeps its bytes and its digest.
"""

import json
from collections import Counter
from typing import Any, Final, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, ValidationError, model_serializer, model_validator

from kalshi_platform.data.dataset.blocks import Part, Stratum
from kalshi_platform.data.dataset.split import Asked, Split, SplitConfig
from kalshi_platform.data.market_data.gaps import GapDetection
from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.domain.market import Provenance

__all__ = [
    "MANIFEST_NAME",
    "MANIFEST_VERSION",
    "Asked",
    "JoinedFiles",
    "Manifest",
    "MarketEntry",
    "Part",
    "Shard",
    "ShardKind",
    "Split",
    "judge_only_words",
    "playable_words",
]

MANIFEST_VERSION: Final = 1
MANIFEST_NAME: Final = "manifest.json"
STATES_FOLDER: Final = ".states"

ShardKind = Literal["markets", "outcomes", "events", "features"]


class Shard(Config):
    """One file of the dataset, with its size and checksum."""

    path: str
    kind: ShardKind
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
        return _without_silent(
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


class Manifest(Config):
    """Content of ``manifest.json``: feature digest, shards, markets, and counters of the import."""

    version: int = MANIFEST_VERSION
    feature_digest: str
    shards: tuple[Shard, ...]
    markets: tuple[MarketEntry, ...]
    sources: tuple[str, ...] = Field(description="names of the imported files")
    counters: dict[str, int] = Field(description="what importing counted: unknown fields, duplicates, drops")
    notes: tuple[str, ...] = Field(default=(), description="what was put aside, the first of it in words")
    split: SplitConfig = Field(default=SplitConfig(), description="how events were divided")
    imported: tuple[str, ...] = Field(
        default=(), description="sha256 of the imported files with rows, sorted"
    )
    left_out: tuple[str, ...] = Field(
        default=(), description="events that an embargo left out of every split, for ever; sorted"
    )
    strata: tuple[Stratum, ...] = Field(
        default=(),
        description="how recorded events were divided in time; empty: none, or built before it was",
        exclude_if=lambda strata: not strata,
    )
    parents: tuple[str, ...] = Field(
        default=(), description="digests of the states that this dataset grew from, the first one first"
    )
    #: Left out where empty, so that a dataset without joined prints keeps its digest.
    joined: tuple[JoinedFiles, ...] = Field(
        default=(), description="trades put beside books", exclude_if=lambda joined: not joined
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        split_of: dict[str, Part] = {}
        of_block: dict[str, Part] = {}
        for market in self.markets:
            if split_of.setdefault(market.event, market.split) != market.split:
                raise ValueError(f"event {market.event} is in {split_of[market.event]} and {market.split}")
            if market.block and of_block.setdefault(market.block, market.split) != market.split:
                raise ValueError(f"block {market.block} is in {of_block[market.block]} and {market.split}")
        twice = [t for t, n in Counter(m.ticker for m in self.markets).items() if n > 1]
        if twice:
            raise ValueError(f"market {twice[0]} is listed twice")
        for kind in ("events", "features"):
            have = {s.event for s in self.shards if s.kind == kind}
            if lost := sorted(split_of.keys() - have):
                raise ValueError(f"event {lost[0]} has no {kind} shard")
        if both := sorted(split_of.keys() & set(self.left_out)):
            raise ValueError(f"event {both[0]} is in {split_of[both[0]]} and left out")
        return self

    @model_serializer(mode="wrap")
    def _without_silent(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what says nothing: such a manifest has the bytes and the digest that it always had."""
        return _without_silent(write(self), {"notes": [], "imported": [], "left_out": [], "parents": []})

    def events(self, split: Asked | None = None) -> tuple[str, ...]:
        """Events of one split (of the whole dataset where None or ``all``), sorted."""
        return tuple(sorted({m.event for m in self.markets if split in (None, "all", m.split)}))

    def descends_from(self, digest: str) -> bool:
        """True where ``digest`` names this state of the dataset or a state that it grew from."""
        return digest == self.digest or digest in self.parents

    def assignments(self) -> dict[str, Part | None]:
        """Part of every event that was ever assigned; None where an embargo left it out."""
        return {m.event: m.split for m in self.markets} | dict.fromkeys(self.left_out)

    def to_bytes(self) -> bytes:
        """Content of the file: canonical JSON, so that equal manifests have equal bytes."""
        return (json_text(self.model_dump(mode="json"), sort_keys=True, indent=1) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes, address: str) -> Self:
        """Parse and check a manifest; DataError names ``address`` and the field that is wrong."""
        try:
            values: Any = json.loads(data)
        except ValueError as err:
            raise DataError(f"{address}: no JSON ({err}); rebuild the dataset") from None
        version = values.get("version") if isinstance(values, dict) else None
        if version != MANIFEST_VERSION:
            raise DataError(
                f"{address}: manifest version {version!r}, this program reads {MANIFEST_VERSION}; "
                "rebuild the dataset with this version"
            )
        try:
            return cls.model_validate(values)
        except ValidationError as err:
            first = err.errors()[0]
            field = ".".join(map(str, first["loc"])) or "manifest"
            raise DataError(f"{address}: {field}: {first['msg']}; rebuild the dataset") from None


def state_path(digest: str) -> str:
    """Place of the manifest of an earlier state (``states.py`` keeps it)."""
    return f"{STATES_FOLDER}/{digest}.json"


def playable_words(n_markets: int, n_unplayable: int | None) -> str:
    """Return the number of markets, and of those that no episode can step over, as every page says it."""
    markets = f"{n_markets:,} market{'' if n_markets == 1 else 's'}"
    if n_unplayable is None:
        return f"{markets} (built before those that cannot be played were counted)"
    if not n_unplayable:
        return markets
    return (
        f"{markets}, of which {n_unplayable:,} cannot be played: fewer than two rows in a row "
        "with a valid book"
    )


def judge_only_words(manifest: Manifest) -> str:
    """Words on the events that can only be judged whole, to end a refusal; empty where there are none."""
    if not (events := manifest.events("judge_only")):
        return ""
    return (
        f"; {len(events):,} of its {len(manifest.events()):,} events are in no split, because their strata "
        "have fewer than 3 blocks or no room for an embargo (dataset info): judge them with evaluate --split "
        "all, or record more"
    )


def _without_silent(values: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Return ``values`` without those that ``defaults`` holds with the same value.

    A manifest of an earlier version, which lacks them, keeps its bytes and its digest.
    """
    return {k: v for k, v in values.items() if k not in defaults or v != defaults[k]}
