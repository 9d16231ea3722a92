"""Map of a table whose column names leave no doubt; and, where they leave one, the doubt in words.

A unit is evident from the ending of a name (``_e4``, ``_cents``, ``_dollars``, ``_e2``, ``_fp``, ``_ms``) or
because the name is the exchange's own for whole cents (``yes_price``, ``price``, ``yes_bid``, ... as whole
numbers). A price with a fraction under such a name may be dollars or parts of a cent: nobody guesses.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from kalshi_platform.data.market_data.importers.table_map import FIELDS, ColumnMap, Source, TableKind
from kalshi_platform.data.market_data.importers.values import BY_SIZE, without_blanks
from kalshi_platform.data.market_data.moments import RECEIVE_NAMES, unit_of_name

_TICKERS: Final = ("market_ticker", "ticker", "ticker_name", "market")
_TRADE_TIMES: Final = (
    "created_time", "create_ts", "created_ts", "created_at", "trade_time", "traded_at", "executed_at",
    "exchange_time", "exch_ts_ms", "exch_ns", "ts_ns", "ts_us", "ts_ms", "ts_s",
)  # fmt: skip
#: Names that the exchange gave to whole cents.
_CENT_NAMES: Final = frozenset(
    {"yes_price", "price", "yes_bid", "yes_ask", "no_bid", "bid", "ask", "price_yes", "best_yes_bid"}
)
_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "market_ticker": _TICKERS,
    "yes_price": ("yes_price", "price"),
    "count": ("count", "contracts_traded", "quantity", "qty", "size", "contracts", "volume"),
    "yes_bid": ("yes_bid", "yes_bid_close", "best_yes_bid", "best_bid", "bid", "bid_price"),
    "yes_ask": ("yes_ask", "yes_ask_close", "best_yes_ask", "best_ask", "ask", "ask_price"),
    "no_bid": ("no_bid", "best_no_bid"),
    "yes_bid_size": ("yes_bid_size", "best_bid_size", "bid_size", "bid_qty"),
    "yes_ask_size": ("yes_ask_size", "best_ask_size", "ask_size", "ask_qty"),
    "price": ("price",),
    "size": ("size", "delta", "quantity", "qty", "count"),
    "taker_side": ("taker_outcome_side", "taker_side", "taker_book_side"),
    "exchange_time": ("exch_ts_ms", "exch_ns", "exchange_ts_ms"),
    "settlement_ts": ("settlement_ts", "settled_time"),
    "settlement_value_dollars": ("settlement_value_dollars", "settlement_value"),
}
_ENDINGS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "price": (("_e4", "e4"), ("_dollars", "dollars"), ("_dollar", "dollars"), ("_cents", "cents")),
    "size": (("_e2", "e2"), ("_fp", "contracts"), ("_contracts", "contracts")),
}
_OF_TRADES: Final = frozenset({"trade_id", "yes_price", "yes_price_dollars", "yes_price_e4", "taker_side"})
#: Columns by which a table is no table of prices over time but one of markets.
_OF_MARKETS: Final = frozenset({"result", "close_time", "open_time", "status", "series_ticker", "category"})


class Guess(NamedTuple):
    """Best guess at a table: a map where nothing is in doubt, else the reason."""

    kind: TableKind
    mapping: ColumnMap | None
    missing: tuple[str, ...]  # fields without a column
    doubts: tuple[str, ...]  # columns whose unit is not evident
    found: dict[str, Source]


def guess_map(table: pa.Table) -> Guess:
    """Most likely reading of ``table``, whose values settle whether a column holds whole numbers.

    Names count in any case, with spaces for underscores.
    """
    plain = [name.strip().lower().replace(" ", "_") for name in table.column_names]
    if len(set(plain)) < len(plain):
        return _guess_plain(table)
    guess = _guess_plain(table.rename_columns(plain))
    theirs = dict(zip(plain, table.column_names, strict=True))
    found = {name: Source(theirs[source.column], source.unit) for name, source in guess.found.items()}
    mapping = ColumnMap(guess.kind, found) if guess.mapping is not None else None
    doubts = tuple(theirs[name] for name in guess.doubts)
    return Guess(guess.kind, mapping, guess.missing, doubts, found)


def _guess_plain(table: pa.Table) -> Guess:
    """Most likely reading of a table with plain names."""
    names = set(table.column_names)
    if "event_ticker" in names and not _is_over_time(table):
        return _guess("markets", table)
    guesses = [_guess(kind, table) for kind in ("level2", "trades", "quotes")]
    whole = [g for g in guesses if g.mapping is not None]
    if whole:
        return whole[0]
    return min(guesses, key=lambda g: (len(g.missing), len(g.doubts), -len(g.found)))


def _is_over_time(table: pa.Table) -> bool:
    """True for rows of trades or quotes that name their events too, False for rows of markets."""
    names = set(table.column_names)
    if names & _OF_TRADES and not names & _OF_MARKETS:
        return True
    ticker = next((n for n in _TICKERS if n in names), None)
    return ticker is not None and pc.count_distinct(table.column(ticker)).as_py() < table.num_rows


def _guess(kind: TableKind, table: pa.Table) -> Guess:
    """Reading of ``table`` as ``kind``."""
    found: dict[str, Source] = {}
    doubts: list[str] = []
    for name, field in FIELDS[kind].items():
        if field.role == "time" and kind != "markets":
            source = _time_source(kind, name, table)
        elif field.role in _ENDINGS:
            source = _unit_source(field.role, _NAMES.get(name, (name,)), table, doubts)
        else:
            names = _NAMES.get(name, (name,))
            source = next((Source(n) for n in names if n in table.column_names), None)
        if source is not None:
            found[name] = source
    if "yes_ask" in found:
        found.pop("no_bid", None)
    missing = tuple(_missing(kind, found, table.column_names))
    sure = not missing and not doubts
    return Guess(kind, ColumnMap(kind, found) if sure else None, missing, tuple(doubts), found)


def _missing(kind: TableKind, found: dict[str, Source], names: Iterable[str]) -> Iterable[str]:
    """Fields that a table of ``kind`` must have and this one has not."""
    yield from (name for name, field in FIELDS[kind].items() if field.needed and name not in found)
    if kind == "quotes" and not {"yes_ask", "no_bid"} & found.keys():
        yield "yes_ask"
    if (
        kind == "trades"
        and "taker_side" not in found
        and not {"ticker_name", "contracts_traded"} & set(names)
    ):
        yield "taker_side"


def _time_source(kind: TableKind, name: str, table: pa.Table) -> Source | None:
    """Column of a time, its unit shown by the ending of its name or by its values."""
    if name == "exchange_time":
        names: tuple[str, ...] = _NAMES[name]
    elif kind == "trades":
        names = (*_TRADE_TIMES, *RECEIVE_NAMES)
    else:
        names = (*RECEIVE_NAMES, "end_period_ts")
    column = next((n for n in names if n in table.column_names), None)
    return None if column is None else Source(column, unit_of_name(column) or BY_SIZE)


def _unit_source(role: str, names: tuple[str, ...], table: pa.Table, doubts: list[str]) -> Source | None:
    """Column of a price or size with its unit; a column in doubt is noted in ``doubts``."""
    for name in names:
        for ending, unit in _ENDINGS[role]:
            if name + ending in table.column_names:
                return Source(name + ending, unit)
    for name in names:
        if name not in table.column_names:
            continue
        if role == "size":
            return Source(name, "contracts")
        if name in _CENT_NAMES and _is_whole(table.column(name)):
            return Source(name, "cents")
        doubts.append(name)
        return Source(name, "dollars")
    return None


def _is_whole(column: pa.ChunkedArray) -> bool:
    """True for a column of whole numbers, whatever its type."""
    if pa.types.is_integer(column.type):
        return True
    try:
        number = without_blanks(pa.concat_arrays(column.chunks)).cast(pa.string()).cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return bool(pc.all(pc.equal(number, pc.floor(number)), skip_nulls=True).as_py())
