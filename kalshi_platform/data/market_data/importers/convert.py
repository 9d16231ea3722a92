"""``dataset convert``: any table with named columns to a Parquet file of the house, by a map in YAML.

    kind: trades                                    # trades, quotes, level2 or markets
    columns:
      market_ticker: Ticker                         # a column
      yes_price: {from: Price, unit: cents}         # a column in a unit
      taker_side: {from: Side, values: {buy: yes, sell: no}}
      time: {from: When, unit: ms}
      count: {value: 1}                             # the same in every row

The values are checked twice: here for what they are (numbers, times, units), and by the door when the file
that comes out is built into a dataset.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from kalshi_platform.data.market_data.importers.documents import read_documents, record_table
from kalshi_platform.data.market_data.importers.foreign import RawTable, house_table, raw_table
from kalshi_platform.data.market_data.importers.guess import guess_map
from kalshi_platform.data.market_data.importers.order import in_order_of_time
from kalshi_platform.data.market_data.importers.table_map import (
    FIELDS,
    UNITS,
    ColumnMap,
    Source,
    TableKind,
    check_map,
)
from kalshi_platform.data.market_data.importers.unknown import other_refusal, table_refusal
from kalshi_platform.data.market_data.importers.values import Place
from kalshi_platform.data.market_data.moments import unit_of_name
from kalshi_platform.domain.bounded import bounded_message, shown_value
from kalshi_platform.domain.errors import ContractError, DataError

KINDS: Final[tuple[TableKind, ...]] = get_args(TableKind)
_KEYS: Final = frozenset({"from", "unit", "values", "value"})

EXAMPLES: Final[dict[TableKind, str]] = {
    "trades": """kind: trades
columns:
  market_ticker: Ticker                  # or {value: KXHIGHNY-26DEC01-T50} for a file of one market
  time: {from: Time, unit: rfc3339}      # or s, ms, us, ns, utc (text without zone); a timestamp needs none
  yes_price: {from: Price, unit: cents}  # or dollars, e4 (1e-4 dollar); always the price of YES
  count: {from: Contracts}               # unit: contracts (as here) or e2 (1e-2 contract)
  taker_side: Side                       # yes or no; other words: {from: Side, values: {buy: yes, sell: no}}
""",
    "quotes": """kind: quotes
columns:
  market_ticker: Ticker
  time: {from: Time, unit: ms}             # when it was received
  yes_bid: {from: Bid, unit: dollars}
  yes_ask: {from: Ask, unit: dollars}      # or no_bid; empty, 0 and 1 dollar mean nobody offers
  yes_bid_size: {from: BidSize}            # may be left out
  yes_ask_size: {from: AskSize}
""",
    "level2": """kind: level2
columns:
  market_ticker: Ticker
  time: {from: Time, unit: ms}
  type: Type                               # snapshot or delta
  side: Side                               # yes or no
  price: {from: Price, unit: cents}        # the side's own bid price
  size: {from: Size}                       # of a snapshot's level; of a delta the signed change
  seq: Seq                                 # with sid: lost messages are seen
  sid: Sid
""",
    "markets": """kind: markets
columns:
  market_ticker: Ticker
  event_ticker: Event
  close_time: {from: Close, unit: rfc3339}
  result: Result                           # yes, no or empty
