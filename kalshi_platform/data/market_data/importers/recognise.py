"""Kind of a file, told by its first bytes and its columns or keys, never by its name.

A name matters in one case only: a file that calls itself data (``.parquet``, ``.jsonl``, ``.json``, ``.gz``)
and is empty is refused wherever it lies, because somebody expects data in it.
"""

import json
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Final

from pydantic_core import from_json

from kalshi_platform.data.market_data.capture import GZIP_MAGIC, read_lines, unmarked
from kalshi_platform.data.market_data.importers.parquet import LAYOUTS, TICKER, column_names
from kalshi_platform.data.market_data.market_meta import is_rest_document
from kalshi_platform.domain.errors import DataError

_PARQUET_MAGIC: Final = b"PAR1"
_DATA_SUFFIXES: Final = (".parquet", ".jsonl", ".json", ".gz")
_HEAD_BYTES: Final = 4_096
_CAPTURE_KEYS: Final = frozenset({"recv_ns", "conn", "raw"})


class FileKind(Enum):
    """Kinds of files that can be imported."""

    CAPTURE = "capture"
    LEVEL2 = "level2"
    QUOTES = "quotes"
    TRADES = "trades"
    METADATA_TABLE = "market metadata (Parquet)"
    METADATA_REST = "market metadata (REST JSON)"


class UnknownSchemaError(DataError):
    """A readable file is of no known schema; the message names the columns or keys it has."""


def recognise(path: Path) -> FileKind:
    """Kind of a file.

    UnknownSchemaError for a schema unknown here, DataError for a damaged or empty file.
    """
    head = _head(path)
    if head.startswith(_PARQUET_MAGIC):
        return _parquet_kind(path)
    if path.suffix == ".parquet":
        raise DataError(f"{path}: is not Parquet (it begins with {head[:4]!r}); copy the file again")
    text = _first_text(path, head)
    if text[:1] not in (b"{", b"["):
        raise UnknownSchemaError(f"{path}: neither Parquet nor JSON; {_KNOWN}")
    return _json_kind(path)


def read_json(path: Path) -> Any:
    """Whole JSON document, plain or gzip; DataError where the file is damaged.

    Numbers with a point are read as ``Decimal``, digit by digit as the text has them.
    """
    text = b"\n".join(line for _, line in read_lines(path))
    try:
        return json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError) as err:
        raise DataError(f"{path}: is not JSON ({err}); copy the file again") from None


_KNOWN: Final = (
    "known are capture lines (recv_ns, conn, raw), level-2 events (market_ticker, type, snap_start, side, "
    "price_e4, size_e2, recv_ts_us), quotes (market_ticker, yes_bid_e4, yes_ask_e4, recv_ts_ms), trades "
    "(market_ticker, yes_price_e4, count_e2, taker_side, ts_us), metadata (market_ticker, event_ticker) and "
    "REST market answers"
)


def _head(path: Path) -> bytes:
    """First bytes of a file; DataError where it cannot be read or is empty."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as err:
        raise DataError(
            f"{path}: cannot be read ({err.strerror or err}); check the path and its rights"
        ) from None
    if not head:
        kind = DataError if path.suffix in _DATA_SUFFIXES else UnknownSchemaError
        raise kind(f"{path}: the file is empty; remove it or copy it again")
    return head


def _first_text(path: Path, head: bytes) -> bytes:
    """First bytes of the text, unpacked if need be, without byte order mark; DataError for UTF-16."""
    if head.startswith(GZIP_MAGIC):
        return next((line for _, line in read_lines(path) if line.strip()), b"")[:64].lstrip()
    try:
        return unmarked(head, path).lstrip()
    except DataError as err:  # where nobody expects data it may be anything
        raise err if path.suffix in _DATA_SUFFIXES else UnknownSchemaError(str(err)) from None


def _parquet_kind(path: Path) -> FileKind:
    """Kind of a Parquet file, by its columns."""
    columns = column_names(path)
    for layout in LAYOUTS.values():
        if layout.matches(columns):
            return FileKind[layout.kind.upper()]
    if {TICKER, "event_ticker"} <= columns:
        return FileKind.METADATA_TABLE
    raise UnknownSchemaError(f"{path}: unknown columns {', '.join(sorted(columns))}; {_KNOWN}")


def _json_kind(path: Path) -> FileKind:
    """Kind of a JSON file, by its keys."""
    _, first = next((n, line) for n, line in read_lines(path) if line.strip())
    try:
        record = from_json(first)
    except ValueError:
        record = None  # a document over several lines
    if isinstance(record, dict) and len(_CAPTURE_KEYS & record.keys()) >= 2:
        return FileKind.CAPTURE  # a missing key is then named with its line
    document = record if isinstance(record, dict | list) and _is_single_line(path) else None
    if record is None:
        if b'"recv_ns"' in first or b'"raw"' in first:
            return FileKind.CAPTURE  # a broken first line of a capture, refused with its number
        document = read_json(path)
    if document is not None and is_rest_document(document):
        return FileKind.METADATA_REST
    keys = sorted(record)[:8] if isinstance(record, dict) else type(document).__name__
    raise UnknownSchemaError(f"{path}: unknown JSON ({keys}); {_KNOWN}")


def _is_single_line(path: Path) -> bool:
    """True for a file with one line that is not blank."""
    lines = (line for _, line in read_lines(path) if line.strip())
    next(lines)
    return next(lines, None) is None
