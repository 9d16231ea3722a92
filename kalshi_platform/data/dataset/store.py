""":class:`Dataset`, the only way to a dataset's files: it checks every byte it reads against the manifest.

Not     the layouts: recorded rows in ``events_file.py``, markets in ``markets_file.py``, features in
        ``shard.py``, which lies above this layer; Dataset hands out their verified bytes.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kalshi_platform.data.dataset.columns import order_of
from kalshi_platform.data.dataset.entries import MarketEntries
from kalshi_platform.data.dataset.events_file import decode_market_rows
from kalshi_platform.data.dataset.manifest import (
    MANIFEST_NAME,
    Asked,
    Manifest,
    MarketEntry,
    Shard,
    ShardKind,
    state_path,
)
from kalshi_platform.data.dataset.markets_file import (
    ByTicker,
    MarketsFile,
    StoredMarket,
    decode_markets,
    encode_markets,
)
from kalshi_platform.data.dataset.outcomes import decode_outcomes
from kalshi_platform.data.dataset.tables import sha256_of
from kalshi_platform.data.market_data.history import record_before
from kalshi_platform.data.market_data.market_meta import MarketRecord
from kalshi_platform.data.market_data.schema import MarketRows
from kalshi_platform.domain.errors import ChecksumError, ContractError, DataError, StorageError
from kalshi_platform.domain.market import MarketSpec, Settlement
from kalshi_platform.domain.market_history import MarketHistory
from kalshi_platform.domain.places import expanded
from kalshi_platform.storage.storage import Storage, open_storage

__all__ = [
    "Dataset",
    "StoredMarket",
    "decode_markets",
    "encode_markets",
]

_TICKERS_KEY: Final = b"kalshi_platform.tickers"


def _behind_link(uri: str | Path) -> str | Path:
    """Folder that ``uri`` names where it is a symbolic link, else ``uri`` itself."""
    place = expanded(uri)
    return place.resolve() if "://" not in str(uri) and place.is_symlink() else uri


def _at_state(storage: Storage, manifest: Manifest, state: str) -> Manifest:
    """``manifest``, or the one that it replaced, whichever has the digest ``state``."""
    if manifest.digest == state:
        return manifest
    path = state_path(state)
    if not manifest.descends_from(state) or not storage.exists(path):
        grew = "grew from it, and it is no longer kept" if manifest.descends_from(state) else "is another one"
        raise DataError(
            f"{storage.uri}: dataset {state} is asked for, {manifest.digest} is there and {grew}: start anew "
            "on the dataset that is there"
        )
    return Manifest.read(storage, path)


class Dataset:
    """A complete dataset: the files its manifest names, each checked against its sha256 when it is read."""

    def __init__(self, storage: Storage, manifest: Manifest) -> None:
        self.storage = storage
        self.manifest = manifest

    @classmethod
    def open(cls, uri: str | Path, state: str | None = None) -> "Dataset":
        """Read and check the manifest; DataError where there is none or it is of another version.

        A link to a dataset (``runs/quickstart/dataset``) opens the folder it names now: what is learned from
        it is recorded under that folder's own address, because the link may name another one tomorrow.

        ``state`` is a digest: a dataset that has grown since is opened as it was then, DataError where that
        state is no longer kept (only the one before the present is).
        """
        storage = open_storage(_behind_link(uri))
        if not storage.exists(MANIFEST_NAME):
            raise DataError(
                f"{storage.uri} is no complete dataset: it has no {MANIFEST_NAME}; "
                "make it with `kalshi-platform dataset build` (repeat the command if a build was interrupted)"
            )
        manifest = Manifest.read(storage)
        return cls(storage, manifest if state is None else _at_state(storage, manifest, state))

    @property
    def uri(self) -> str:
        """Address of the dataset: a folder or ``s3://bucket/prefix``."""
        return self.storage.uri

    @cached_property
    def digest(self) -> str:
        """Name of the dataset: 12 hex digits over its manifest."""
        return self.manifest.digest

    def specs(self) -> Mapping[str, MarketSpec]:
        """Facts known of every market while it trades, by ticker; parsed when asked for."""
        return ByTicker(self.markets(), self._order, lambda market: market.spec)

    def histories(self) -> Mapping[str, MarketHistory]:
        """Facts as they became known, by ticker; parsed when asked for."""
        return ByTicker(self.markets(), self._order, lambda market: market.history)

    def settlements(self) -> Mapping[str, Settlement]:
        """Outcome by ticker, for the markets whose outcome is known; parsed when asked for."""
        file = self.markets()
        return ByTicker(file, self._order, _settlement, file.is_settled)

    def records(self) -> dict[str, MarketRecord]:
        """All that the dataset knows of its own markets and of others whose outcome is known, by ticker."""
        found = {record.spec.ticker: record for record in self.outcomes()}
        for spec, settlement, history in self.markets():
            record = record_before(spec, settlement, history, bool(self.entry(spec.ticker).grid_declared))
            if (told := found.get(spec.ticker)) is not None:
                record = replace(
                    record, expiration_ns=told.expiration_ns, last_price_e4=told.last_price_e4,
                    heard_ns=told.heard_ns,
                    # the first of a recorder's answers came before the outcome, and told the close
                    is_foresight=record.is_foresight
                    or (told.heard_ns is not None and history.known[0].close_ns is not None),
                )  # fmt: skip
            found[spec.ticker] = record
        return found

    def markets(self) -> MarketsFile:
        """All that the markets file holds, in its order; a market is parsed when it is asked for."""
        return self._markets

    def outcomes(self) -> list[MarketRecord]:
        """Records of the outcomes file; an empty list where an earlier version built the dataset."""
        shard = self.manifest.shards.find("outcomes", None)
        if shard is None:
            return []
        return decode_outcomes(self.read_verified(shard), self.storage.address(shard.path))

    def entries(self, split: Asked | None = None) -> MarketEntries:
        """Manifest entries of one split (the whole dataset where None or ``all``), in manifest order.

        They are made one by one when they are asked for; :meth:`MarketEntries.numbers` reads columns.
        """
        return self.manifest.markets.of(split)

    def entry(self, ticker: str) -> MarketEntry:
        """Manifest entry of a market; ContractError where the dataset lacks it."""
        place = self.manifest.markets.place_of(ticker)
        if place is None:
            raise ContractError(f"{self.uri} has no market {ticker!r}")
        return self.manifest.markets[place]

    def rows_of(self, ticker: str) -> MarketRows:
        """Recorded events of a market, verified."""
        entry = self.entry(ticker)
        shard = self.shard(entry.event, "events")
        return decode_market_rows(self.read_verified(shard), self.storage.address(shard.path), entry.batch)

    def shard(self, event: str | None, kind: ShardKind) -> Shard:
        """The file of ``event`` (None for the markets file); ContractError where the dataset lacks it."""
        shard = self.manifest.shards.find(kind, event)
        if shard is None:
            raise ContractError(f"{self.uri} has no {kind} shard of event {event!r}")
        return shard

    def read_verified(self, shard: Shard) -> pa.Buffer:
        """Bytes of the shard (a memory map where local).

        ChecksumError where they are not the bytes that were written, StorageError where they are gone.
        """
        try:
            data = self.storage.read_mapped(shard.path)
        except StorageError:
            if self.storage.exists(shard.path):
                raise
            raise StorageError(
                f"cannot read {self.storage.address(shard.path)}: it is gone, and the manifest names it: put "
                "it back, or build the dataset again"
            ) from None
        self._require(shard, hashlib.sha256(data).hexdigest(), data)
        return data

    def _require(self, shard: Shard, found: str, data: pa.Buffer) -> None:
        if found != shard.sha256:
            raise ChecksumError(
                f"{self.storage.address(shard.path)}: sha256 {found[:12]} ({data.size} bytes), the manifest "
                f"says {shard.sha256[:12]} ({shard.n_bytes} bytes); the file was changed or damaged: "
                "delete it and build the dataset again"
            )

    def rows_in_markets_file(self, entries: MarketEntries) -> np.ndarray:
        """Row (M,) i8 of every entry in the markets file; DataError names a market that it lacks."""
        listed, stored = self.manifest.markets.columns.ticker, self.markets().ticker
        if stored is listed:
            return entries.rows
        found = pc.index_in(entries.tickers, value_set=stored)
        if found.null_count:
            lost = entries.tickers[found.is_null().index(True).as_py()].as_py()
            raise DataError(f"{self.uri}: its markets file lacks market {lost}; rebuild the dataset")
        return found.to_numpy().astype(np.int64)

    @cached_property
    def _markets(self) -> MarketsFile:
        shard = self.shard(None, "markets")
        data = self.storage.read_mapped(shard.path)
        self._require(shard, sha256_of(self.storage, shard.path, data), data)
        file = MarketsFile(data, self.storage.address(shard.path))
        file.adopt(self.manifest.markets.columns.ticker)
        return file

    @cached_property
    def _order(self) -> np.ndarray | None:
        """Places that sort the markets file by ticker, as the manifest has them where the two agree."""
        columns, ticker = self.manifest.markets.columns, self.markets().ticker
        return columns.order if ticker is columns.ticker else order_of(ticker)


def _settlement(market: StoredMarket) -> Settlement:
    assert market.settlement is not None  # the mapping holds no other market
    return market.settlement
