"""Columns of a foreign table to the columns of the house's Parquet, by a map: one row becomes one row.

A map says for each field of a kind from which column it is read and in which unit. ``dataset convert`` reads
it from a file, ``guess.py`` makes one of names that leave no doubt; both end here, and the table that comes
out passes the same importers and the same door as the house's own files.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic_core import from_json

from kalshi_platform.data.market_data.importers import values
from kalshi_platform.data.market_data.importers.values import Place
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import DOLLAR_E4

TableKind = Literal["trades", "quotes", "level2", "markets"]
Role = Literal["text", "price", "size", "time", "taker", "book_side", "type", "flag", "whole"]

_SIDES: Final = {"yes": "yes", "no": "no", "y": "yes", "n": "no", "bid": "yes", "ask": "no"}
_TYPES: Final = {
    "snapshot": "snapshot", "delta": "delta", "orderbook_snapshot": "snapshot", "orderbook_delta": "delta",
}  # fmt: skip
UNITS: Final[dict[Role, tuple[str, ...]]] = {
    "price": tuple(values.PRICE_UNITS),
    "size": tuple(values.SIZE_UNITS),
    "time": tuple(values.TIME_UNITS),
}


class Field:
    """One field of a kind: what it holds, the house's column for it, and whether a map must name it."""

    def __init__(self, role: Role, column: str, needed: bool = False) -> None:
        self.role = role
        self.column = column
        self.needed = needed


