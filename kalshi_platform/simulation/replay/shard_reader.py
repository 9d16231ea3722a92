"""Reads the markets of a bank from the shards of their events, in order or a few events at a time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from kalshi_platform.data.dataset.entries import MarketEntries
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.data.features.rows import Rows
from kalshi_platform.data.features.spec import TEMPORAL, columns
from kalshi_platform.domain.errors import DataError
from kalshi_platform.simulation.replay.assemble import Columns, MarketPart, market_part
from kalshi_platform.simulation.replay.bank import ROW_DTYPE, UNSETTLED, BankMarket, MarketInfo
from kalshi_platform.simulation.replay.cold import write_bank, write_index
from kalshi_platform.simulation.replay.shards import read_ahead


def columns_of(feature_sets: tuple[str, ...]) -> Columns:
    """Columns of the feature table that a bank of ``feature_sets`` holds."""
    return Columns(tuple(columns(feature_sets)), tuple(TEMPORAL))


def row_bytes(wanted: Columns) -> int:
    """Bytes of one row in all arrays; features, temporal and age take four each."""
    return ROW_DTYPE.itemsize + 4 * (len(wanted.features) + len(wanted.temporal) + 1)


class ShardReader:
    """Reads the markets of a bank from the shards of their events."""

    def __init__(
        self,
        dataset: Dataset,
        entries: MarketEntries,
        infos: Sequence[MarketInfo],
        feature_sets: tuple[str, ...],
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """``entries`` and ``infos``: the bank's markets, in its order; an event's stand together."""
        self.columns = columns_of(feature_sets)
        self._dataset, self._infos, self._progress = dataset, infos, progress
        self.n_markets = len(infos)
        codes, event = np.unique(entries.numbers("event"), return_inverse=True)
        rows = np.zeros(codes.size, np.int64)
        np.add.at(rows, event, entries.numbers("n_rows"))
        self._events, self._n_rows = entries.event_names, rows.tolist()
        self._first_market = np.concatenate([[0], np.cumsum(np.bincount(event))])
        #: First row (E + 1,) i8 of each event, then the number of rows.
        self.first_rows = np.concatenate([[0], np.cumsum(rows)])
        self._settlements = dataset.settlements()

    @property
    def n_rows(self) -> int:
        """Rows of all markets."""
        return int(self.first_rows[-1])

    @property
    def n_bytes(self) -> int:
        """Size of the bank's arrays with an entry a row."""
        return self.n_rows * row_bytes(self.columns)

    def write(self, folder: Path) -> Mapping[str, str]:
        """Write the bank's arrays into ``folder``; returns the sha256 of each file."""
        return write_bank(folder, self.markets(), self.n_rows, self.columns, self._dataset.uri)

    def write_index(self, folder: Path) -> Mapping[str, str]:
        """Write the bank's small arrays into ``folder``."""
        return write_index(folder, self.markets(), self.n_rows, self.columns, self._dataset.uri)

    def parts(self, events: Sequence[int]) -> Iterator[list[MarketPart]]:
        """Rows of the markets of ``events``, which are numbered in the bank's order."""
        for markets in self._read(events):
            yield [market_part(market, self.columns)[0] for market in markets]

    def markets(self) -> Iterator[BankMarket]:
        """All markets, in the bank's order."""
        for done, markets in enumerate(self._read(range(len(self._events))), start=1):
            yield from markets
            if self._progress is not None:
                self._progress(done, len(self._events))

    def _read(self, events: Sequence[int]) -> Iterator[list[BankMarket]]:
        names, n_rows = [self._events[e] for e in events], [self._n_rows[e] for e in events]
        for event, shard in zip(events, read_ahead(self._dataset, names, n_rows), strict=True):
            first = int(self._first_market[event])
            yield [self._market(first + k, *market) for k, market in enumerate(shard)]

    def _market(self, number: int, ticker: str, rows: Rows) -> BankMarket:
        """The bank's market ``number``, which must be ``ticker``."""
        info = self._infos[number] if number < len(self._infos) else None
        if info is None or info.ticker != ticker:
            raise DataError(
                f"{self._dataset.uri}: shards hold markets in another order than the manifest: build it again"
            )
        outcome = self._settlements[ticker].value_e4 if ticker in self._settlements else UNSETTLED
        return BankMarket(info, rows, outcome)
