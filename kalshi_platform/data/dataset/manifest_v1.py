"""Manifests of version 1: one JSON text with an object for every market and every file; read, never written.

The digest of such a dataset is that of this text's content, because models name it so. A dataset that grows
becomes version 2 and keeps the earlier digests as its ``parents``.
Cost       40 us and 10 KB a market while it is read (ADR 0011); build the dataset again where that is much.
"""

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from kalshi_platform.data.dataset.blocks import Stratum
from kalshi_platform.data.dataset.entry import JoinedFiles, MarketEntry, Shard, without_silent
from kalshi_platform.data.dataset.split import SplitConfig
from kalshi_platform.domain.config import Config


class ManifestV1(Config):
    """Content of a ``manifest.json`` of version 1."""

    version: Literal[1] = 1
    feature_digest: str
    shards: tuple[Shard, ...]
    markets: tuple[MarketEntry, ...]
    sources: tuple[str, ...]
    counters: dict[str, int]
    notes: tuple[str, ...] = ()
    split: SplitConfig = SplitConfig()
    imported: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    strata: tuple[Stratum, ...] = Field(default=(), exclude_if=lambda strata: not strata)
    parents: tuple[str, ...] = ()
    joined: tuple[JoinedFiles, ...] = Field(default=(), exclude_if=lambda joined: not joined)

    @model_serializer(mode="wrap")
    def _without_silent(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what says nothing: such a manifest has the digest that it always had."""
        return without_silent(write(self), {"notes": [], "imported": [], "left_out": [], "parents": []})