_TICKER: Final = Field("text", "market_ticker", needed=True)
FIELDS: Final[dict[TableKind, dict[str, Field]]] = {
    "trades": {
        "market_ticker": _TICKER,
        "time": Field("time", "ts_ns", needed=True),
        "yes_price": Field("price", "yes_price_e4", needed=True),
        "count": Field("size", "count_e2", needed=True),
        "taker_side": Field("taker", "taker_side"),
        "trade_id": Field("text", "trade_id"),
        "is_block_trade": Field("flag", "is_block_trade"),
    },
    "quotes": {
        "market_ticker": _TICKER,
        "time": Field("time", "recv_ns", needed=True),
        "yes_bid": Field("price", "yes_bid_e4", needed=True),
        "yes_ask": Field("price", "yes_ask_e4"),
        "no_bid": Field("price", "no_bid_e4"),
        "yes_bid_size": Field("size", "yes_bid_size_e2"),
        "yes_ask_size": Field("size", "yes_ask_size_e2"),
    },
    "level2": {
        "market_ticker": _TICKER,
        "time": Field("time", "recv_ns", needed=True),
        "type": Field("type", "type", needed=True),
        "side": Field("book_side", "side", needed=True),
        "price": Field("price", "price_e4", needed=True),
        "size": Field("size", "size_e2", needed=True),
        "snap_start": Field("flag", "snap_start"),
        "exchange_time": Field("time", "exch_ts_ms"),
        "sid": Field("whole", "sid"),
        "seq": Field("whole", "seq"),
        "session": Field("whole", "session"),
        "is_fill": Field("flag", "is_fill"),
        "taker_side": Field("taker", "taker_side"),
    },
    "markets": {
        "market_ticker": _TICKER,
        "event_ticker": Field("text", "event_ticker", needed=True),
        **{
            name: Field("text", name)
            for name in (
                "series_ticker", "category", "result", "settlement_value_dollars", "last_price_dollars",
                "price_ranges", "fee_type", "fee_multiplier", "status", "market_type",
            )
        },
        **{
            name: Field("time", name)
            for name in (
                "open_time", "close_time", "expected_expiration_time", "latest_expiration_time",
                "expiration_time", "settlement_ts",
            )
        },
        "mutually_exclusive": Field("flag", "mutually_exclusive"),
        "can_close_early": Field("flag", "can_close_early"),
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """Column that a field is read from, and its unit (None: it has none, or one of its own)."""

    column: str
    unit: str | None = None


@dataclass(frozen=True)
class ColumnMap:
    """Map of one table: its kind, and the source of each field."""

    kind: TableKind
    sources: Mapping[str, Source]


def apply_map(table: pa.Table, mapping: ColumnMap, place: Place) -> pa.Table:
    """House table of ``table``; DataError names row, column and value that cannot be.

    Only the snapshots of level-2 tables without ``snap_start`` gain a row each, their marker.
    """
    columns: dict[str, pa.Array] = {}
    for name, source in mapping.sources.items():
        wanted = FIELDS[mapping.kind][name]
        column = pa.concat_arrays(table.column(source.column).chunks or [pa.array([], pa.string())])
        columns[wanted.column] = _converted(column, wanted, source, place)
    if mapping.kind == "quotes":
        _add_ask(columns)
    made = pa.table(columns)
    return _with_markers(made) if mapping.kind == "level2" and "snap_start" not in columns else made


def _converted(column: pa.Array, wanted: Field, source: Source, place: Place) -> pa.Array:
    """One column in the house's type and unit."""
    what, role = source.column, wanted.role
    if role == "price":
        ints = values.exact_ints(column, values.PRICE_UNITS[source.unit or "e4"], what, place)
        _check_price(ints, column, source, place)
        return ints
    if role == "size":
        return values.exact_ints(column, values.SIZE_UNITS[source.unit or "e2"], what, place)
    if role == "time":
        stamps = values.times_ns(column, source.unit, what, place)
        return _as_column(stamps, wanted.column)
    if role == "whole":
        return values.exact_ints(column, 1, what, place)
    if role in ("taker", "book_side"):
        return values.words(column, what, place, _SIDES)
    if role == "type":
        return values.words(column, what, place, _TYPES)
    if role == "flag":
        return values.flags(column, what, place)
    texts = values.without_blanks(column).cast(pa.string())
    return _bands(texts, what, place) if wanted.column == "price_ranges" else texts


def _bands(texts: pa.Array, what: str, place: Place) -> pa.Array:
    """Price ranges, a JSON text each, as lists."""
    done = []
    for at, text in enumerate(texts.to_pylist()):
        try:
            done.append(None if text is None else from_json(text))
        except ValueError:
            place.refuse(at, f"{what} = {text[:40]!r} is no JSON list of start, end and step")
    return pa.array(done)


def _as_column(stamps_ns: pa.Array, column: str) -> pa.Array:
    """Times in the form of the house's column: ns, ms for ``exch_ts_ms``, RFC 3339 for metadata."""
    if column.endswith("_ns"):
        return stamps_ns
    if column == "exch_ts_ms":
        return pc.divide(stamps_ns, 1_000_000)
    moments = stamps_ns.cast(pa.timestamp("ns", "UTC"))
    return pc.strftime(moments, "%Y-%m-%dT%H:%M:%SZ")


def _check_price(ints: pa.Array, column: pa.Array, source: Source, place: Place) -> None:
    """Refuse a price outside 0..1 dollar, in the words of its own unit."""
    inside = pc.and_(pc.greater_equal(ints, 0), pc.less_equal(ints, DOLLAR_E4))
    outside = pc.invert(pc.fill_null(inside, True))
    if pc.any(outside).as_py():
        at = pc.index(outside, True).as_py()
        place.refuse(
            at, f"{source.column} = {column[at].as_py()} is outside 0..1 dollar when read as {source.unit}"
        )


def _add_ask(columns: dict[str, pa.Array]) -> None:
    """Fill the YES ask from the NO bid where the table has no ask of its own."""
    no_bid = columns.pop("no_bid_e4", None)
    if no_bid is not None and "yes_ask_e4" not in columns:
        columns["yes_ask_e4"] = pc.if_else(pc.equal(no_bid, 0), None, pc.subtract(DOLLAR_E4, no_bid))


def _with_markers(table: pa.Table) -> pa.Table:
    """Level-2 table with a marker row before each run of snapshot levels of one market, time and number."""
    same = np.ones(table.num_rows, np.bool_)
    for name in ("market_ticker", "recv_ns", "type", *({"sid", "seq", "session"} & set(table.column_names))):
        codes = table.column(name).combine_chunks().dictionary_encode().indices
        same[1:] &= np.diff(pc.fill_null(codes, -1).to_numpy(zero_copy_only=False)) == 0
    same[:1] = False
    starts = np.flatnonzero(~same & pc.equal(table.column("type"), "snapshot").to_numpy())
    order = np.sort(np.concatenate([np.arange(table.num_rows), starts]), kind="stable")
    marker = np.zeros(len(order), np.bool_)
    marker[1:] = order[1:] == order[:-1]
    marker[:-1], marker[-1:] = marker[1:], False
    made = table.take(pa.array(order))
    is_marker = pa.array(marker)
    for name, value in (("side", None), ("price_e4", None), ("size_e2", 0)):
        column = made.column(name)
        put = pc.if_else(is_marker, pa.scalar(value, column.type), column)
        made = made.set_column(made.column_names.index(name), name, put)
    return made.append_column("snap_start", is_marker)


def check_map(mapping: ColumnMap, names: list[str], where: str) -> None:
    """Refuse a map that names a column the table lacks, or lacks a field its kind needs."""
    fields = FIELDS[mapping.kind]
    for name, source in mapping.sources.items():
        if source.column not in names:
            raise DataError(
                f"{where}: column {source.column!r} (for {name}) is not there; the columns are "
                f"{', '.join(names[:40])}"
            )
    needed = {name for name, f in fields.items() if f.needed} - mapping.sources.keys()
    if mapping.kind == "quotes" and not {"yes_ask", "no_bid"} & mapping.sources.keys():
        needed.add("yes_ask (or no_bid)")
    if needed:
        raise DataError(
            f"{where}: {mapping.kind} need {', '.join(sorted(needed))}; name the column of each "
            f"(kalshi-platform dataset convert --example {mapping.kind} prints a map)"
        )
