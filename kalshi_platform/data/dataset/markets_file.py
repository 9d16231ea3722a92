"""The markets file: specifications, histories and settlements of a dataset's markets, one row each.

Owns       the layout of ``markets.*.parquet`` (zstd, row groups of 1,024 markets).
Cost       a market is parsed in 60 us; one asked for at random costs its row group, about 5 ms, as well.
           A column of all markets (:meth:`MarketsFile.column`) costs milliseconds: read it where it will do.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, lru_cache
from itertools import islice, pairwise
from typing import Any, Final, NamedTuple, TypeVar, overload

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kalshi_platform.data.dataset.tables import STRINGS, place_in
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.json_text import json_text, json_value
from kalshi_platform.domain.market import MarketSpec, Settlement
from kalshi_platform.domain.market_history import MarketHistory

ROWS_A_GROUP: Final = 1_024
_GROUPS_KEPT: Final = 4
_MARKETS_KEPT: Final = 512
_MARKETS_KEY: Final = b"kalshi_platform.markets"
_MARKETS_VERSION: Final = 2

_NS: Final = pa.int64()
MARKETS_SCHEMA: Final = pa.schema(
    [
        pa.field("ticker", pa.string(), nullable=False),
        pa.field("event", pa.string(), nullable=False),
        ("series", pa.string()),
        ("category", pa.string()),
        ("open_ns", _NS),
        ("close_ns", _NS),
        # When close_ns became known: it moves when a market can close early; null = the source does not say,
        # and the time is taken for known since the opening.
        ("close_known_ns", _NS),
        ("expected_expiration_ns", _NS),
        ("can_close_early", pa.bool_()),
        pa.field("price_ranges", pa.string(), nullable=False),  # JSON, as MarketSpec has it
        pa.field("fee_type", pa.string(), nullable=False),
        pa.field("fee_multiplier_e6", pa.int64(), nullable=False),
        ("mutually_exclusive", pa.bool_()),
        ("settlement_value_e4", pa.int32()),  # null = the outcome is unknown
        ("settlement_known_ns", _NS),
        pa.field("history", pa.string(), nullable=False),  # JSON of MarketHistory
    ],
    metadata={_MARKETS_KEY: str(_MARKETS_VERSION)},
)


class StoredMarket(NamedTuple):
    """Facts of one market in the markets file: its specification, how it resolved, what was known when."""

    spec: MarketSpec
    settlement: Settlement | None
    history: MarketHistory


def encode_markets(markets: Iterable[StoredMarket]) -> pa.Buffer:
    """Parquet bytes: one row a market, with the facts known while it traded and with how it resolved."""
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, MARKETS_SCHEMA, compression="zstd") as writer:
        rest = iter(markets)
        while rows := [_market_row(market) for market in islice(rest, ROWS_A_GROUP)]:
            writer.write_table(pa.Table.from_pylist(rows, schema=MARKETS_SCHEMA))
    return sink.getvalue()


def decode_markets(data: pa.Buffer, address: str) -> list[StoredMarket]:
    """Markets in file order; DataError names ``address`` if the file is no markets file."""
    return list(MarketsFile(data, address))


class MarketsFile(Sequence[StoredMarket]):
    """Markets of a markets file, in its order; each is parsed when it is asked for.

    The last few hundred markets and the last row groups that were asked for stay in memory. DataError names
    the file where it is no markets file, and the value that is refused.
    """

    def __init__(self, data: pa.Buffer, address: str) -> None:
        self._address = address
        with self._refusing():
            self._file = pq.ParquetFile(pa.BufferReader(data))
            check_version(self._file.schema_arrow, _MARKETS_KEY, _MARKETS_VERSION, address)
        sizes = [self._file.metadata.row_group(g).num_rows for g in range(self._file.num_row_groups)]
        self._starts = np.cumsum([0, *sizes])
        self._group = lru_cache(maxsize=_GROUPS_KEPT)(self._read_group)
        self._market = lru_cache(maxsize=_MARKETS_KEPT)(self._parse)

    def __len__(self) -> int:
        return int(self._starts[-1])

    @overload
    def __getitem__(self, at: int) -> StoredMarket: ...
    @overload
    def __getitem__(self, at: slice) -> list[StoredMarket]: ...
    def __getitem__(self, at: int | slice) -> StoredMarket | list[StoredMarket]:
        if isinstance(at, slice):
            return [self[place] for place in range(len(self))[at]]
        return self._market(range(len(self))[at])

    def __iter__(self) -> Iterator[StoredMarket]:
        for group in range(self._starts.size - 1):
            with self._refusing():
                yield from map(_parse_market_row, self._read_group(group).to_pylist())

    @cached_property
    def ticker(self) -> pa.Array:
        """Tickers (M,) of the markets."""
        texts = self.column("ticker").cast(STRINGS).combine_chunks()
        return texts.chunk(0) if isinstance(texts, pa.ChunkedArray) else texts

    def adopt(self, listed: pa.Array) -> None:
        """Take ``listed`` for the column of tickers where they are equal: memory holds the texts once."""
        start = 0
        with self._refusing():
            for batch in self._file.iter_batches(columns=["ticker"], use_threads=False):
                own = batch.column(0).cast(STRINGS)
                if not own.equals(listed.slice(start, len(own))):
                    return
                start += len(own)
        if start == len(listed):
            self.__dict__["ticker"] = listed

    @cached_property
    def is_settled(self) -> np.ndarray:
        """True (M,) where the outcome of the market is known."""
        return self.column("settlement_value_e4").is_valid().to_numpy()

    def column(self, name: str) -> pa.ChunkedArray:
        """One column of the file, such as ``category``."""
        with self._refusing():
            return self._file.read([name], use_threads=False).column(0)

    def _read_group(self, group: int) -> pa.Table:
        return self._file.read_row_group(group, use_threads=False)

    def _parse(self, at: int) -> StoredMarket:
        group = int(np.searchsorted(self._starts, at, side="right")) - 1
        with self._refusing():
            (row,) = self._group(group).slice(at - int(self._starts[group]), 1).to_pylist()
            return _parse_market_row(row)

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError, KeyError, ValueError, ContractError) as err:
            raise DataError(f"{self._address}: no markets file ({err}); rebuild the dataset") from None


_T = TypeVar("_T")


class ByTicker(Mapping[str, _T]):
    """Facts of the markets of a markets file by ticker, each parsed when it is asked for.

    ``order`` sorts the tickers of the file, None where they ascend; ``fact`` picks from a market what the
    mapping holds. A market where ``is_there`` (M,) is False is not in it.
    """

    def __init__(
        self,
        file: MarketsFile,
        order: np.ndarray | None,
        fact: Callable[[StoredMarket], _T],
        is_there: np.ndarray | None = None,
    ) -> None:
        self._file, self._order, self._fact, self._is_there = file, order, fact, is_there

    def __len__(self) -> int:
        return len(self._file) if self._is_there is None else int(np.count_nonzero(self._is_there))

    def __iter__(self) -> Iterator[str]:
        for at, ticker in enumerate(self._file.ticker):
            if self._is_there is None or self._is_there[at]:
                yield ticker.as_py()

    def __getitem__(self, ticker: str) -> _T:
        if (at := self._place(ticker)) is None:
            raise KeyError(ticker)
        return self._fact(self._file[at])

    def __contains__(self, ticker: object) -> bool:
        return isinstance(ticker, str) and self._place(ticker) is not None

    def _place(self, ticker: str) -> int | None:
        at = place_in(self._file.ticker, ticker, self._order)
        return None if at is None or (self._is_there is not None and not self._is_there[at]) else at


def _market_row(market: StoredMarket) -> dict[str, Any]:
    spec, settlement, history = market
    facts = spec.model_dump(mode="json")
    return {
        **facts,
        "price_ranges": json_text(facts["price_ranges"]),
        "close_known_ns": _close_known_ns(history),
        "history": history.model_dump_json(),
        "settlement_value_e4": settlement.value_e4 if settlement else None,
        "settlement_known_ns": settlement.determined_ns if settlement else None,
    }


def _close_known_ns(history: MarketHistory) -> int | None:
    """Time at which the last close was told; None where no frame told it."""
    return next(
        (
            facts.known_ns
            for before, facts in reversed(list(pairwise(history.known)))
            if facts.close_ns != before.close_ns
        ),
        None,
    )


def _parse_market_row(row: dict[str, Any]) -> StoredMarket:
    facts = {name: row[name] for name in MarketSpec.model_fields}
    spec = MarketSpec.parse({**facts, "price_ranges": json_value(facts["price_ranges"])})
    history = MarketHistory.model_validate_json(row["history"])
    if row["settlement_value_e4"] is None:
        return StoredMarket(spec, None, history)
    settlement = Settlement(
        ticker=spec.ticker, value_e4=row["settlement_value_e4"], determined_ns=row["settlement_known_ns"]
    )
    return StoredMarket(spec, settlement, history)


def check_version(found: pa.Schema, key: bytes, version: int, address: str) -> None:
    """DataError where a file says another version of its schema than this program reads."""
    have = (found.metadata or {}).get(key, b"none").decode()
    if have != str(version):
        raise DataError(
            f"{address}: schema version {have}, this program reads {version}; rebuild the dataset"
        )
