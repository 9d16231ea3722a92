"""Opens a dataset's split as a bank: verifies and reads the shards once, then a local cache of the bank.

Owns       the key ``<dataset digest>-<split>[-<share>]-<feature sets' digest>-<layout digest>`` of a cached
           bank (``simulation/replay/cache.py``), and which events of a split a share of it holds.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Self

import numpy as np

from kalshi_platform.data.dataset.entries import MarketEntries
from kalshi_platform.data.dataset.manifest import Asked, judge_only_words
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.data.features.spec import FEATURE_DIGEST, digest, features_of
from kalshi_platform.domain.config import digest_of
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.saying import Countdown, program
from kalshi_platform.simulation.replay import cache
from kalshi_platform.simulation.replay.assemble import Columns
from kalshi_platform.simulation.replay.bank import (
    MARKET_DTYPE,
    ROW_DTYPE,
    SEGMENT_DTYPE,
    Bank,
    BankArrays,
    BankMarket,
    FullRows,
    read_only,
)
from kalshi_platform.simulation.replay.cache import CACHE_VARIABLE
from kalshi_platform.simulation.replay.cold import shapes
from kalshi_platform.simulation.replay.on_demand import Room, fits
from kalshi_platform.simulation.replay.pages import Pages
from kalshi_platform.simulation.replay.shard_reader import ShardReader, columns_of, row_bytes
from kalshi_platform.simulation.replay.stored_infos import StoredInfos
from kalshi_platform.simulation.replay.terms import TERMS_DTYPE

_log = logging.getLogger(__name__)

#: Segments, facts and terms of a market take about so much.
_INDEX_BYTES: Final = 600

__all__ = ["CACHE_VARIABLE", "Share", "SplitOpener", "bank_bytes", "open_bank"]

_RECORDS: Final = {
    "rows": ROW_DTYPE,
    "segments": SEGMENT_DTYPE,
    "markets": MARKET_DTYPE,
    "terms": TERMS_DTYPE,
}
#: A cache written with other arrays or records is not read.
_LAYOUT_DIGEST: Final = digest_of(
    {"arrays": BankArrays._fields} | {name: str(dtype) for name, dtype in _RECORDS.items()}
)


class Share(NamedTuple):
    """The events that one of several workers opens.

    ``worker`` opens event k of the sorted ones where k mod ``workers`` = ``worker``.
    """

    worker: int
    workers: int


@dataclass(frozen=True)
class SplitOpener:
    """A recipe that opens a split of a dataset, or a share of it.

    It is picklable, so each process opens its own.
    """

    uri: str
    split: Asked
    feature_sets: tuple[str, ...]
    share: Share | None = None
    state: str | None = None  # digest: every process opens the same state of a dataset that grows meanwhile

    def __call__(self) -> Bank:
        """Open the split; returns its bank."""
        return open_bank(self.uri, self.split, self.feature_sets, share=self.share, state=self.state)

    def only(self, share: Share) -> Self:
        """Opener of one share of the same split."""
        return replace(self, share=share)


def open_bank(
    uri: str,
    split: Asked,
    feature_sets: tuple[str, ...],
    progress: Callable[[int, int], None] | None = None,
    feature_digest: str = FEATURE_DIGEST,
    share: Share | None = None,
    state: str | None = None,
) -> Bank:
    """Bank of one split of the dataset at ``uri``, or of ``all``, with the columns of ``feature_sets``.

    ``progress`` receives (events read, events in all); without it, whoever hears the program does
    (``domain/saying.py``). ``share`` opens only those of the split's events; the bank's ``full_rows`` then
    say where its rows stand in the bank of the whole split. ``state`` (a digest) opens a dataset that has
    grown since as it was then.
    DataError where the dataset was made with another feature table or the split holds nothing to step over;
    ContractError where there are fewer events than shares; ChecksumError names a shard whose bytes are not
    what the manifest says. A bank in the cache came from verified shards and is verified itself at every
    opening; the shards are then not read again (``dataset verify`` reads them all).
    """
    dataset = Dataset.open(uri, state)
    if dataset.manifest.feature_digest != feature_digest:
        raise DataError(
            f"{uri} was made with feature table {dataset.manifest.feature_digest}, this program has "
            f"{feature_digest}: build the dataset again from its recordings"
        )
    entries = dataset.entries(split).in_order()
    if not entries:
        raise DataError(
            f"{uri} has no market in its {split} split: add events or choose another split"
            f"{judge_only_words(dataset.manifest)}"
        )
    places = None if share is None else _shared(entries, share, f"the {split} split of {uri}")
    chosen = entries if places is None else entries.take(places)
    infos = StoredInfos(dataset, chosen)
    part = "" if share is None else f"-{share.worker}of{share.workers}"
    key = f"{dataset.digest}-{split}{part}-{digest(feature_sets)}-{_LAYOUT_DIGEST}"
    show = Countdown(program(), f"opening the {split} split")
    told = progress or (lambda done, total: show(done, total, "events"))
    reader = ShardReader(dataset, chosen, infos, feature_sets, told)
    full_rows = None if places is None else _full_rows(entries.numbers("n_rows"), places)
    arrays = _arrays(key, reader, f"the {split} split of {uri}")
    return Bank(arrays, infos, _names(feature_sets), full_rows)


def markets_of_split(
    uri: str, split: Asked, feature_sets: tuple[str, ...]
) -> tuple[Iterator[BankMarket], Columns]:
    """The markets of a split in the order of its bank, read as they are asked for, and the bank's columns."""
    dataset = Dataset.open(uri)
    entries = dataset.entries(split).in_order()
    reader = ShardReader(dataset, entries, StoredInfos(dataset, entries), feature_sets)
    return reader.markets(), reader.columns