""",
}


class Converted(NamedTuple):
    """Outcome of a conversion."""

    kind: TableKind
    n_rows: int
    n_markets: int
    counters: Counter[str]


def convert_file(source: Path, map_path: Path | None, out: Path) -> Converted:
    """Write ``source`` as a Parquet file of the house to ``out``.

    Without a map the column names must leave no doubt. DataError names file, row and value that cannot be;
    ContractError where the map is wrong or ``out`` exists.
    """
    if out.exists():
        raise ContractError(f"{out} exists; remove it or choose another --out")
    counters: Counter[str] = Counter()
    raw = _loose_table(source, counters)
    if raw.place.unit == "quote":
        kind: TableKind = "quotes"
        table = raw.table
    else:
        raw, mapping = (raw, _sure_map(source, raw)) if map_path is None else _mapped(raw, map_path)
        kind, table = mapping.kind, house_table(raw, mapping, counters)
        table = _in_order(table, counters) if kind == "trades" else table
    part = out.with_name(f".{out.name}.part")
    pq.write_table(table, part)
    os.replace(part, out)
    tickers = pc.count_distinct(table.column("market_ticker")).as_py()
    return Converted(kind, table.num_rows, tickers, +counters)


def _in_order(trades: pa.Table, counters: Counter[str]) -> pa.Table:
    """Trades by market and time; a house file has them so."""
    market = trades.column("market_ticker").combine_chunks().dictionary_encode().indices.fill_null(0)
    order = in_order_of_time(market.to_numpy(zero_copy_only=False), trades.column("ts_ns").to_numpy())
    counters["trades_put_in_order_of_time"] += int((order != np.arange(len(order))).sum())
    return trades.take(pa.array(order))


def _loose_table(path: Path, counters: Counter[str]) -> RawTable:
    """Table of a file, also of JSON records whose names are unknown here."""
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as err:
        raise DataError(f"{path}: cannot be read ({err.strerror}); check the path and its rights") from None
    if head.startswith((b"SQLite format 3", b"PK\x03\x04", b"\x93NUMPY")):
        raise other_refusal(path, head)
    raw = raw_table(path, counters)
    if raw.table.num_columns:
        return raw
    records = max(_record_lists(read_documents(path)), key=len, default=[])
    if not records:
        raise DataError(f"{path}: holds no list of objects; convert reads CSV, JSON, JSON lines and Parquet")
    return RawTable(record_table(records, path), Place(str(path), "record", 1))


def _record_lists(node: Any) -> Iterator[list[Mapping[str, Any]]]:
    """Lists of objects anywhere in a document."""
    if isinstance(node, list):
        if node and all(isinstance(entry, dict) for entry in node):
            yield node
        for entry in node[:1]:
            yield from _record_lists(entry)
    elif isinstance(node, dict):
        for value in node.values():
            yield from _record_lists(value)


def _sure_map(path: Path, raw: RawTable) -> ColumnMap:
    """Map by the names alone; UnknownSchemaError where they leave a doubt."""
    guess = guess_map(raw.table)
    if guess.mapping is None:
        raise table_refusal(path, raw.table, guess)
    return guess.mapping


def _mapped(raw: RawTable, map_path: Path) -> tuple[RawTable, ColumnMap]:
    """Table and map as the file ``map_path`` says; constants and other words become columns of the table."""
    kind, entries = _read_map(map_path)
    names = raw.table.column_names
    table, sources = raw.table, {}
    for name, entry in entries.items():
        where = f"{map_path}: {name}"
        column = entry.get("from")
        if "value" in entry:
            column = f"{name} (value)"
            texts = pa.array([str(entry["value"])] * table.num_rows, pa.string())
            table = table.append_column(column, texts)
        elif column not in names:
            raise ContractError(
                f"{where}: column {column!r} is not in {raw.place.path}; its columns are "
                f"{', '.join(names[:40])}. A line of a map is {_line_of(kind, name)}"
            )
        if "values" in entry:
            table, column = _with_words(table, str(column), entry["values"], where)
        sources[name] = Source(str(column), _unit(kind, name, entry, table, str(column), where))
    mapping = ColumnMap(kind, sources)
    check_map(mapping, table.column_names, str(map_path))
    return RawTable(table, raw.place), mapping


def _read_map(path: Path) -> tuple[TableKind, dict[str, dict[str, Any]]]:
    """Kind and columns of a map file; ContractError says what is wrong with it."""
    try:
        text = yaml.safe_load(path.read_text())
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as err:
        raise ContractError(f"{path}: cannot be read as YAML ({bounded_message(str(err), 300)})") from None
    kind = next((k for k in KINDS if isinstance(text, dict) and text.get("kind") == k), None)
    columns = text.get("columns") if isinstance(text, dict) else None
    if kind is None or not isinstance(columns, dict):
        raise ContractError(
            f"{path}: expected kind (one of {', '.join(KINDS)}) and columns; kalshi-platform dataset convert "
            "--example trades prints a map to begin with"
        )
    entries: dict[str, dict[str, Any]] = {}
    for name, told in columns.items():
        if name not in FIELDS[kind]:
            raise ContractError(
                f"{path}: {kind} have no field {shown_value(name)}; known are {', '.join(FIELDS[kind])}"
            )
        entry = told if isinstance(told, dict) else {"from": told}
        if not entry.keys() <= _KEYS or not {"from", "value"} & entry.keys():
            raise ContractError(
                f"{path}: {name}: {shown_value(entry)}; a line of a map is {_line_of(kind, name)}"
            )
        entries[name] = entry
    return kind, entries


def _unit(
    kind: TableKind, name: str, entry: Mapping[str, Any], table: pa.Table, column: str, where: str
) -> str | None:
    """Unit of a field: as the map says, else as the column's type or name shows."""
    role, unit = FIELDS[kind][name].role, entry.get("unit")
    allowed = UNITS.get(role)
    if allowed is None:
        if unit is not None:
            raise ContractError(f"{where}: has no unit; leave unit: {str(unit)[:40]} out")
        return None
    if unit is not None and unit not in allowed:
        raise ContractError(f"{where}: unit {shown_value(unit)}; expected {', '.join(allowed)}")
    if unit is not None or pa.types.is_timestamp(table.schema.field(column).type):
        return unit
    if role == "time" and unit_of_name(column):
        return unit_of_name(column)
    if role == "size":
        return "contracts"
    raise ContractError(f"{where}: give its unit, {', '.join(allowed)}: {_line_of(kind, name)}")


def _line_of(kind: TableKind, name: str) -> str:
    """Line of a map for one field."""
    units = UNITS.get(FIELDS[kind][name].role)
    return f"{name}: {{from: COLUMN, unit: {units[0]}}}" if units else f"{name}: COLUMN"


def _with_words(table: pa.Table, column: str, known: Any, where: str) -> tuple[pa.Table, str]:
    """Table with a further column, in which the words of ``column`` are put as ``known`` says."""
    if not isinstance(known, dict):
        raise ContractError(f"{where}: values {shown_value(known)}; expected {{THEIR WORD: OUR WORD}}")
    # YAML reads a bare yes as true
    words = {_word(theirs): _word(ours) for theirs, ours in known.items()}
    texts = [None if v is None else _word(v) for v in table.column(column).to_pylist()]
    done = pa.array([None if t is None else words.get(t, t) for t in texts], pa.string())
    return table.append_column(f"{column} (values)", done), f"{column} (values)"


def _word(value: Any) -> str:
    """Word of a map or a table; true and false are what YAML makes of a bare yes and no."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
