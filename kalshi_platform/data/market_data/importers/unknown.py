"""Words for a file that nobody here understands: its columns with an example each, what is near, a recipe."""

from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from kalshi_platform.data.market_data.importers.guess import Guess
from kalshi_platform.data.market_data.importers.types import UnknownSchemaError

_SHOWN: Final = 12
_CHARS: Final = 40
KNOWN: Final = (
    "known are frames of the exchange (capture lines, wrapped or raw), level-2 events, quotes, trades and "
    "markets with named columns (Parquet, CSV, JSON), and REST answers about trades, candlesticks, order "
    "books, markets and fees; docs/formats.md shows each"
)
_CONVERT: Final = (
    "kalshi-platform dataset convert {name} --columns map.yaml --out {stem}-mapped.parquet "
    "(dataset convert --example {kind} prints a map to begin with)"
)
_RAW: Final = (
    'a frame of the exchange needs only {"recv_ns": <ns>, "conn": 0, "raw": "<the frame>"} around it'
)


def table_refusal(path: Path, table: pa.Table, guess: Guess) -> UnknownSchemaError:
    """UnknownSchemaError for a table whose columns do not say enough."""
    columns = [
        f"{name} ({table.schema.field(name).type}{_example(table.column(name))})"
        for name in table.column_names[:_SHOWN]
    ]
    recipe = _CONVERT.format(name=path.name, stem=path.name.split(".")[0], kind=guess.kind)
    return UnknownSchemaError(
        f"{path}: unknown columns {', '.join(columns)}{_more(len(table.column_names))}; "
        f"{_nearest(guess)}{_frames(table)}; say which column is which: {recipe}; {KNOWN}"
    )


def json_refusal(path: Path, documents: list[Any]) -> UnknownSchemaError:
    """UnknownSchemaError for JSON in which nothing of use was found."""
    first = documents[0]
    if isinstance(first, list):
        first = first[0] if first else {}
    if isinstance(first, dict):
        keys = [f"{name} ({_kind(value)}, {_short(value)})" for name, value in list(first.items())[:_SHOWN]]
        found = f"keys {', '.join(keys)}{_more(len(first))}"
    else:
        found = f"{_kind(first)} {_short(first)}"
    return UnknownSchemaError(f"{path}: unknown JSON: {found}; {_RAW}; {KNOWN}")


def other_refusal(path: Path, head: bytes) -> UnknownSchemaError:
    """UnknownSchemaError for a file that is neither Parquet, JSON nor CSV."""
    recipe = f"it begins with {head[:16]!r}"
    if head.startswith(b"SQLite format 3"):
        recipe = "SQLite: export each table, sqlite3 -header -csv FILE 'select * from TABLE' > TABLE.csv"
    elif head.startswith(b"\x28\xb5\x2f\xfd"):
        recipe = f"zstd data: unpack it, zstd -d {path.name}"
    elif head.startswith((b"PK\x03\x04", b"\x93NUMPY")):
        recipe = "a zip or numpy archive: unpack it, or write its arrays as CSV or Parquet with named columns"
    return UnknownSchemaError(f"{path}: neither Parquet, JSON nor CSV with a header; {recipe}; {KNOWN}")


def _nearest(guess: Guess) -> str:
    """Nearest kind of a table, and what stands in the way."""
    if not guess.found:
        return "no column has a name known here"
    reasons = []
    if guess.missing:
        reasons.append(f"no column for {', '.join(guess.missing)}")
    reasons += [
        f"the unit of {name} is not evident (name it {name}_dollars or {name}_cents)" for name in guess.doubts
    ]
    return f"nearest are {guess.kind}: {'; '.join(reasons)}"


def _frames(table: pa.Table) -> str:
    """Recipe for a table that keeps frames of the exchange in a column of text."""
    if any('"msg"' in _example(table.column(name), 1_000) for name in table.column_names):
        return f"; a column seems to hold frames: {_RAW}, one line each"
    return ""


def _more(n: int) -> str:
    """Count of the columns or keys that are not shown."""
    return f" and {n - _SHOWN} more" if n > _SHOWN else ""


def _example(column: pa.ChunkedArray, chars: int = _CHARS) -> str:
    """First value of a column that is not null."""
    value = next((v for v in column.slice(0, 100).to_pylist() if v is not None), None)
    return "" if value is None else f", {_short(value, chars)}"


def _kind(value: Any) -> str:
    """JSON type of a value."""
    names = {dict: "object", list: "list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "number")


def _short(value: Any, chars: int = _CHARS) -> str:
    """Value in at most ``chars`` characters."""
    text = str(value) if not isinstance(value, str) else repr(value)
    return text if len(text) <= chars else f"{text[: chars - 3]}..."