def _arrays(key: str, reader: ShardReader, what: str) -> BankArrays:
    """Arrays of bank ``key``: of the cache, else built into it, else, where they do not fit, on demand."""
    found = cache.open_arrays(key)
    if found is None:
        with cache.claimed(key, reader.n_bytes, fits) as has_room:
            found = cache.build_arrays(key, reader.n_bytes, reader.write, what) if has_room else None
    if found is not None:
        return _typed(found)
    _log.warning("%s is opened on demand: %s", what, _demand_words(reader.n_bytes))
    n_small = _INDEX_BYTES * reader.n_markets
    small = cache.build_arrays(f"{key}-index", n_small, reader.write_index, what)
    room = Room()
    cache.leave_room(min(reader.n_bytes, room.bound_bytes()))
    pages = Pages(
        room.folder, shapes(reader.n_rows, reader.columns), reader.first_rows, reader.parts, room.bound_bytes
    )
    return pages.arrays({name: array.view(_RECORDS[name]) for name, array in small.items()})


def _demand_words(n_bytes: int) -> str:
    limit = cache.limit_bytes()
    return (
        f"its bank of {n_bytes / cache.GB:.3f} GB does not fit beside the banks in use in the cache's "
        f"{limit / cache.GB:.3f} GB ({cache.LIMIT_VARIABLE}), or on its disk; rows are read from the dataset "
        "when episodes need them"
    )


def bank_bytes(dataset: Dataset, split: Asked, feature_sets: tuple[str, ...]) -> int:
    """Size of the arrays of one split's bank, computed from the manifest alone."""
    n_rows = int(dataset.entries(split).numbers("n_rows").sum())
    return n_rows * row_bytes(columns_of(feature_sets))


def _shared(entries: MarketEntries, share: Share, what: str) -> np.ndarray:
    """Places of the share's markets in ``entries``."""
    events = entries.event_codes
    if not 0 <= share.worker < share.workers:
        raise ContractError(f"share {share.worker} of {share.workers}: give one of 0 to {share.workers - 1}")
    if share.workers > events.size:
        raise ContractError(
            f"{what} has {events.size} events, too few for {share.workers} workers with events of their own: "
            f"use at most {events.size} workers, or worker_events=all"
        )
    return np.flatnonzero(np.isin(entries.numbers("event"), events[share.worker :: share.workers]))


def _full_rows(n_rows: np.ndarray, places: np.ndarray) -> FullRows:
    """Places of a share's rows in the whole split's bank.

    ``n_rows`` (M,): rows of every market of the split; ``places``: the share's markets among them.
    """
    own = np.concatenate([[0], np.cumsum(n_rows[places], dtype=np.int64)])
    starts = np.cumsum(n_rows, dtype=np.int64) - n_rows
    return FullRows(own, np.append(starts[places], 0))


def _names(feature_sets: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f.name for f in features_of([g for g in feature_sets if g != "portfolio"]))


def _typed(arrays: dict[str, np.ndarray]) -> BankArrays:
    typed = {n: a.view(_RECORDS[n]) if n in _RECORDS else a for n, a in arrays.items()}
    return read_only(BankArrays(**typed))
