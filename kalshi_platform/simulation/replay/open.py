"""Opens a dataset's split as a bank: verifies and reads the shards once, then a local cache of the bank.

Owns       the key ``<dataset digest>-<split>[-<share>]-<feature sets' digest>-<layout digest>`` of a cached
           bank (``simulation/replay/cache.py``), and which events of a split a share of it holds.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple, Self

import numpy as np

from kalshi_platform.data.dataset.manifest import Asked, MarketEntry, judge_only_words
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.data.features.rows import Rows
from kalshi_platform.data.features.spec import FEATURE_DIGEST, TEMPORAL, columns, digest, features_of
from kalshi_platform.domain.config import digest_of
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.simulation.replay import cache
from kalshi_platform.simulation.replay.assemble import Columns
from kalshi_platform.simulation.replay.bank import (
    MARKET_DTYPE,
    ROW_DTYPE,
    SEGMENT_DTYPE,
    UNSETTLED,
    Bank,
    BankArrays,
    BankMarket,
    MarketInfo,
    read_only,
)
from kalshi_platform.simulation.replay.cache import CACHE_VARIABLE
from kalshi_platform.simulation.replay.cold import write_bank
from kalshi_platform.simulation.replay.shards import read_ahead
from kalshi_platform.simulation.replay.terms import TERMS_DTYPE

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

    ``progress`` receives (events read, events in all). ``share`` opens only those of the split's events; the
    bank's ``full_rows`` then say where its rows stand in the bank of the whole split. ``state`` (a digest)
    opens a dataset that has grown since as it was then.
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
    entries = _in_order(dataset, split)
    if not entries:
        raise DataError(
            f"{uri} has no market in its {split} split: add events or choose another split"
            f"{judge_only_words(dataset.manifest)}"
        )
    chosen = entries if share is None else _shared(entries, share, f"the {split} split of {uri}")
    infos = _infos(dataset, chosen)
    part = "" if share is None else f"-{share.worker}of{share.workers}"
    key = f"{dataset.digest}-{split}{part}-{digest(feature_sets)}-{_LAYOUT_DIGEST}"
    reader = ShardReader(dataset, chosen, infos, feature_sets, progress)
    arrays = cache.build_arrays(key, reader.n_bytes, reader.write, f"the {split} split of {uri}")
    full_rows = None if share is None else _full_rows(entries, chosen)
    bank = Bank(_typed(arrays), infos, _names(feature_sets), full_rows)
    if full_rows is not None and full_rows.size != bank.n_rows + 1:
        raise DataError(
            f"{uri}: shards hold {bank.n_rows} rows, the manifest {full_rows.size - 1}: build it again"
        )
    return bank


def bank_bytes(dataset: Dataset, split: Asked, feature_sets: tuple[str, ...]) -> int:
    """Size of the arrays of one split's bank, computed from the manifest alone."""
    wanted = Columns(tuple(columns(feature_sets)), tuple(TEMPORAL))
    return sum(entry.n_rows for entry in dataset.entries(split)) * _row_bytes(wanted)


def _row_bytes(wanted: Columns) -> int:
    """Bytes of one row in all arrays; features, temporal and age take four each."""
    return ROW_DTYPE.itemsize + 4 * (len(wanted.features) + len(wanted.temporal) + 1)


def _shared(entries: list[MarketEntry], share: Share, what: str) -> list[MarketEntry]:
    events = sorted({entry.event for entry in entries})
    if not 0 <= share.worker < share.workers:
        raise ContractError(f"share {share.worker} of {share.workers}: give one of 0 to {share.workers - 1}")
    if share.workers > len(events):
        raise ContractError(
            f"{what} has {len(events)} events, too few for {share.workers} workers with events of their own: "
            f"use at most {len(events)} workers, or worker_events=all"
        )
    own = set(events[share.worker :: share.workers])
    return [entry for entry in entries if entry.event in own]


def _full_rows(entries: list[MarketEntry], chosen: list[MarketEntry]) -> np.ndarray:
    """Row in the whole split's bank of every row of the chosen markets, (R + 1,) i4; the last entry is -1."""
    starts = np.cumsum([0] + [entry.n_rows for entry in entries])
    start_of = {entry.ticker: int(start) for entry, start in zip(entries, starts, strict=False)}
    parts = [start_of[entry.ticker] + np.arange(entry.n_rows, dtype=np.int32) for entry in chosen]
    return np.concatenate([*parts, [-1]]).astype(np.int32)


def _names(feature_sets: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f.name for f in features_of([g for g in feature_sets if g != "portfolio"]))


def _infos(dataset: Dataset, entries: list[MarketEntry]) -> tuple[MarketInfo, ...]:
    specs, histories = dataset.specs(), dataset.histories()
    return tuple(
        MarketInfo(specs[e.ticker], e.provenance, e.volatility, histories[e.ticker], e.block) for e in entries
    )


def _in_order(dataset: Dataset, split: Asked) -> list[MarketEntry]:
    return sorted(dataset.entries(split), key=lambda entry: (entry.event, entry.batch))


class ShardReader:
    """Reads the markets of a bank from the shards of their events."""

    def __init__(
        self,
        dataset: Dataset,
        entries: Sequence[MarketEntry],
        infos: Sequence[MarketInfo],
        feature_sets: tuple[str, ...],
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """``entries`` and ``infos``: the bank's markets, in its order; an event's stand together."""
        self.columns = Columns(tuple(columns(feature_sets)), tuple(TEMPORAL))
        self._dataset, self._infos, self._progress = dataset, infos, progress
        self._n_rows_of_event: dict[str, int] = {}
        for entry in entries:
            self._n_rows_of_event[entry.event] = self._n_rows_of_event.get(entry.event, 0) + entry.n_rows
        self._settlements = dataset.settlements()

    @property
    def n_bytes(self) -> int:
        """Size of the bank's arrays with an entry a row."""
        return sum(self._n_rows_of_event.values()) * _row_bytes(self.columns)

    def write(self, folder: Path) -> Mapping[str, str]:
        """Write the bank's arrays into ``folder``; returns the sha256 of each file."""
        n_rows = sum(self._n_rows_of_event.values())
        return write_bank(folder, self._markets(), n_rows, self.columns, self._dataset.uri)

    def _markets(self) -> Iterator[BankMarket]:
        events, number = list(self._n_rows_of_event), 0
        shards = read_ahead(self._dataset, events, list(self._n_rows_of_event.values()))
        for done, event_rows in enumerate(shards, start=1):
            for ticker, rows in event_rows:
                yield self._market(number, ticker, rows)
                number += 1
            if self._progress is not None:
                self._progress(done, len(events))

    def _market(self, number: int, ticker: str, rows: Rows) -> BankMarket:
        """The bank's market ``number``, which must be ``ticker``."""
        info = self._infos[number] if number < len(self._infos) else None
        if info is None or info.ticker != ticker:
            raise DataError(
                f"{self._dataset.uri}: shards hold markets in another order than the manifest: build it again"
            )
        outcome = self._settlements[ticker].value_e4 if ticker in self._settlements else UNSETTLED
        return BankMarket(info, rows, outcome)


def _typed(arrays: dict[str, np.ndarray]) -> BankArrays:
    typed = {n: a.view(_RECORDS[n]) if n in _RECORDS else a for n, a in arrays.items()}
    return read_only(BankArrays(**typed))
