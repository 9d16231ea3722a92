"""Files of other people, read as if they were the house's own Parquet; ``parquet.py`` opens them here.

A file is told by its content: CSV by a header of names, JSON by what lies in it, Parquet by its columns. CSV
and JSON become one table in memory; Parquet is mapped row group by row group. The reading of the last few
files is remembered, because the jobs of a build ask for the same file again and again.
"""

import gzip
import io
import re
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from kalshi_platform.data.market_data.capture import GZIP_MAGIC, ZSTD_MAGICS
from kalshi_platform.data.market_data.importers.documents import (
    holdings,
    quote_table,
    read_documents,
    record_table,
)
from kalshi_platform.data.market_data.importers.guess import Guess, guess_map
from kalshi_platform.data.market_data.importers.table_map import ColumnMap, Source, TableKind, apply_map
from kalshi_platform.data.market_data.importers.takers import with_takers
from kalshi_platform.data.market_data.importers.types import UnknownSchemaError
from kalshi_platform.data.market_data.importers.values import BY_SIZE, Place, unit_shown
from kalshi_platform.domain.bounded import shown_value
from kalshi_platform.domain.errors import DataError

_PARQUET_MAGIC: Final = b"PAR1"
_GROUP_ROWS: Final = 100_000
_BOM: Final = b"\xef\xbb\xbf"
#: Characters that names of columns have beside letters and digits.
_PLAIN: Final = re.compile(rb"[_ .()$%/#:-]")


class RawTable(NamedTuple):
    """Table as a file holds it, and how its rows are counted."""

    table: pa.Table
    place: Place


class Foreign(NamedTuple):
    """Foreign file, read: its kind, the rows in the house's form, and counts of the reading."""

    kind: TableKind
    file: Any  # pq.ParquetFile or MappedParquet
    counters: Counter[str]


class MappedParquet:
    """Parquet with other columns, mapped one row group at a time; stands for a ``pq.ParquetFile``."""

    def __init__(self, file: pq.ParquetFile, path: Path, mapping: ColumnMap) -> None:
        self._file, self._path, self._mapping = file, path, mapping
        self.num_row_groups = file.num_row_groups
        self.metadata = file.metadata
        rows = [file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)]
        self._first = [sum(rows[:g]) for g in range(len(rows))]
        self.schema_arrow = self._mapped(file.schema_arrow.empty_table(), 0).schema

    def read_row_group(self, group: int, columns: list[str] | None = None) -> pa.Table:
        """House columns of one row group."""
        names = sorted({source.column for source in self._mapping.sources.values()})
        read = sound(self._file.read_row_group(group, columns=names), self._path)
        made = self._mapped(read, self._first[group])
        return made if columns is None else made.select(columns)

    def read(self, columns: list[str] | None = None) -> pa.Table:
        """House columns of the whole file."""
        groups = [self.read_row_group(g, columns) for g in range(self.num_row_groups)]
        return pa.concat_tables(groups)

    def _mapped(self, table: pa.Table, first: int) -> pa.Table:
        return apply_map(table, self._mapping, Place(str(self._path), "row", first))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def read_foreign(path: Path) -> Foreign | Guess:
    """Reading of a file that is not the house's own; a Guess without map where it is not understood."""
    state = path.stat()
    return _read(str(path), state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=8)
def _read(path_text: str, mtime_ns: int, size: int) -> Foreign | Guess:
    """Reading of a file in one state; ``mtime_ns`` and ``size`` make it read again when it changes."""
    path = Path(path_text)
    counters: Counter[str] = Counter()
    with path.open("rb") as file:
        head = file.read(4)
    if head == _PARQUET_MAGIC:
        return _of_parquet(path, counters)
    raw = raw_table(path, counters)
    if raw.place.unit == "quote":  # candlesticks and order books are in the house's form already
        return Foreign("quotes", _as_file(raw.table), counters)
    return _mapped(raw, counters)


def _of_parquet(path: Path, counters: Counter[str]) -> Foreign | Guess:
    """Reading of a foreign Parquet file; the first row group settles the map."""
    file = pq.ParquetFile(path)
    head = sound(file.read_row_group(0), path)
    guess = guess_map(head)
    if guess.mapping is None:
        return guess
    if guess.kind in ("level2", "markets") or (
        guess.kind == "trades" and "taker_side" not in guess.mapping.sources
    ):
        return _mapped(RawTable(sound(file.read(), path), Place(str(path), "row", 0)), counters)
    first = RawTable(head, Place(str(path), "row", 0))
    return Foreign(guess.kind, MappedParquet(file, path, settled_units(first, guess.mapping)), counters)


def sound(table: pa.Table, path: Path) -> pa.Table:
    """``table`` as it is; DataError for a text that is no UTF-8, which no reading of Parquet looks for."""
    for name, column in zip(table.column_names, table.columns, strict=True):
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as err:
            raise DataError(
                f"{path}: column {shown_value(name)} is damaged ({err}); write its texts as UTF-8"
            ) from None
    return table


