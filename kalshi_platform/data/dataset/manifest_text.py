"""The text of ``manifest.json``, version 2: small, whatever the number of markets."""

from typing import Final, Literal

from pydantic import Field

from kalshi_platform.data.dataset.blocks import Stratum
from kalshi_platform.data.dataset.certified import CertifiedRun
from kalshi_platform.data.dataset.entry import Shard
from kalshi_platform.data.dataset.split import SplitConfig
from kalshi_platform.domain.config import Config

MANIFEST_VERSION: Final = 2


class ManifestText(Config):
    """Content of ``manifest.json``: all that does not grow with markets, and the names of the tables."""

    version: Literal[2] = 2
    feature_digest: str
    n_markets: int = Field(ge=0)
    n_events: int = Field(ge=0, description="events with markets or files")
    tables: tuple[Shard, ...] = Field(description="columns of markets, events and lists of names")
    files: tuple[Shard, ...] = Field(description="files about the whole dataset: markets and outcomes")
    counters: dict[str, int] = Field(description="what importing counted: unknown fields, duplicates, drops")
    notes: tuple[str, ...] = Field(default=(), description="what was put aside, the first of it in words")
    split: SplitConfig = Field(default=SplitConfig(), description="how events were divided")
    strata: tuple[Stratum, ...] = Field(
        default=(), description="how recorded events were divided in time, without the events that they name"
    )
    parents: tuple[str, ...] = Field(
        default=(), description="digests of the states that this dataset grew from, the first one first"
    )
    worlds: tuple[str, ...] = Field(
        default=(),
        description="simulated worlds that its recordings name; left out where there is none",
        exclude_if=lambda worlds: not worlds,
    )
    recordings: tuple[CertifiedRun, ...] = Field(
        default=(),
        description="certified coverage of the recorder's runs; left out where there is none",
        exclude_if=lambda runs: not runs,
    )
