"""Words for a file that nobody here understands: its columns with an example each, what is near, a recipe."""

from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from kalshi_platform.data.market_data.importers.guess import Guess
from kalshi_platform.data.market_data.importers.types import UnknownSchemaError
from kalshi_platform.domain.bounded import MAX_MESSAGE

_SHOWN: Final = 12
_CHARS: Final = 40
_LEAST_CHARS: Final = 80
_AROUND: Final = 60  # "unknown columns", "and 12 more"
KNOWN: Final = "docs/formats.md shows every kind of file that is read"
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
        f"{_name(name)} ({_name(table.schema.field(k).type)}{_example(table.column(k))})"
        for k, name in enumerate(table.column_names[:_SHOWN])
    ]
    recipe = _CONVERT.format(name=path.name, stem=path.name.split(".")[0], kind=guess.kind)
    rest = f"; {_nearest(guess)}{_frames(table)}; say which column is which: {recipe}; {KNOWN}"
    shown = _listed(columns, len(table.column_names), _room(path, rest))
    return UnknownSchemaError(f"{path}: unknown columns {shown}{rest}")


def json_refusal(path: Path, documents: list[Any]) -> UnknownSchemaError:
    """UnknownSchemaError for JSON in which nothing of use was found."""
    first = documents[0]
    if isinstance(first, list):
        first = first[0] if first else {}
    if isinstance(first, dict):
        keys = [
            f"{_name(name)} ({_kind(value)}, {_short(value)})" for name, value in list(first.items())[:_SHOWN]
        ]
        found = f"keys {_listed(keys, len(first), _room(path, _RAW, KNOWN))}"
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


def _room(path: Path, *parts: str) -> int:
    """Characters that a message has for columns or keys beside its other ``parts``; some in any case."""
    return max(_LEAST_CHARS, MAX_MESSAGE - len(str(path)) - sum(map(len, parts)) - _AROUND)


def _listed(entries: list[str], n: int, chars: int) -> str:
    """Columns or keys, as many as fit in ``chars``, and how many of ``n`` are not shown."""
    kept, left = entries[:1], chars - len(entries[0]) if entries else 0
    for entry in entries[1:]:
        left -= len(entry) + 2
        if left < 0:
            break
        kept.append(entry)
    return ", ".join(kept) + (f" and {n - len(kept)} more" if n > len(kept) else "")


def _name(name: Any) -> str:
    """Name of a column or key, which a stranger chose, in at most _CHARS characters."""
    text = str(name) if str(name).isprintable() else ascii(name)[1:-1]
    return text if len(text) <= _CHARS else f"{text[: _CHARS - 3]}..."


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
