"""Metadata files to one catalogue of markets and one table of the fees of series and events."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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


@dataclass(frozen=True)
class KnownMarkets:
    """Markets that a dataset holds, or whose outcome it knows, and the files that it was made of."""

    address: str
    records: Mapping[str, MarketRecord]  # by ticker
    outcomes: frozenset[str] = frozenset()  # those whose outcome metadata told, not only a frame
    imported: frozenset[str] = frozenset()  # sha256 of files with rows
    fees: FeeTable = field(default_factory=FeeTable)  # told of the series of its markets


def read_catalogue(
    files: list[tuple[Path, FileKind]],
    counters: Counter[str],
    known: KnownMarkets | None = None,
    outcomes: set[str] | None = None,
) -> tuple[dict[str, MarketRecord], FeeTable]:
    """Records of the metadata files by ticker, and the fees that the files tell of series and events.

    Where several files tell of a market, its records are merged. ``known`` markets and fees are there before
    any file is read; ``outcomes`` receives the tickers whose outcome a file tells. DataError where two files,
    or a file and the dataset, contradict each other.
    """
    held: Mapping[str, MarketRecord] = known.records if known is not None else {}
    catalogue = dict(held)
    fees = FeeNotes(counters, known.fees if known is not None else FeeTable())
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
            if outcomes is not None and record.settlement is not None:
                outcomes.add(ticker)
            before = catalogue.get(ticker)
            if before is None:
                catalogue[ticker] = record
            elif known is None or ticker not in held:
                catalogue[ticker] = merge_records(before, record, str(path))
            else:
                catalogue[ticker] = _merge_held(before, record, str(path), known.address)
    return catalogue, fees.table()


def _merge_held(held: MarketRecord, told: MarketRecord, where: str, address: str) -> MarketRecord:
    """Facts of a market that the dataset at ``address`` holds, and those that a new file tells of it.

    A grid that the dataset's prices showed stays where the file declares none; one that the file declares
    replaces it, unless the file tells it of a time of its own: then it holds from that time on.
    """
    before = held
    if not told.told:
        before = replace(held, grid_declared=held.grid_declared and not told.grid_declared)
    merged = merge_records(before, told, where, f"the dataset {address}")
    if told.grid_declared or merged.spec.price_ranges == held.spec.price_ranges:
        return merged
    return replace(merged, spec=merged.spec.replace(price_ranges=held.spec.price_ranges))


def _with_times_as_text(table: pa.Table, counters: Counter[str]) -> pa.Table:
    """``table`` with its timestamps as RFC 3339 text; each counts its type's unit, without zone in UTC."""
    for at, column in enumerate(table.schema):
        if pa.types.is_timestamp(column.type):
            if column.type.tz is None:
                counters["timestamps_without_zone_read_as_utc"] += table.num_rows
            utc = table.column(at).cast(pa.timestamp(column.type.unit))
            table = table.set_column(at, column.name, pc.strftime(utc, format="%Y-%m-%dT%H:%M:%SZ"))
    return table
