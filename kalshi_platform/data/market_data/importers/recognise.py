"""Kind of a file, told by its first bytes and its columns or keys, never by its name.

A name matters in one case only: a file that calls itself data (``.parquet``, ``.jsonl``, ``.json``, ``.csv``,
``.gz``) and is empty is refused wherever it lies, because somebody expects data in it.
"""

from collections import Counter
from enum import Enum
from pathlib import Path
from typing import Any, Final

from pydantic_core import from_json

from kalshi_platform.data.market_data.capture import is_note, is_packed, read_lines, unmarked
from kalshi_platform.data.market_data.fee_meta import is_fee_document
from kalshi_platform.data.market_data.frame_files import holds_frames, is_capture_line, is_frame
from kalshi_platform.data.market_data.importers.documents import holdings, read_documents
from kalshi_platform.data.market_data.importers.foreign import Foreign, is_csv, raw_table, read_foreign
from kalshi_platform.data.market_data.importers.parquet import LAYOUTS, TICKER, column_names
from kalshi_platform.data.market_data.importers.types import UnknownSchemaError
from kalshi_platform.data.market_data.importers.unknown import json_refusal, other_refusal, table_refusal
from kalshi_platform.data.market_data.market_meta import is_rest_document
from kalshi_platform.domain.errors import DataError

_PARQUET_MAGIC: Final = b"PAR1"
_DATA_SUFFIXES: Final = (".parquet", ".jsonl", ".json", ".csv", ".gz", ".zst")
_HEAD_BYTES: Final = 4_096


class FileKind(Enum):
    """Kinds of files that can be imported."""

    CAPTURE = "capture"
    LEVEL2 = "level2"
    QUOTES = "quotes"
    TRADES = "trades"
    METADATA_TABLE = "market metadata (Parquet)"
    METADATA_REST = "market metadata (REST JSON)"


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
    if text[:1] in (b"{", b"["):
        return _json_kind(path)
    if is_csv(text):
        return _table_kind(path)
    raise other_refusal(path, head)


def read_json(path: Path) -> Any:
    """Whole JSON document, plain or gzip, or the list of the documents of JSON lines.

    Numbers with a point are read as ``Decimal``, digit by digit as the text has them. DataError where the
    file is damaged.
    """
    documents = read_documents(path)
    return documents[0] if len(documents) == 1 else documents


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
    if is_packed(head):
        return next((line for _, line in read_lines(path) if line.strip()), b"")[:_HEAD_BYTES].lstrip()
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
    return _table_kind(path)


def _table_kind(path: Path) -> FileKind:
    """Kind of a table with other columns than the house's."""
    found = read_foreign(path)
    if isinstance(found, Foreign):
        return FileKind.METADATA_TABLE if found.kind == "markets" else FileKind[found.kind.upper()]
    raise table_refusal(path, raw_table(path, Counter()).table, found)


def _json_kind(path: Path) -> FileKind:
    """Kind of a JSON file, by its keys."""
    _, first = next((n, line) for n, line in read_lines(path) if line.strip())
    try:
        record = from_json(first)
    except ValueError:
        if b'"recv_ns"' in first or b'"raw"' in first:
            return FileKind.CAPTURE  # a broken first line of a capture, refused with its number
        record = None  # a document over several lines
    if is_note(first) and all(is_note(line) for _, line in read_lines(path) if line.strip()):
        raise UnknownSchemaError(f"{path}: holds no frame, only notes of a recorder: nothing was received")
    if is_note(first) or (isinstance(record, dict) and "use_yes_price" in record):
        return FileKind.CAPTURE  # a note of the recorder on the frames below
    if is_capture_line(record) or is_frame(record):
        return FileKind.CAPTURE  # a missing key is then named with its line
    documents = read_documents(path)
    if any(holds_frames(node) for node in (documents, *documents)) or any(map(is_frame, documents)):
        return FileKind.CAPTURE
    found = holdings(documents)
    if found.is_data:
        return _table_kind(path)
    if is_rest_document(documents) or is_fee_document(documents):
        return FileKind.METADATA_REST
    raise json_refusal(path, documents)