def require_single(names: list[str], path: Path) -> None:
    """Raise DataError where a table has two columns of one name."""
    if twice := sorted(name for name, n in Counter(names).items() if n > 1):
        raise DataError(
            f"{path}: has two columns of the name {', '.join(twice)[:120]}; rename or drop one of them"
        )


def settled_units(raw: RawTable, mapping: ColumnMap) -> ColumnMap:
    """Map in which the units that only the values show are those of ``raw``, for all other rows as well."""
    sources = dict(mapping.sources)
    for name, source in mapping.sources.items():
        column = raw.table.column(source.column)
        if source.unit == BY_SIZE and not pa.types.is_timestamp(column.type):
            values = pa.concat_arrays(column.chunks)
            sources[name] = Source(source.column, unit_shown(values, source.column, raw.place))
    return ColumnMap(mapping.kind, sources)


def _mapped(raw: RawTable, counters: Counter[str]) -> Foreign | Guess:
    """Reading of a table in memory."""
    if raw.table.num_rows == 0:
        raise DataError(f"{raw.place.path}: the file is empty (no rows); remove it or export it again")
    guess = guess_map(raw.table)
    if guess.mapping is None:
        return guess
    return Foreign(guess.kind, _as_file(house_table(raw, guess.mapping, counters)), counters)


def house_table(raw: RawTable, mapping: ColumnMap, counters: Counter[str]) -> pa.Table:
    """House table of a raw one; takers that trades lack are inferred and counted."""
    made = apply_map(raw.table, mapping, raw.place)
    return with_takers(made, counters) if mapping.kind == "trades" else made


def _as_file(table: pa.Table) -> pq.ParquetFile:
    """Table as a Parquet file in memory."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=_GROUP_ROWS)
    return pq.ParquetFile(pa.BufferReader(sink.getvalue()))


def raw_table(path: Path, counters: Counter[str]) -> RawTable:
    """Table of a CSV, JSON, JSON lines or Parquet file as it stands; candlesticks and books become quotes.

    DataError for a damaged file, and for JSON that holds several kinds of data or none.
    """
    data = _unpacked(path)
    if data.startswith(_PARQUET_MAGIC):
        return RawTable(sound(pq.read_table(path), path), Place(str(path), "row", 0))
    if data.lstrip()[:1] not in (b"{", b"["):
        return RawTable(read_csv(path, data), Place(str(path), "line", 2))
    found = holdings(read_documents(path))
    if len(found.kinds) > 1:
        raise UnknownSchemaError(
            f"{path}: holds {' and '.join(found.kinds)}; take it apart, one kind of data a file"
        )
    if found.candles or found.books:
        return RawTable(quote_table(found, path, counters), Place(str(path), "quote", 0))
    return RawTable(record_table(found.records, path), Place(str(path), "record", 1))


def read_csv(path: Path, data: bytes) -> pa.Table:
    """CSV with a header as columns of text; DataError where its lines do not fit its header."""
    header = data.lstrip().split(b"\n", 1)[0]
    delimiter = max(",;\t|", key=lambda d: header.count(d.encode()))
    names = [name.strip().strip('"') for name in header.decode(errors="replace").strip().split(delimiter)]
    options = pa_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True)
    try:
        table = pa_csv.read_csv(
            io.BytesIO(data), convert_options=options, parse_options=pa_csv.ParseOptions(delimiter=delimiter)
        )
    except pa.ArrowInvalid as err:
        raise DataError(f"{path}: cannot be read as CSV ({err}); correct the line") from None
    require_single([name.strip() for name in table.column_names], path)
    return table.rename_columns([name.strip() for name in table.column_names])


def is_csv(head: bytes) -> bool:
    """True for a text whose first line is a header of at least two plain, different names."""
    first = head.removeprefix(_BOM).split(b"\n", 1)[0].strip()
    for delimiter in (b",", b";", b"\t", b"|"):
        names = [name.strip().strip(b'"') for name in first.split(delimiter)]
        names = names[1:] if names[0] == b"" else names  # the index that pandas writes
        plain = all(n and _PLAIN.sub(b"", n).isalnum() for n in names)
        if len(names) >= 2 and plain and len(set(names)) == len(names):
            return not all(n.isdigit() for n in names)
    return False


def _unpacked(path: Path) -> bytes:
    """Content of a plain, gzip or zstd file without byte order mark."""
    data = path.read_bytes()
    if data.startswith(ZSTD_MAGICS):
        try:
            data = pa.CompressedInputStream(pa.BufferReader(data), "zstd").read()
        except OSError as err:
            raise DataError(f"{path}: damaged zstd data ({err}); copy the file again") from None
    if data.startswith(GZIP_MAGIC):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError) as err:
            raise DataError(f"{path}: damaged gzip data ({err}); copy the file again") from None
    return data.removeprefix(_BOM)
