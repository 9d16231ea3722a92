"""Layout of ``events/*.parquet``: the recorded rows of one event's markets, market after market.

Groups   a market is one row group (zstd), or several where it has more than ROWS_A_GROUP rows: a reader that
         wants a stretch of a long market decodes its groups and no others.
Version  a file in which no market is split is of version 1, with the bytes that it always had. One with a
         split market is of version 2, which earlier programs refuse; it lists the first group of each market.
"""

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from kalshi_platform.data.market_data import schema
from kalshi_platform.data.market_data.schema import ARROW_SCHEMA, SCHEMA_VERSION, VERSION_KEY, MarketRows
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.json_text import json_text, json_value

#: About 4 MB on the disk and 13 MB in memory; few markets have as many rows.
ROWS_A_GROUP: Final = 2**18
_SPLIT_VERSION: Final = SCHEMA_VERSION + 1
_TICKERS_KEY: Final = b"kalshi_platform.tickers"
_GROUPS_KEY: Final = b"kalshi_platform.first_groups"


def encode_market_rows(
    markets: Sequence[tuple[str, MarketRows]], rows_a_group: int = ROWS_A_GROUP
) -> pa.Buffer:
    """Parquet bytes of each ``(ticker, rows)``, in order; equal rows, equal bytes."""
    metadata: dict[bytes | str, bytes | str] = dict(ARROW_SCHEMA.metadata)
    metadata[_TICKERS_KEY] = json_text([ticker for ticker, _ in markets]).encode()
    first_groups = [0]
    for ticker, rows in markets:
        if not rows.recv_ns.size:
            raise ContractError(f"market {ticker} has no rows: a row group cannot be empty")
        first_groups.append(first_groups[-1] - (-rows.recv_ns.size // rows_a_group))
    if first_groups[-1] > len(markets):
        metadata |= {VERSION_KEY.encode(): str(_SPLIT_VERSION), _GROUPS_KEY: json_text(first_groups)}
    written = ARROW_SCHEMA.with_metadata(metadata)
    sink = pa.BufferOutputStream()
    # Measured: dictionaries and statistics make small row groups bigger and slower (ADR 0001).
    with pq.ParquetWriter(
        sink, written, compression="zstd", use_dictionary=False, write_statistics=False
    ) as writer:
        for _, rows in markets:
            writer.write_table(schema.to_arrow(rows).cast(written), row_group_size=rows_a_group)
    return sink.getvalue()


def decode_market_rows(
    data: pa.Buffer, address: str, market: int, begin: int = 0, end: int | None = None
) -> MarketRows:
    """Rows ``begin`` to ``end`` of the market at place ``market``; DataError where this is no such shard.

    Only the row groups that hold them are decoded.
    """
    try:
        with pq.ParquetFile(pa.BufferReader(data)) as file:
            groups = _groups_of(file, market, address)
            sizes = [file.metadata.row_group(group).num_rows for group in groups]
            stop = sum(sizes) if end is None else min(end, sum(sizes))
            wanted, skipped, at = [], 0, 0
            for group, size in zip(groups, sizes, strict=True):
                if at < stop and at + size > begin:
                    wanted.append(group)
                    skipped = at if len(wanted) == 1 else skipped
                at += size
            table = file.read_row_groups(wanted, use_threads=False)
            return schema.from_arrow(table.slice(begin - skipped, stop - begin))
    except (pa.ArrowException, OSError, KeyError, IndexError, ValueError) as err:
        raise DataError(f"{address}: no event shard ({err}); rebuild the dataset") from None


def count_markets(data: pa.Buffer, address: str) -> int:
    """Number of markets in a shard; DataError where this is no such shard."""
    try:
        with pq.ParquetFile(pa.BufferReader(data)) as file:
            return len(_first_groups(file, address)) - 1
    except (pa.ArrowException, OSError, ValueError) as err:
        raise DataError(f"{address}: no event shard ({err}); rebuild the dataset") from None


def _groups_of(file: Any, market: int, address: str) -> range:
    """Row groups of the market at a place."""
    first = _first_groups(file, address)
    return range(first[market], first[market + 1])


def _first_groups(file: Any, address: str) -> list[int]:
    """First row group of each market, and the number of all; DataError where the version is unknown."""
    metadata = file.schema_arrow.metadata or {}
    version = metadata.get(VERSION_KEY.encode(), b"none").decode()
    if version == str(SCHEMA_VERSION):
        return list(range(file.num_row_groups + 1))
    if version == str(_SPLIT_VERSION):
        first: list[int] = json_value(metadata[_GROUPS_KEY])
        return first
    raise DataError(
        f"{address}: schema version {version}, this program reads {SCHEMA_VERSION} and {_SPLIT_VERSION}; "
        "rebuild the dataset"
    )
