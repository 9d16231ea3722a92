"""The outcomes file: every outcome that the metadata of a dataset tell, of markets with rows here or not.

Owns    the layout of ``outcomes.*.parquet``. A dataset that grows computes the resolution features of new
        rows from these outcomes and those of the new files, as one build of all files would.
Not     the settlements of the dataset's own markets, which pay positions: they lie in the markets file.
"""

from collections.abc import Iterable
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from kalshi_platform.data.market_data.market_meta import MarketRecord
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.market import MarketSpec, Settlement

_KEY: Final = b"kalshi_platform.outcomes"
_VERSION: Final = b"1"
_SCHEMA: Final = pa.schema(
    [
        pa.field("ticker", pa.string(), nullable=False),
        pa.field("event", pa.string(), nullable=False),
        ("series", pa.string()),
        ("category", pa.string()),
        pa.field("value_e4", pa.int32(), nullable=False),
        ("determined_ns", pa.int64()),  # null = the source does not say when
        ("known_ns", pa.int64()),  # public at the latest then; null = nothing bounds it
        ("last_price_e4", pa.int32()),
    ],
    metadata={_KEY: _VERSION},
)
#: Column of datasets of answers of known time alone: those of others keep their bytes.
_HEARD: Final = pa.field("heard_ns", pa.int64())


def encode_outcomes(records: Iterable[MarketRecord]) -> pa.Buffer:
    """Parquet bytes: one row, by ticker, for each record with an outcome; equal records, equal bytes."""
    rows = [_row(record) for record in sorted(records, key=lambda r: r.spec.ticker) if record.settlement]
    schema = _SCHEMA.append(_HEARD) if any(row["heard_ns"] is not None for row in rows) else _SCHEMA
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink, compression="zstd")
    return sink.getvalue()


def decode_outcomes(data: pa.Buffer, address: str) -> list[MarketRecord]:
    """Records with nothing but the outcome and the facts it is filed under; DataError names ``address``."""
    try:
        table = pq.read_table(pa.BufferReader(data), use_threads=False)
        if (table.schema.metadata or {}).get(_KEY) != _VERSION:
            raise DataError(f"{address}: no outcomes file of version 1; build the dataset again")
        return [_record(row) for row in table.to_pylist()]
    except (pa.ArrowException, OSError, KeyError, ValueError, ContractError) as err:
        raise DataError(f"{address}: no outcomes file ({err}); build the dataset again") from None


def _row(record: MarketRecord) -> dict[str, Any]:
    spec, settlement = record.spec, record.settlement
    assert settlement is not None  # encode_outcomes passes no other
    facts = {name: getattr(spec, name) for name in ("ticker", "event", "series", "category")}
    return facts | {
        "value_e4": settlement.value_e4,
        "determined_ns": settlement.determined_ns,
        "known_ns": record.known_ns,
        "last_price_e4": record.last_price_e4,
        "heard_ns": record.heard_ns,
    }


def _record(row: dict[str, Any]) -> MarketRecord:
    spec = MarketSpec.parse({name: row[name] for name in ("ticker", "event", "series", "category")})
    settlement = Settlement(ticker=spec.ticker, value_e4=row["value_e4"], determined_ns=row["determined_ns"])
    heard_ns = row.get("heard_ns")
    bound_ns = row["known_ns"] if heard_ns is None else None
    return MarketRecord(spec, settlement, False, bound_ns, row["last_price_e4"], heard_ns=heard_ns)
