"""Markets of a bank that a dataset holds: each is made when it is asked for, and none is kept.

Cost       60 us a market in order, about 5 ms at random; columns over all markets take milliseconds.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import overload

import numpy as np
import pyarrow as pa

from kalshi_platform.data.dataset.columns import PROVENANCES
from kalshi_platform.data.dataset.entries import MarketEntries
from kalshi_platform.data.dataset.markets_file import StoredMarket
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.simulation.replay.bank import MarketInfo
from kalshi_platform.simulation.replay.infos import (
    NO_CATEGORY,
    InfoColumns,
    Numbered,
    Trait,
    numbered_names,
)


class StoredInfos(InfoColumns):
    """Markets of a dataset, in the order of ``entries``; equal to a sequence of equal infos."""

    def __init__(self, dataset: Dataset, entries: MarketEntries) -> None:
        self._file, self._entries = dataset.markets(), entries
        self._rows = dataset.rows_in_markets_file(entries)

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, at: int) -> MarketInfo: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[MarketInfo, ...]: ...
    def __getitem__(self, at: int | slice) -> MarketInfo | tuple[MarketInfo, ...]:
        if isinstance(at, slice):
            return tuple(self[place] for place in range(len(self))[at])
        place = range(len(self))[at]
        return self._made(place, self._file[int(self._rows[place])])

    def __iter__(self) -> Iterator[MarketInfo]:
        for place in range(len(self)):
            yield self[place]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"StoredInfos({len(self)} markets)"

    def numbered(self, trait: Trait) -> Numbered:
        """Names of ``trait`` and the place of every market among them."""
        if trait == "category":
            return numbered_names(self._categories)
        code = self._entries.numbers("provenance" if trait == "provenance" else "event")
        if trait == "block":
            block = self._entries.events.block[code]
            code = np.where(block >= 0, block + self._entries.events.n_events, code)
        used, first, place = np.unique(code, return_index=True, return_inverse=True)
        by_appearance = np.argsort(first)
        rank = np.empty(used.size, np.int64)
        rank[by_appearance] = np.arange(used.size)
        return Numbered(tuple(self._names(trait, used[by_appearance])), rank[place])

    @property
    def volatility(self) -> np.ndarray:
        """Time-weighted standard deviation (M,) f8 of the mid, dollars."""
        return self._entries.numbers("volatility")

    @property
    def closes_ns(self) -> list[int | None]:
        """Close (M,) that each specification tells."""
        return self._file.column("close_ns").take(pa.array(self._rows)).to_pylist()

    @property
    def is_exclusive(self) -> np.ndarray:
        """True (M,) where at most one market of the event can settle at one dollar."""
        told = self._file.column("mutually_exclusive").fill_null(False).take(pa.array(self._rows))
        return told.to_numpy()

    @property
    def tickers(self) -> list[str]:
        """Tickers (M,)."""
        return self._entries.tickers.to_pylist()

    def _names(self, trait: Trait, codes: np.ndarray) -> list[str]:
        if trait == "provenance":
            return [PROVENANCES[code] for code in codes.tolist()]
        events = self._entries.events
        is_block = codes >= events.n_events
        names = np.empty(codes.size, object)
        names[is_block] = events.block_names(codes[is_block] - events.n_events)
        names[~is_block] = events.name.take(pa.array(codes[~is_block])).to_pylist()
        return names.tolist()

    @cached_property
    def _categories(self) -> list[str]:
        told = self._file.column("category").take(pa.array(self._rows)).to_pylist()
        return [category or NO_CATEGORY for category in told]

    def _made(self, place: int, market: StoredMarket) -> MarketInfo:
        entries = self._entries
        row = int(entries.rows[place])
        block = int(entries.events.block[entries.columns.event[row]])
        return MarketInfo(
            specification=market.spec,
            provenance=PROVENANCES[entries.columns.provenance[row]],
            volatility=float(entries.columns.volatility[row]),
            told=market.history,
            block_name=None if block < 0 else entries.events.blocks[block].as_py(),
        )
