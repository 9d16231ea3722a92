"""Metadata files to one catalogue of markets."""

from collections import Counter
from pathlib import Path

from kalshi_platform.data.market_data.importers.parquet import read_all
from kalshi_platform.data.market_data.importers.recognise import FileKind, read_json
from kalshi_platform.data.market_data.market_meta import (
    MarketRecord,
    merge_records,
    records_from_rest,
    records_from_rows,
)


def read_catalogue(files: list[tuple[Path, FileKind]], counters: Counter[str]) -> dict[str, MarketRecord]:
    """Records of the metadata files by ticker, merged where several files tell of a market.

    DataError where two files contradict each other.
    """
    catalogue: dict[str, MarketRecord] = {}
    for path, kind in files:
        if kind is FileKind.METADATA_TABLE:
            records = records_from_rows(read_all(path).to_pylist(), str(path), counters)
        else:
            records = records_from_rest(read_json(path), str(path), counters)
        for record in records:
            ticker = record.spec.ticker
            known = catalogue.get(ticker)
            catalogue[ticker] = record if known is None else merge_records(known, record, str(path))
    return catalogue
