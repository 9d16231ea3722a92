"""From a dataset to a bank: shards are read and verified once, then memory-mapped from a local cache.

Owns   the cache folder ``<cache>/<dataset digest>-<split>-<groups digest>-<layout digest>/``: one file an
       array of the bank, written to a temporary folder and renamed, so that processes share finished
       folders only.
"""

import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from kalshi_platform.domain.config import digest_of
from kalshi_platform.domain.errors import DataError
from kalshi_platform.events.manifest import MarketEntry, Split
from kalshi_platform.events.store import Dataset
from kalshi_platform.features.shard import read_rows
from kalshi_platform.features.spec import FEATURE_DIGEST, TEMPORAL, columns, digest, features_of
from kalshi_platform.replay.bank import (
    MARKET_DTYPE,
    ROW_DTYPE,
    SEGMENT_DTYPE,
    UNSETTLED,
    Bank,
    BankArrays,
    BankMarket,
    MarketInfo,
    build_bank,
    read_only,
)

#: Environment variable that moves the cache of opened datasets.
CACHE_VARIABLE: Final = "KALSHI_PLATFORM_CACHE"
_RECORDS: Final = {"rows": ROW_DTYPE, "segments": SEGMENT_DTYPE, "markets": MARKET_DTYPE}
#: A cache written with other records is not read.
_LAYOUT_DIGEST: Final = digest_of({name: str(dtype) for name, dtype in _RECORDS.items()})


def cache_folder() -> Path:
    """Where opened datasets lie on this machine."""
    return Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "kalshi-platform") / "banks"


def open_bank(
    uri: str,
    split: Split,
    groups: tuple[str, ...],
    progress: Callable[[int, int], None] | None = None,
    feature_digest: str = FEATURE_DIGEST,
) -> Bank:
    """The bank of one split of the dataset at ``uri``, with the columns of ``groups``.

    ``progress`` is told (events read, events in all). DataError where the dataset was made with
    another feature table or the split holds nothing to step over; ChecksumError names a shard
    whose bytes are not what the manifest says.
    """
    dataset = Dataset.open(uri)
    if dataset.manifest.feature_digest != feature_digest:
        raise DataError(
            f"{uri} was made with feature table {dataset.manifest.feature_digest}, this program has "
            f"{feature_digest}: build the dataset again from its recordings"
        )
    infos = _infos(dataset, split)
    if not infos:
        raise DataError(f"{uri} has no market in its {split} split: add events or choose another split")
    folder = cache_folder() / f"{dataset.digest}-{split}-{digest(groups)}-{_LAYOUT_DIGEST}"
    if not folder.exists():
        bank = _build(dataset, infos, split, groups, progress)
        if bank.markets != infos:
            raise DataError(f"{uri}: shards hold markets in another order than the manifest: build it again")
        _write(folder, bank.arrays)
    return Bank(_map(folder), infos, _names(groups))


def _names(groups: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f.name for f in features_of([g for g in groups if g != "portfolio"]))


def _infos(dataset: Dataset, split: Split) -> tuple[MarketInfo, ...]:
    specs = dataset.specs()
    return tuple(
        MarketInfo(specs[entry.ticker], entry.provenance, entry.volatility)
        for entry in _in_order(dataset, split)
    )


def _in_order(dataset: Dataset, split: Split) -> list[MarketEntry]:
    return sorted(dataset.entries(split), key=lambda entry: (entry.event, entry.batch))


def _build(
    dataset: Dataset,
    infos: tuple[MarketInfo, ...],
    split: Split,
    groups: tuple[str, ...],
    progress: Callable[[int, int], None] | None,
) -> Bank:
    settlements = dataset.settlements()
    by_ticker = {info.ticker: info for info in infos}
    events = list(dict.fromkeys(info.event for info in infos))
    markets = []
    for done, event in enumerate(events, start=1):
        for ticker, rows in read_rows(dataset, event):
            outcome = settlements[ticker].value_e4 if ticker in settlements else UNSETTLED
            markets.append(BankMarket(by_ticker[ticker], rows, outcome))
        if progress is not None:
            progress(done, len(events))
    return build_bank(markets, _names(groups), columns(groups), list(TEMPORAL))


def _write(folder: Path, arrays: BankArrays) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    temporary.mkdir()
    try:
        for name, array in arrays._asdict().items():
            np.save(temporary / f"{name}.npy", np.asarray(array).view(np.ndarray))
        try:
            temporary.rename(folder)
        except OSError:
            if not folder.exists():  # else another process finished the same folder first
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _map(folder: Path) -> BankArrays:
    loaded = {}
    for name in BankArrays._fields:
        array = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        loaded[name] = np.asarray(array).view(_RECORDS[name]) if name in _RECORDS else np.asarray(array)
    return read_only(BankArrays(**loaded))
