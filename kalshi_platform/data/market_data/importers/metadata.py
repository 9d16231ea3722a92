"""Metadata files to one catalogue of markets and one table of the fees of series and events."""

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from kalshi_platform.data.market_data.fee_meta import FeeNotes
from kalshi_platform.data.market_data.importers.parquet import read_all
from kalshi_platform.data.market_data.importers.recognise import FileKind, read_json
from kalshi_platform.data.market_data.market_meta import (
    MarketRecord,
    merge_records,
    records_from_rest,
    records_from_rows,
)
from kalshi_platform.domain.fee_history import FeeTable


def read_catalogue(
    files: list[tuple[Path, FileKind]], counters: Counter[str]
) -> tuple[dict[str, MarketRecord], FeeTable]:
    """Records of the metadata files by ticker, and the fees that the files tell of series and events.

    Where several files tell of a market, its records are merged. DataError where two files contradict each
    other.
    """
    catalogue: dict[str, MarketRecord] = {}
    fees = FeeNotes(counters)
    for path, kind in files:
        if kind is FileKind.METADATA_TABLE:
            records = records_from_rows(
                _with_times_as_text(read_all(path), counters).to_pylist(), str(path), counters
            )
        else:
            document = read_json(path)
            fees.read_document(document, str(path))
            records = records_from_rest(document, str(path), counters)
        for record in records:
            ticker = record.spec.ticker
            known = catalogue.get(ticker)
            catalogue[ticker] = record if known is None else merge_records(known, record, str(path))
    return catalogue, fees.table()


def _with_times_as_text(table: pa.Table, counters: Counter[str]) -> pa.Table:
    """``table`` with its timestamps as RFC 3339 text; each counts its type's unit, without zone in UTC."""
    for at, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            if field.type.tz is None:
                counters["timestamps_without_zone_read_as_utc"] += table.num_rows
            utc = table.column(at).cast(pa.timestamp(field.type.unit))
            table = table.set_column(at, field.name, pc.strftime(utc, format="%Y-%m-%dT%H:%M:%SZ"))
    return table
